"""Points and boxes under a homography: they go the way of the image's pixels, by the same matrix.

The warp's matrices map output to source, so targets go through the inverse, and back through the matrix itself.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def move_points(points: Tensor, matrix: NDArray[np.floating]) -> Tensor:
    """Points `[..., n, 2]` through homographies `[..., 3, 3]`; one behind the horizon becomes NaN.

    >>> move_points(torch.tensor([[1.0, 2.0]]), np.diag([2.0, 3.0, 1.0])).tolist()
    [[2.0, 6.0]]
    """
    h = torch.as_tensor(np.ascontiguousarray(matrix), dtype=torch.float64)
    xyw = torch.cat([points.double(), torch.ones_like(points[..., :1], dtype=torch.float64)], -1) @ h.mT
    w = xyw[..., 2:]
    moved = torch.where(w > 0, xyw[..., :2] / w, torch.nan)
    return moved.to(points.dtype if points.dtype.is_floating_point else torch.float32)


def move_boxes(boxes: Tensor, matrix: NDArray[np.floating]) -> Tensor:
    """The upright boxes `[..., n, 4]` around the moved corners of boxes (left, top, right, bottom), unclipped.

    A box whose right is left of its left, or bottom above its top, is none: it becomes empty, four zeros.
    """
    left, top, right, bottom = boxes.unbind(-1)
    corners = torch.stack([left, top, right, top, right, bottom, left, bottom], -1)
    moved = move_points(corners.reshape(*boxes.shape[:-2], -1, 2), matrix).reshape(*boxes.shape[:-1], 4, 2)
    upright = ((right >= left) & (bottom >= top))[..., None]
    return torch.where(upright, torch.cat([moved.amin(-2), moved.amax(-2)], -1), 0.0)


def visibility(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The share of each box's area `[..., n, 4]` that lies in a frame of height and width `size`; 0 for no area."""
    inside = clip_boxes(boxes, size)
    whole = area(boxes)
    return torch.where(whole > 0, area(inside) / whole.clamp(min=1e-12), 0.0).nan_to_num(0.0)


def area(boxes: Tensor) -> Tensor:
    """The areas of boxes `[..., 4]`, in square pixels."""
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes cut to a frame of height and width `size`."""
    h, w = size
    high = torch.tensor([w, h, w, h], dtype=boxes.dtype, device=boxes.device)
    return torch.minimum(boxes.clamp(min=0), high)


def keep_visible(boxes: Tensor, size: tuple[int, int], at_least: float) -> Tensor:
    """Boxes cut to the frame; those of which less than `at_least` is visible become empty: four zeros.

    So the number of boxes stays, and their labels stay beside them; `area(boxes) > 0` says which are left.
    """
    shown = visibility(boxes, size)
    return torch.where((shown >= max(at_least, 1e-9))[..., None], clip_boxes(boxes, size), 0.0)
