"""What augmentation does to photos, as a picture: each photo beside some of its draws."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError
from ..transforms.augment import Fused, fuse
from ..transforms.types import TensorImage
from .cache import Cache
from .dataloaders import TYPES
from .loader import Loader
from .loading.cached_rows import CacheRows
from .placing import PLACES
from .show import show


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

    Masks, points and boxes are drawn over both. With `unfused` each draw is followed by the same draw with one
    resampling for each operation. Returns the path.
    """
    from matplotlib.figure import Figure

    stored, fused = Cache.open(cache), transforms if isinstance(transforms, Fused) else fuse(transforms)
    if photos < 1 or draws < 1:
        raise UsageError(f"photos and draws must be at least 1, but got {photos} and {draws}")
    numbers = torch.linspace(0, len(stored) - 1, min(photos, len(stored))).long().tolist()
    shapes = {name: target["kind"] for name, target in stored.targets.items() if target["kind"] in PLACES}
    rows = CacheRows(stored, targets=[*shapes])
    ways = {"one warp": fused, "one at a time": fuse([fused], one_by_one=True)}
    loaders = {name: Loader(rows, batch_tfms=way, seed=seed) for name, way in ways.items() if unfused or way is fused}
    columns = 1 + draws * (2 if unfused else 1)
    figure = Figure(figsize=(2 * columns, 2.2 * len(numbers)), layout="constrained")
    grid = figure.subplots(len(numbers), columns, squeeze=False)
    for line, number in zip(grid, numbers, strict=True):
        row = stored.row(number)
        photo = torch.from_numpy(row.pixels.copy()).permute(2, 0, 1)
        _picture(line[0], photo, row.places, shapes, row.key if row.label is None else str(row.label))
        cells = iter(line[1:])
        for epoch in range(draws):
            for name, loader in loaders.items():
                x, y = loader.replay(row.key, epoch)
                shown = fused.decode(TensorImage(x.float())).plain().clamp(0, 1)
                title = f"epoch {epoch}" + (f", {name}" if unfused else "")
                _picture(next(cells), shown, y if len(shapes) > 1 else dict.fromkeys(shapes, y), shapes, title)
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def _picture(axes: Any, image: Tensor, places: Mapping[str, Any], kinds: Mapping[str, str], title: str) -> None:
    drawn = (TensorImage(image), *(TYPES[kind](places[name]) for name, kind in kinds.items()))
    show(drawn, axes, title if len(title) <= 26 else "…" + title[-25:])
