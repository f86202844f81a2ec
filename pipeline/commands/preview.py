"""What augmentation does to photos, as a picture: each photo beside some of its draws, pixel for pixel."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import UsageError
from ...transforms.augment import Fused, fuse
from ...transforms.transform_lists import Transforms
from ...transforms.types import TensorImage
from ..cache.open_cache import OpenCache, Row
from ..composition.show import save_picture, show
from ..datablock.dataloaders import TYPES
from ..dataset.spatial_targets import SPATIAL_KINDS
from ..loading.cache_rows import rows_of
from ..loading.loader import Loader
from ..service.remote_cache import open_cache
from .transform_texts import read_fused

DPI = 100
LETTER, LINE = 6, 14  # pixels that a letter and a line of captions take
GAP = 10  # pixels between pictures, and round them
LEAST = 144  # pixels of a picture's side; smaller ones are shown larger, each pixel as a square


def preview(
    cache: str | os.PathLike[str] | OpenCache,
    out: str | os.PathLike[str],
    transforms: str | Transforms | Fused,
    *,
    photos: int = 4,
    draws: int = 4,
    seed: int = 0,
    unfused: bool = False,
) -> Path:
    """Save a picture of `photos` rows of a cache: the photo, then its draws in the first epochs.

    `cache` is a folder, the address of a service, or opened.
    The draws are shown as they are, a pixel of the picture for each of theirs. Masks, points and boxes are drawn over
    both. With `unfused` each draw is followed by the same draw with one resampling for each operation. `transforms` may
    be a text (`transform_texts.read_transforms`), which is written below. Returns the path.

    Raises `UsageError` for numbers that leave no picture, and for a name whose ending is no format of pictures.
    """
    if photos < 1:
        raise UsageError(f"photos must be at least 1, but got {photos}")
    if draws < 1:
        raise UsageError(f"draws must be at least 1, but got {draws}")
    path, stored = Path(out), open_cache(cache)
    fused = read_fused(transforms) if isinstance(transforms, str) else _fuse(transforms)
    kinds = {name: target["kind"] for name, target in stored.targets.items() if target["kind"] in SPATIAL_KINDS}
    rows = rows_of(stored, targets=[*kinds])
    ways = {"one warp": fused, "one at a time": fuse([fused], one_by_one=True)}
    loaders = {name: Loader(rows, batch_tfms=way, seed=seed) for name, way in ways.items() if unfused or way is fused}
    lines = []
    for number in torch.linspace(0, len(stored) - 1, min(photos, len(stored))).long().tolist():
        row = stored.row(number)
        line = [Panel(torch.from_numpy(row.pixels.copy()).permute(2, 0, 1), row.places, _caption(row), photo=True)]
        for epoch in range(draws):
            for name, loader in loaders.items():
                x, y = loader.replay(row.key, epoch)
                image = fused.decode(TensorImage(x.float())).plain().clamp(0, 1)
                places = y if len(kinds) > 1 else dict.fromkeys(kinds, y)
                line.append(Panel(image, places, [f"epoch {epoch}", name] if unfused else [f"epoch {epoch}"]))
        lines.append(line)
    recipe = transforms if isinstance(transforms, str) else " | ".join(map(repr, fused.transforms))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(Sheet(lines, kinds, f"{recipe}, seed {seed}").pixels(), path)
    return path


def _fuse(transforms: Transforms | Fused) -> Fused:
    return transforms if isinstance(transforms, Fused) else fuse(transforms)


def _caption(row: Row) -> list[str]:
    label = ", ".join(map(str, row.label)) if isinstance(row.label, list) else row.label
    height, width = row.pixels.shape[:2]
    return [row.key, *([] if label is None else [str(label)]), f"{width} x {height}"]


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet with its caption; a `photo` may be made smaller, a draw is shown as it is."""

    image: Tensor  # [3, h, w]
    places: Mapping[str, Any]
    caption: list[str]
    photo: bool = False


@dataclass(frozen=True)
class Sheet:
    """Panels in lines and columns, at whole pixels, with captions above them and a text below."""

    lines: list[list[Panel]]
    kinds: Mapping[str, str]
    text: str
    scale: int = field(init=False)
    cell: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        height, width = np.max([p.image.shape[1:] for line in self.lines for p in line if not p.photo], axis=0).tolist()
        object.__setattr__(self, "scale", -(-LEAST // max(height, width)))
        object.__setattr__(self, "cell", (height * self.scale, max(width * self.scale, LEAST)))

    def pixels(self) -> "np.ndarray[Any, np.dtype[np.uint8]]":
        """The sheet, `uint8[h, w, 3]`."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        above = LINE * max(len(panel.caption) for line in self.lines for panel in line) + 4
        height, width = self.cell[0] + above + GAP, self.cell[1] + GAP
        whole = GAP + width * len(self.lines[0])
        text = wrap(self.text, (whole - 2 * GAP) // LETTER)
        tall = GAP + height * len(self.lines) + LINE * len(text) + GAP
        figure = Figure(figsize=(whole / DPI, tall / DPI), dpi=DPI, facecolor="white")
        for i, line in enumerate(self.lines):
            for j, panel in enumerate(line):
                self._draw(figure, panel, left=GAP + j * width, top=GAP + i * height, above=above)
        _write(figure, text, GAP, tall - GAP - LINE * len(text))
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def _draw(self, figure: Any, panel: Panel, left: int, top: int, above: int) -> None:
        whole, tall = (round(side * DPI) for side in figure.get_size_inches())
        height, width = (int(side) for side in panel.image.shape[1:])
        scale = min(self.cell[0] / height, self.cell[1] / width) if panel.photo else self.scale
        h, w = max(1, int(height * scale)), max(1, int(width * scale))
        x, y = left + (self.cell[1] - w) // 2, top + above + (self.cell[0] - h) // 2
        axes = figure.add_axes((x / whole, 1 - (y + h) / tall, w / whole, h / tall))
        targets = (TYPES[kind](panel.places[name]) for name, kind in self.kinds.items())
        show((TensorImage(panel.image), *targets), axes)
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="auto")
        axes.images[0].set_interpolation("antialiased" if panel.photo else "nearest")
        most = self.cell[1] // LETTER
        lines = [text if len(text) <= most else "…" + text[1 - most :] for text in panel.caption]
        _write(figure, lines, left, top)


def _write(figure: Any, lines: list[str], left: int, top: int) -> None:
    """Lines of text from a point on, in pixels from the upper left; signs of mathematics stay as they are."""
    whole, tall = (side * DPI for side in figure.get_size_inches())
    for i, line in enumerate(lines):
        place = left / whole, 1 - (top + i * LINE) / tall
        figure.text(*place, line, fontsize=7, family="monospace", va="top", color="#1c2733", parse_math=False)
