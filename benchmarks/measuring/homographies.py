"""Maps of a chain of operations, each from what it leaves to what it got, in continuous pixels.

A chain is a list of such maps in the order in which they are applied to the image, so their product, from left to
right, is the map from the output to the source.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
HALF = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
"""Indices of pixels to continuous pixels: centres lie at .5."""


def compose(chain: Sequence[Array]) -> Array:
    """The map of the whole chain, `[3, 3]`."""
    return reduce(np.matmul, chain)


def of_indices(matrix: Array) -> Array:
    """A map of continuous pixels, `[..., 3, 3]`, as one of indices of pixels, as OpenCV has it."""
    return np.asarray(np.linalg.inv(HALF) @ matrix @ HALF)


def of_normalised(matrix: Array, side: int, corners: bool = False) -> Array:
    """A map of -1..1, as `grid_sample` has it, as one of the continuous pixels of a square of `side`.

    With `corners`, -1 and 1 are the centres of the outermost pixels (`align_corners=True`), else their outer edges.
    """
    scale, middle = (side - 1) / 2 if corners else side / 2, side / 2
    pixels = np.array([[scale, 0, middle], [0, scale, middle], [0, 0, 1]])
    return np.asarray(pixels @ matrix @ np.linalg.inv(pixels))


def of_crop(x: float, y: float, side: float, size: int, corners: bool = False) -> Array:
    """The map of a square crop at `x`, `y` of `side` pixels, resized to `size`."""
    if corners:
        k = (side - 1) / (size - 1)
        return np.array([[k, 0, x + (1 - k) / 2], [0, k, y + (1 - k) / 2], [0, 0, 1]])
    k = side / size
    return np.array([[k, 0, x], [0, k, y], [0, 0, 1]], np.float64)


def positions(matrix: Array, size: int, samples: int = 1) -> tuple[Array, Array]:
    """Where the output's pixels, or `samples` x `samples` evenly spread in each, fall in the source: x and y."""
    steps = (np.arange(size * samples) + 0.5) / samples
    v, u = np.meshgrid(steps, steps, indexing="ij")
    x, y, w = np.tensordot(matrix, np.stack([u, v, np.ones_like(u)]), 1)
    return x / w, y / w


def inside(chain: Sequence[Array], side: int, size: int, margin: float = 4) -> NDArray[np.bool_]:
    """Which pixels of the output lie at least `margin` pixels inside every frame of the chain, `bool[size, size]`."""
    kept = np.zeros((size, size), bool)
    edge = int(margin)
    kept[edge : size - edge, edge : size - edge] = True
    for start in range(len(chain)):
        x, y = positions(compose(chain[start:]), size)
        kept &= (np.minimum(x, y) > margin) & (np.maximum(x, y) < side - margin)
    return kept


def box_means(images: NDArray[Any], side: int) -> NDArray[Any]:
    """Means over boxes of `side` x `side` pixels of `[..., h, w]`, whose sides are multiples of it."""
    h, w = images.shape[-2:]
    return np.asarray(images.reshape(*images.shape[:-2], h // side, side, w // side, side).mean((-3, -1)))
