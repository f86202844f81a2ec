"""From a photo to what was drawn on it, in files beside it."""

import os
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ...errors import LabelError
from ..composition.spec import register

Box = tuple[float, float, float, float]


@register
@dataclass(frozen=True)
class Beside:
    """The file of the same stem in `folder`, which is relative to the photo's own, with another `suffix`.

    >>> Beside("../annotations/trimaps", ".png")("pets/images/Birman_1.jpg").as_posix()
    'pets/images/../annotations/trimaps/Birman_1.png'
    """

    folder: str
    suffix: str

    def __call__(self, item: str | os.PathLike[str]) -> Path:
        """The path of the file, which need not exist."""
        path = Path(item)
        return path.parent / self.folder / (path.stem + self.suffix)


@register
@dataclass(frozen=True)
class VocBoxes:
    """The boxes of an annotation in the format of Pascal VOC, an `.xml` file in `folder` (see `Beside`).

    VOC counts pixels from 1, and the last one belongs to the box; here a box is (left, top, right, bottom) in
    continuous pixels. `names` confines them to the objects of these names.
    """

    folder: str
    names: tuple[str, ...] | None = None

    def __call__(self, item: str | os.PathLike[str]) -> list[Box]:
        """One box for each object; `LabelError` where the file cannot be read."""
        path = Beside(self.folder, ".xml")(item)
        try:
            objects = ElementTree.parse(path).getroot().iter("object")
            return [
                _box(element) for element in objects if self.names is None or element.findtext("name") in self.names
            ]
        except OSError as error:
            raise LabelError(f"annotation {path.name} cannot be read: {error.strerror}") from None
        except (ElementTree.ParseError, ValueError) as error:
            raise LabelError(f"annotation {path.name} must hold objects with a bndbox, but {error}") from None


def _box(element: ElementTree.Element) -> Box:
    left, top, right, bottom = (float(element.findtext(f"bndbox/{name}", "nothing")) for name in _CORNERS)
    return left - 1, top - 1, right, bottom


_CORNERS = ("xmin", "ymin", "xmax", "ymax")
