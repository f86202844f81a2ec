"""What a warp's arguments must be; everything is refused here, before a pixel is read."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...errors import WarpError
from .outspec import OutSpec
from .packed import Packed

LEAST_DETERMINANT = 1e-14
"""A homography whose determinant is smaller, beside the product of its rows' lengths, has no inverse in float32."""
_NEXT, _LAST = [1, 2, 0], [2, 0, 1]


def check_images(images: Tensor | Packed) -> tuple[int, torch.device]:
    """How many images there are, and where; `WarpError` unless they are images."""
    if isinstance(images, Packed):
        _check_packed(images)
        return len(images.offsets), images.data.device
    if not isinstance(images, Tensor):
        raise WarpError(f"images must be a tensor [N, H, W, 3] or Packed, but got {type(images).__name__}")
    if images.dim() != 4 or images.shape[-1] != 3:
        raise WarpError(f"images must be [N, H, W, 3], but got {list(images.shape)}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise WarpError(f"images must be uint8 or floating (then in 0..1), but got {images.dtype}")
    if 0 in images.shape[1:3]:
        raise WarpError(f"images must have at least one pixel, but got {list(images.shape)}")
    return len(images), images.device


def _check_packed(images: Packed) -> None:
    parts = (("data", images.data, torch.uint8, 1), ("offsets", images.offsets, torch.int64, 1))
    for name, value, dtype, dims in (*parts, ("sizes", images.sizes, torch.int32, 2)):
        if not isinstance(value, Tensor) or value.dtype != dtype or value.dim() != dims:
            seen = f"{value.dtype}{list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise WarpError(f"Packed {name} must be {dtype} with {dims} axes, but got {seen}")
    if images.sizes.shape != (len(images.offsets), 2):
        raise WarpError(f"Packed sizes must be [{len(images.offsets)}, 2], but got {list(images.sizes.shape)}")
    if images.sizes.device.type != "cpu" or not len(images.offsets):
        return  # On a GPU reading the values would wait for the device: the kernel itself keeps within the data.
    if int(images.sizes.min()) < 1:
        raise WarpError(f"Packed images must have at least one pixel, but got sizes {images.sizes.tolist()[:8]}")
    ends = images.offsets + images.sizes[:, 0].long() * images.sizes[:, 1] * 3
    if int(images.offsets.min()) < 0 or int(ends.max()) > len(images.data):
        row = int(((images.offsets < 0) | (ends > len(images.data))).nonzero()[0])
        raise WarpError(
            f"Packed image {row} must lie within the {len(images.data)} bytes of data, "
            f"but it takes bytes {int(images.offsets[row])} to {int(ends[row])}"
        )


def check_homography(homography: Tensor, count: int, device: torch.device) -> None:
    """`WarpError` unless these are `count` homographies with inverses."""
    check_parameter("homography", homography, [(count, 3, 3)], device)
    check_invertible(homography)


def check_invertible(homography: Tensor) -> None:
    """`WarpError` unless homographies `[N, 3, 3]` in host memory have inverses; `check` of cpu_warp.h says the same."""
    if homography.device.type != "cpu" or not len(homography):
        return  # As above: a NaN there is no positive w, so the kernel makes it fill.
    rows = homography.detach().numpy().astype(np.float64)
    a, b, c = rows[:, 0], rows[:, 1], rows[:, 2]
    with np.errstate(invalid="ignore"):  # of infinities, which are no number then
        volume = np.abs((a * (b[:, _NEXT] * c[:, _LAST] - b[:, _LAST] * c[:, _NEXT])).sum(1))
        good = volume > LEAST_DETERMINANT * np.sqrt((rows * rows).sum(2).prod(1))
    if good.all():
        return
    row = int(good.argmin())
    if np.isfinite(rows[row]).all():
        raise WarpError(f"homography must have an inverse, but row {row} is {rows[row].tolist()}")
    raise WarpError(
        f"homography must be finite, but row {row} is {rows[row].tolist()}; a division by zero upstream does this"
    )


def check_parameter(name: str, value: Tensor, shapes: Sequence[tuple[int, ...]], device: torch.device) -> None:
    """`WarpError` unless `value` is a float32 tensor of one of these shapes on this device."""
    if not isinstance(value, Tensor) or value.dtype != torch.float32 or value.shape not in shapes:
        wanted = " or ".join(str(list(shape)) for shape in shapes)
        seen = f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise WarpError(f"{name} must be a float32 tensor {wanted}, but got {seen}")
    if value.device != device:
        raise WarpError(f"{name} must be on the images' device {device}, but got {value.device}")


def check_colour(
    count: int,
    device: torch.device,
    logit: Tensor | None,
    colour: Tensor,
    hue: Tensor | None,
    table: Tensor | None,
    erase: Tensor | None,
) -> None:
    """`WarpError` unless these are the parameters of `count` colour maps."""
    check_parameter("colour", colour, [(count, 3, 4)], device)
    optional: list[tuple[str, Tensor | None, list[tuple[int, ...]]]] = [
        ("logit", logit, [(count, 3, 4)]),
        ("hue", hue, [(count,)]),
        ("table", table, [(count, 256)]),
        ("erase", erase, [(count, 4), (count, 7)]),
    ]
    for name, value, shapes in optional:
        if value is not None:
            check_parameter(name, value, shapes, device)


def check_masks(masks: Tensor | Sequence[Tensor]) -> tuple[int, torch.device]:
    """How many masks there are, and where; `WarpError` unless they are integer masks of one kind."""
    if isinstance(masks, Tensor):
        if masks.dim() != 3:
            raise WarpError(f"masks must be [N, H, W], but got {list(masks.shape)}")
        each: list[Tensor] = [masks[0]] if len(masks) else []
    else:
        each = list(masks)
    for mask in each:
        if not isinstance(mask, Tensor) or mask.dim() != 2 or 0 in mask.shape:
            raise WarpError("a mask must be a tensor [H, W] with at least one pixel")
        if mask.is_floating_point() or mask.is_complex():
            raise WarpError(f"masks must be integers or bool (labels are never interpolated), but got {mask.dtype}")
        if mask.dtype != each[0].dtype or mask.device != each[0].device:
            raise WarpError("masks must all have one dtype and lie on one device")
    device = masks.device if isinstance(masks, Tensor) else each[0].device if each else torch.device("cpu")
    return len(masks), device


def check_outspec(out: OutSpec) -> None:
    """`WarpError` unless it is an `OutSpec`."""
    if not isinstance(out, OutSpec):
        raise WarpError(f"out must be an OutSpec, but got {type(out).__name__}; write OutSpec(size=(h, w))")


def check_fill(fill: int, dtype: torch.dtype) -> None:
    """`WarpError` unless a label of masks of this dtype can be `fill`."""
    low, high = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    if int(fill) != fill or not low <= fill <= high:
        raise WarpError(f"fill must be a label in {low}..{high}, as {dtype} holds, but got {fill}")
