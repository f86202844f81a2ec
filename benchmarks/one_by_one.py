"""Our own transforms one at a time, on the draws of a plan: the naive way that fusing replaces, at its best.

`plan` is that of `fuse(transforms, one_by_one=True)`: a step for each transform.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..transforms.execute import run_images
from ..transforms.plan import Plan, Stage, from_pixels, to_pixels


def in_kernel(images: Tensor, plan: Plan, antialias: bool = True) -> Tensor:
    """Each step through the warp of one operation, bytes in between: `uint8[N, H, W, 3]` to `float32[N, 3, h, w]`."""
    *before, last = plan.steps
    for step in before:
        done = run_images(Plan((step,), plan.sizes), images, torch.uint8, channels_last=True, antialias=antialias)
        images = done.permute(0, 2, 3, 1)
    return run_images(Plan((last,), plan.sizes), images, antialias=antialias)


def in_torch(images: Tensor, plan: Plan) -> Tensor:
    """Each step by torch: `grid_sample` of float32 for a homography, arithmetic on the batch for a colour map."""
    batch = images.permute(0, 3, 1, 2).contiguous().float() / 255
    for step in plan.steps:
        if step.matrix is not None:
            assert step.size is not None
            batch = resample(batch, step.matrix, step.size)
        if Stage.LOGIT in step.colour:
            batch = affine(batch.clamp(1e-7, 1 - 1e-7).logit(), step.colour[Stage.LOGIT]).sigmoid()
        if Stage.RGB in step.colour:
            batch = affine(batch, step.colour[Stage.RGB])
    return batch


def resample(batch: Tensor, matrix: Any, size: tuple[int, int]) -> Tensor:
    """A batch `float32[N, 3, H, W]` through maps of continuous pixels, bilinear, reflected at the edges."""
    count, _, height, width = batch.shape
    source, leaves = (np.broadcast_to(np.array(s, np.float64), (count, 2)) for s in ((height, width), size))
    normalised = torch.from_numpy(from_pixels(source) @ matrix @ to_pixels(leaves)).float().to(batch.device)
    y, x = (torch.arange(n, dtype=torch.float32, device=batch.device).add(0.5).mul(2 / n).sub(1) for n in size)
    y, x = torch.meshgrid(y, x, indexing="ij")
    places = torch.stack([x, y, torch.ones_like(x)], -1).reshape(1, -1, 3) @ normalised.transpose(1, 2)
    grid = (places[..., :2] / places[..., 2:]).reshape(count, *size, 2)
    found: Tensor = F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    return found


def affine(batch: Tensor, maps: Any) -> Tensor:
    """Affine maps `[N, 3, 4]` of the channels; those that mix none are a scale and a shift."""
    maps = torch.from_numpy(np.ascontiguousarray(maps, np.float32))
    diagonal = torch.diagonal(maps[..., :3], dim1=1, dim2=2)
    shift = maps[..., 3, None, None].to(batch.device)
    if torch.equal(torch.diag_embed(diagonal), maps[..., :3]):
        return torch.addcmul(shift, batch, diagonal[..., None, None].to(batch.device))
    mixed: Tensor = torch.einsum("nij,njhw->nihw", maps[..., :3].to(batch.device), batch) + shift
    return mixed
