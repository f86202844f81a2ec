"""What a picture is under a map: the cubic spline through its pixels, sampled densely, in double precision."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDependencyError
from .measuring import homographies

Array = NDArray[np.float64]


class Spline:
    """The cubic B-spline through the pixels of an image `uint8[H, W, 3]`.

    Raises `MissingDependencyError` without scipy, which is in the `bench` extra.
    """

    def __init__(self, image: NDArray[np.uint8]) -> None:
        try:
            from scipy import ndimage
        except ImportError:
            raise MissingDependencyError("quality must have scipy, which is not installed: pip install scipy") from None
        self._evaluate: Any = ndimage.map_coordinates
        self._weights = [
            ndimage.spline_filter(image[..., c].astype(np.float64), order=3, mode="reflect") for c in range(3)
        ]

    def under(self, matrix: Array, size: int, samples: int = 8) -> Array:
        """Through a map from output to source: the mean of `samples` x `samples` in each pixel, `[size, size, 3]`."""
        x, y = homographies.positions(matrix, size, samples)
        planes = [
            self._evaluate(weights, [y - 0.5, x - 0.5], order=3, mode="reflect", prefilter=False)
            for weights in self._weights
        ]
        return np.stack([homographies.box_means(plane, samples) for plane in planes], -1)


def psnr(found: NDArray[Any], expected: Array, kept: NDArray[np.bool_]) -> float:
    """In dB of grey levels, over the pixels `kept`, both limited to 0..255."""
    off = (np.clip(found, 0, 255) - np.clip(expected, 0, 255))[kept]
    return float(10 * np.log10(255**2 / max(float(np.mean(off * off)), 1e-12)))
