"""How a cache grows: with which settings its photos are presized, and where their labels and splits come from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ...errors import CacheError, LabelError, UsageError
from ...transforms.decoding.resizing import Sizing
from ..cache.atomic_files import write_whole
from ..cache.encodings import Encoding
from ..cache.recipe import Recipe, canonical, differences
from ..composition.spec import to_spec
from ..dataset.item_labels import Labeller
from ..dataset.labels import ColReader, labeller_from
from ..dataset.sources import TableRow
from ..dataset.splits import ColSplitter, Splitter, splitter_from

SETTINGS, _VERSION = "settings.json", 1
_MOST_LETTERS, _MOST_LABELS = 1024, 1024
_WHOLE = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True)
class GrowthSettings:
    """What `presize` is told of the photos of a cache that grows, as its arguments of these names tell it.

    With `label="column:label"` the label comes with each photo, and with `"column:label:;"` several of them; otherwise
    it is made of the key. With `split="column:split"` the split comes with each photo. Raises `UsageError` for settings
    that cannot be used.
    """

    size: int = 460
    label: str = "none"
    split: str = "none"
    encoding: Encoding | Literal["auto"] = "auto"
    square: Literal["crop", "squish", "pad"] | None = None
    enlarge: bool = False
    jpeg_quality: int = 95

    def __post_init__(self) -> None:
        self.recipe("raw" if self.encoding == "auto" else self.encoding)
        if isinstance(self.labeller, ColReader) and self.labeller.cols != "label":
            raise UsageError(
                f"label must be column:label where it comes with each photo, but got column:{self.labeller.cols}"
            )
        if isinstance(self.splitter, ColSplitter) and self.splitter.col != "split":
            raise UsageError(
                f"split must be column:split where it comes with each photo, but got column:{self.splitter.col}"
            )

    @cached_property
    def labeller(self) -> Labeller | None:
        """What makes the label of a photo."""
        return labeller_from(self.label)

    @cached_property
    def splitter(self) -> Splitter | None:
        """What says which split a photo belongs to."""
        return splitter_from(self.split)

    def recipe(self, encoding: Encoding) -> Recipe:
        """How a photo becomes a row, once `auto` is an encoding."""
        sizing = Sizing(self.size, self.square, self.enlarge)
        return Recipe(sizing, encoding=encoding, jpeg_quality=self.jpeg_quality)

    def fault(self, key: str, label: object, split: object) -> str | None:
        """Why the label and the split that come with a photo are refused; None where they are all right."""
        return self._label_fault(key, label) or self._split_fault(split)

    def refuse_other(self, name: str, footer: dict[str, Any]) -> None:
        """Raise `CacheError` where the cache `name`, which has this footer, was made with other settings."""
        stored = footer["pixels"]
        recipe = self.recipe(stored["encoding"] if self.encoding == "auto" else self.encoding)
        ours = to_spec({"label": self.labeller, "split": self.splitter})["items"]
        theirs = [item for item in footer["pipeline"]["items"] if item[0] in ("label", "split")]
        changes = differences(stored, recipe.pixels())
        changes += [] if canonical(theirs) == canonical(ours) else [f"label and split were {canonical(theirs)}"]
        if changes:
            raise CacheError(
                f"cache {name} was made with other settings ({'; '.join(changes)}): it grows with the same ones alone"
            )

    def _label_fault(self, key: str, label: object) -> str | None:
        if not isinstance(self.labeller, ColReader):
            if label is not None:
                return f"has a label, but this cache makes labels by {self.label!r}: send none"
            try:
                if self.labeller is not None:
                    self.labeller(TableRow(key, {}))
            except LabelError as error:
                return str(error)
            return None
        if label is None:
            return None
        several = self.labeller.label_delim is not None
        if isinstance(label, list) != several and not (several and isinstance(label, str)):
            kind = "a list of labels" if several else "one label, a text or a whole number"
            return f"label must be {kind}, but got {_short(label)}"
        labels: Sequence[object] = label if isinstance(label, list) else [label]
        if len(labels) > _MOST_LABELS:
            return f"has {len(labels)} labels, and may have {_MOST_LABELS}"
        wrong = next((entry for entry in labels if not (_is_text(entry) or _is_number(entry))), None)
        return f"label must be a text or a whole number, but got {_short(wrong)}" if wrong is not None else None

    def _split_fault(self, split: object) -> str | None:
        if split is None or (isinstance(self.splitter, ColSplitter) and (isinstance(split, bool) or _is_text(split))):
            return None
        if isinstance(self.splitter, ColSplitter):
            return f"split must be a text, true or false, but got {_short(split)}"
        return f"has a split, but this cache makes splits by {self.split!r}: send none"


def settle(folder: Path, settings: GrowthSettings | Mapping[str, Any] | None) -> GrowthSettings:
    """The settings in a folder, which become `settings` where there are none yet.

    Of a mapping only the settings that it has are compared, and the others are the defaults where there are none yet.
    Raises `UsageError` for settings that cannot be used, or that are others than those in the folder.
    """
    path = folder / SETTINGS
    changes = asdict(settings) if isinstance(settings, GrowthSettings) else settings or {}
    if not path.exists():
        settled = GrowthSettings(**changes)
        write_whole(path, canonical({"version": _VERSION, **asdict(settled)}).encode() + b"\n")
        return settled
    stored = _read(path)
    if replace(stored, **changes) != stored:
        others = "; ".join(differences({name: getattr(stored, name) for name in changes}, changes))
        raise UsageError(f"{folder} was begun with other settings ({others}): leave them out, or give the same ones")
    return stored


def _read(path: Path) -> GrowthSettings:
    try:
        values = json.loads(path.read_bytes())
        if values.pop("version") != _VERSION or values.keys() != {field.name for field in fields(GrowthSettings)}:
            raise ValueError("it is of another version of onewarp")
        return GrowthSettings(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CacheError(
            f"{path} cannot be read ({error}): put it back, or delete its folder and send all again"
        ) from None


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and len(value) <= _MOST_LETTERS and value.encode() is not None
    except UnicodeEncodeError:  # half of a pair
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _WHOLE


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
