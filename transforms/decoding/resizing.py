"""Presizing: a decoded picture to the size that the cache keeps, and the matrix back to the file's own pixels."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from ...errors import ResourceError, UsageError
from ..warp import cpu, native
from .decode import Matrix, Picture, Pixels
from .orientation import flips, swaps_axes, turn, upright_to_file


@dataclass(frozen=True)
class Sizing:
    """What size a picture gets.

    Without `square` the aspect is kept and the short side is at most `size`, or exactly that with `enlarge`. With
    `square` the result is `size` x `size`, enlarged where it must be: `crop` takes the centre, `squish` all of it
    with the aspect lost, `pad` all of it with the aspect kept between black borders.

    >>> Sizing(460).size_for(375, 500), Sizing(300).size_for(375, 500), Sizing(460, enlarge=True).size_for(375, 500)
    ((375, 500), (300, 400), (460, 613))
    """

    size: int = 460
    square: Literal["crop", "squish", "pad"] | None = None
    enlarge: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or self.size < 1:
            raise UsageError(f"size must be a number of pixels from 1 up, but got {self.size!r}")
        if self.square not in (None, "crop", "squish", "pad"):
            raise UsageError(f"square must be crop, squish, pad or None, but got {self.square!r}")

    def size_for(self, height: int, width: int) -> tuple[int, int]:
        """The size (height, width) that an upright picture of `height` x `width` gets."""
        if self.square is not None:
            return self.size, self.size
        short = min(height, width)
        if short <= self.size and not self.enlarge:
            return height, width
        return _scale(height, self.size, short), _scale(width, self.size, short)

    def content(self, height: int, width: int) -> tuple[int, int]:
        """The part of that size which the picture fills: all of it, but for `pad`."""
        if self.square != "pad":
            return self.size_for(height, width)
        long = max(height, width)
        return _scale(height, self.size, long), _scale(width, self.size, long)


def resize(picture: Picture, sizing: Sizing) -> tuple[Pixels, Matrix]:
    """The picture upright at its size, `uint8[h, w, 3]` contiguous, and the matrix from its pixels to the file's.

    The matrix is `float64[3, 3]` on continuous pixels. Antialiased by torch's triangle filter on bytes, as wide as the
    reduction, or where nothing is reduced by a plain warp, which is the same in half of the time. The picture is turned
    last, when it is small.
    """
    swap = swaps_axes(picture.orientation)
    size = picture.size[::-1] if swap else picture.size
    height, width = sizing.content(*size)
    top, left, tall, wide = _region(picture, sizing)
    content = (width, height) if swap else (height, width)
    pixels = turn(_resample(picture, (top, left, tall, wide), content), picture.orientation)
    to_file = _to_file(picture, (top, left, tall, wide), content) @ upright_to_file(picture.orientation, *content)
    if sizing.square == "pad":
        pixels, to_file = _pad(pixels, to_file, sizing.size)
    return np.ascontiguousarray(pixels), to_file


def _scale(length: int, size: int, whole: int) -> int:
    """`length * size / whole`, rounded half up, at least 1."""
    return max(1, (2 * length * size + whole) // (2 * whole))


def _region(picture: Picture, sizing: Sizing) -> tuple[int, int, float, float]:
    """The part of the decoded pixels to resample: top and left, whole, and height and width, which need not be."""
    tall, wide = (length / picture.scale for length in picture.size)
    if sizing.square != "crop":
        return 0, 0, tall, wide
    side = min(tall, wide)
    flip_y, flip_x = flips(picture.orientation)
    return _centre(tall, side, flip_y), _centre(wide, side, flip_x), side, side


def _centre(length: float, side: float, flipped: bool) -> int:
    """Where the centre begins, rounded so that a picture and its mirror image keep the same part."""
    spare = (length - side) / 2
    return int(np.ceil(spare)) if flipped else int(spare)


def _resample(picture: Picture, region: tuple[int, int, float, float], size: tuple[int, int]) -> Pixels:
    """`region` (top, left, height, width) of the pixels at `size`."""
    top, left, tall, wide = region
    kept = size[0] == tall and size[1] == wide
    if native.extension and not kept and size[0] >= tall and size[1] >= wide and not picture.profile:
        # A triangle filter that reduces nothing is a bilinear one, which takes half of the time that torch takes; at
        # the region's edges it reads the pixels beside the region.
        return cpu.bilinear(np.ascontiguousarray(picture.raw), region, size)
    part = picture.part(top, left, int(np.ceil(tall)), int(np.ceil(wide)))
    if kept:
        return part
    # Rows without gaps and a batch's axis in front: only so torch takes pixels as they are, and gives them back so.
    channels_last = torch.from_numpy(np.ascontiguousarray(part)).unsqueeze(0).permute(0, 3, 1, 2)
    # The operator behind `interpolate(antialias=True)`; it takes the scales where the region ends inside a pixel.
    scales = size[0] / tall, size[1] / wide
    try:
        resized = torch.ops.aten._upsample_bilinear2d_aa(channels_last, size, False, *scales)
    except RuntimeError as error:  # so torch says that there is no memory
        raise ResourceError(f"a picture of {size[0]} x {size[1]} pixels cannot be made: {error}") from error
    result: Pixels = resized[0].permute(1, 2, 0).numpy()
    return result


def _to_file(picture: Picture, region: tuple[int, int, float, float], size: tuple[int, int]) -> Matrix:
    """From resampled pixels, still turned as in the file, to the file's."""
    top, left, tall, wide = region
    x, y = wide / size[1] * picture.scale, tall / size[0] * picture.scale
    return np.array([[x, 0, left * picture.scale], [0, y, top * picture.scale], [0, 0, 1.0]])


def _pad(pixels: Pixels, to_file: Matrix, size: int) -> tuple[Pixels, Matrix]:
    height, width = pixels.shape[:2]
    top, left = (size - height) // 2, (size - width) // 2
    padded = np.zeros((size, size, 3), np.uint8)
    padded[top : top + height, left : left + width] = pixels
    return padded, to_file @ np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
