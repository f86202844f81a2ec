"""What augmentation does to photos, as a picture: each photo beside some of its draws."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from ..errors import UsageError
from ..transforms.augment import Fused, fuse
from ..transforms.types import TensorImage
from .cache import Cache
from .show import displayable


def preview(
    cache: str | os.PathLike[str],
    out: str | os.PathLike[str],
    transforms: Iterable[Any] | Fused,
    *,
    photos: int = 4,
    draws: int = 4,
    seed: int = 0,
    unfused: bool = False,
) -> Path:
    """Save a picture of `photos` rows of a cache: the photo, then its draws in the first epochs.

    With `unfused` each draw is followed by the same draw with one resampling for each operation. Returns the path.
    """
    from matplotlib.figure import Figure

    stored, fused = Cache.open(cache), transforms if isinstance(transforms, Fused) else fuse(transforms)
    if photos < 1 or draws < 1:
        raise UsageError(f"photos and draws must be at least 1, but got {photos} and {draws}")
    numbers = torch.linspace(0, len(stored) - 1, min(photos, len(stored))).long().tolist()
    naive = fuse([fused], one_by_one=True)
    columns = 1 + draws * (2 if unfused else 1)
    figure = Figure(figsize=(2 * columns, 2.2 * len(numbers)), layout="constrained")
    grid = figure.subplots(len(numbers), columns, squeeze=False)
    for line, number in zip(grid, numbers, strict=True):
        row = stored.row(number)
        pixels = torch.from_numpy(row.pixels.copy())
        title = row.key if row.label is None else str(row.label)
        _picture(line[0], row.pixels, title)
        cells = iter(line[1:])
        for epoch in range(draws):
            for way, name in ((fused, "one warp"), (naive, "one at a time"))[: 2 if unfused else 1]:
                x = way(pixels[None].contiguous(), keys=[row.key], seed=seed, epoch=epoch, split="train")[0]
                shown = fused.decode(TensorImage(x.float()))
                _picture(next(cells), displayable(shown.plain()), f"epoch {epoch}" + (f", {name}" if unfused else ""))
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def _picture(axes: Any, pixels: Any, title: str) -> None:
    axes.imshow(pixels, interpolation="antialiased")
    axes.set_title(title if len(title) <= 26 else "…" + title[-25:], fontsize=8)
    axes.axis("off")
