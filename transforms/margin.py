"""How much of what a pipeline makes is invented, and how large photos must be kept so that little is.

A pixel is invented where there is no photo behind it (it lies outside, and padding fills it in), or less than one
pixel of it (it is enlarged). The first does not depend on the size at which photos are kept, since every operation
is relative to its frame; the second does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UsageError
from .augment import Fused, fuse
from .execute import output_size

_GRID = 64
_LARGEST = 8192


@dataclass(frozen=True)
class Margin:
    """The shares of output pixels, over draws, that lie outside the photo, and that are enlarged."""

    presize: int
    outside: float
    enlarged: float


def margin(transforms: Iterable[Any] | Fused, presize: int, aspect: float = 4 / 3, draws: int = 256) -> Margin:
    """What a pipeline invents in training, for photos of this aspect whose short side is kept at `presize` pixels.

    >>> from .geometry import Resize
    >>> margin([Resize(224)], presize=112)
    Margin(presize=112, outside=0.0, enlarged=1.0)
    """
    if presize < 1:
        raise UsageError(f"presize must be at least 1 pixel, but got {presize}")
    if not aspect > 0 or draws < 1:
        raise UsageError(f"aspect must be above 0 and draws at least 1, but got {aspect} and {draws}")
    fused = transforms if isinstance(transforms, Fused) else fuse(transforms)
    plan = fused.plan(np.tile([presize, round(presize * aspect)], (draws, 1)), range(draws), split="train")
    h, w = output_size(plan)
    v, u = np.meshgrid((np.arange(_GRID) + 0.5) * h / _GRID, (np.arange(_GRID) + 0.5) * w / _GRID, indexing="ij")
    grid = np.stack([u.ravel(), v.ravel(), np.ones(u.size)])
    x, y, z = np.moveaxis(plan.matrix @ grid, 1, 0)  # each [draws, grid points]
    inside = (z > 0) & (x >= 0) & (x <= plan.sizes[:, 1:] * z) & (y >= 0) & (y <= plan.sizes[:, :1] * z)
    area = np.linalg.det(plan.matrix)[:, None] / z**3  # the Jacobian's determinant: pixels of the photo behind each
    enlarged = np.abs(area) < 1 - 1e-6
    return Margin(presize, float(1 - inside.mean()), float(enlarged.mean()))


def smallest_presize(
    transforms: Iterable[Any] | Fused, bound: float = 0.01, aspect: float = 4 / 3, draws: int = 256
) -> int:
    """The smallest short side at which at most `bound` of the pixels are enlarged.

    >>> from .geometry import Resize
    >>> smallest_presize([Resize(224)])
    224
    """
    fused = transforms if isinstance(transforms, Fused) else fuse(transforms)
    low, high = 1, _LARGEST
    if margin(fused, high, aspect, draws).enlarged > bound:
        raise UsageError(
            f"even photos of {high} pixels are enlarged in more than {bound:.0%}: the pipeline zooms too far"
        )
    while low < high:
        middle = (low + high) // 2
        if margin(fused, middle, aspect, draws).enlarged <= bound:
            high = middle
        else:
            low = middle + 1
    return low
