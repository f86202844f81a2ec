"""Masks, points and boxes: whether they fit their photo, and moved from its file into the pixels of a row."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import LabelError
from ...transforms.targets import move_boxes, move_points
from ...transforms.warp import OutSpec, warp_mask

Size = tuple[int, int]
"""Height and width."""

SPATIAL_KINDS = ("mask", "points", "boxes")


def to_row_pixels(kind: str, value: Tensor, size: Size, to_file: NDArray[np.float64], file_size: Size) -> Tensor:
    """A mask `[h, w]`, points `[n, 2]` or boxes `[n, 4]`, given in pixels of the file, in pixels of the row.

    The row has `size`, and `to_file` `float64[3, 3]` leads from its pixels to the file's. A mask takes the label at
    each pixel's centre, 0 beyond the photo. Raises `LabelError` for what does not fit a file of `file_size`.

    >>> to_row_pixels("points", torch.tensor([[4.0, 2.0]]), (4, 4), np.diag([2.0, 2.0, 1.0]), (8, 8)).tolist()
    [[2.0, 1.0]]
    """
    _CHECKS[kind](value, *file_size)
    if kind == "mask":
        matrix = torch.from_numpy(to_file.astype(np.float32))[None]
        return warp_mask(value[None], matrix, OutSpec(size, padding="zeros"))[0]
    move = move_points if kind == "points" else move_boxes
    return move(value, np.linalg.inv(to_file))


def size_of_file(size: Size, to_file: NDArray[np.float64]) -> Size:
    """The size of a file that a row of `size` shows all of, given the matrix from its pixels to the file's.

    >>> size_of_file((30, 20), np.array([[0.0, 2, 0], [-2, 0, 40], [0, 0, 1]]))    # turned by 90 degrees
    (40, 60)
    """
    wide, tall = np.abs(to_file[:2, :2] @ [size[1], size[0]])
    return round(tall), round(wide)


def _check_mask(mask: Tensor, height: int, width: int) -> None:
    if mask.shape != (height, width):
        actual = " x ".join(map(str, reversed(mask.shape)))
        raise LabelError(f"must have the size of its photo's file, {width} x {height}, but has {actual}")


def _check_points(points: Tensor, height: int, width: int) -> None:
    x, y = points.unbind(-1)
    _refuse(points, ~((x >= 0) & (x <= width) & (y >= 0) & (y <= height)), "point", f"lie in 0..{width} x 0..{height}")


def _check_boxes(boxes: Tensor, height: int, width: int) -> None:
    left, top, right, bottom = boxes.unbind(-1)
    upright = (left <= right) & (top <= bottom) & boxes.isfinite().all(-1)
    _refuse(boxes, ~upright, "box", "be (left, top, right, bottom)")
    actual = (right >= 0) & (bottom >= 0) & (left <= width) & (top <= height)
    _refuse(boxes, ~actual, "box", f"touch its photo, 0..{width} x 0..{height}")


def _refuse(values: Tensor, wrong: Tensor, name: str, expected: str) -> None:
    for row in wrong.nonzero()[:1, 0].tolist():
        actual = ", ".join(f"{number:g}" for number in values[row].tolist())
        raise LabelError(f"{name} {row} must {expected}, but is ({actual})")


_CHECKS = {"mask": _check_mask, "points": _check_points, "boxes": _check_boxes}
