"""Answers taken back to the file's own pixels: EXIF, presizing and augmentation undone by the batch's one matrix."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..transforms.warp import OutSpec, warp_mask


def masks_on_originals(masks: Tensor, matrix: Tensor, sizes: list[tuple[int, int]], fill: int = 0) -> list[Tensor]:
    """Masks `int[N, h, w]` of a batch as masks of the original files, of `sizes` (height, width); unseen is `fill`.

    `matrix` is the batch's, `float64[N, 3, 3]`, from its pixels to the originals'.

    Raises `UsageError` where the three do not belong together.
    """
    if not len(masks) == len(matrix) == len(sizes):
        raise UsageError(f"masks, matrix and sizes must be as many, but got {len(masks)}, {len(matrix)}, {len(sizes)}")
    back = torch.from_numpy(np.linalg.inv(matrix.cpu().numpy()).astype(np.float32))
    done = []
    for mask, inverse, size in zip(masks, back, sizes, strict=True):
        done.append(warp_mask([mask.cpu()], inverse[None], OutSpec(size, padding="zeros"), fill)[0])
    return done


def points_on_originals(points: Tensor, batch: Any) -> Tensor:
    """Points `float[N, n, 2]` of a batch in the pixels of the original files, `float64`."""
    return torch.as_tensor(batch.original_points(points.cpu()))
