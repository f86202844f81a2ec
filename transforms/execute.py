"""A plan carried out: on images by the warp, on masks by nearest samples, on points and boxes by the inverse matrix."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UsageError
from .plan import Array, Plan, Stage, Step
from .random_transform import Keys, Params, RandTransform
from .targets import keep_visible, move_boxes, move_points
from .transform import Transform
from .types import (
    TensorBBox,
    TensorImage,
    TensorMask,
    TensorPoint,
    check_pixels,
    from_torchvision,
    sizes_of,
    to_torchvision_like,
)
from .warp import OutSpec, warp, warp_mask
from .warp.outspec import Padding
from .warp.packed import Packed

Images = Tensor | Packed
"""`uint8[N, H, W, 3]`, or packed."""


def call(planned: Callable[[NDArray[np.int64], Keys], Plan], x: Any, keys: Keys, **how: Any) -> Any:
    """`x` under the plan for the sizes and keys of its images; an empty batch goes the way of one image."""
    if isinstance(x, Tensor) and x.ndim == 4 and not len(x):
        one = torch.zeros(1, *x.shape[1:], dtype=x.dtype, device=x.device).as_subclass(type(x))
        return call(planned, one, None, **how)[:0]
    return run(planned(sizes_of(x), keys), x, **how)


def run(
    plan: Plan,
    x: Any,
    *,
    dtype: torch.dtype = torch.float32,
    channels_last: bool = False,
    antialias: bool = True,
    min_visible: float = 0.25,
) -> Any:
    """A sample or batch under a plan; of a tuple each element by its type, and what is no picture or place passes.

    A typed image, `[3, h, w]` or `[N, 3, h, w]`, keeps its dtype; a plain batch becomes `[N, 3, h, w]` of `dtype`.
    Raises `UsageError` for images of floats that are not in 0..1.
    """
    if type(x) is tuple:
        how: dict[str, Any] = {
            "dtype": dtype,
            "channels_last": channels_last,
            "antialias": antialias,
            "min_visible": min_visible,
        }
        return tuple(run(plan, element, **how) for element in x)
    done = _run_one(plan, from_torchvision(x), dtype, channels_last, antialias, min_visible)
    return to_torchvision_like(x, done, plan.size) if done is not x else x


def _run_one(plan: Plan, x: Any, dtype: torch.dtype, channels_last: bool, antialias: bool, min_visible: float) -> Any:
    match x:
        case TensorImage():
            return TensorImage(_run_image(plan, x.plain(), antialias))
        case TensorMask():
            masks = x.plain() if x.ndim == 3 else x.plain()[None]
            moved = run_masks(plan, list(masks))
            return TensorMask(moved if x.ndim == 3 else moved[0])
        case TensorPoint():
            return TensorPoint(run_points(plan, x.plain()))
        case TensorBBox():
            return TensorBBox(run_boxes(plan, x.plain(), min_visible))
        case Packed():
            return run_images(plan, x, dtype, channels_last, antialias)
        case Tensor(ndim=4, shape=(_, _, _, 3)) if type(x) is Tensor:
            check_pixels(x)
            return run_images(plan, x, dtype, channels_last, antialias)
    return x


def _run_image(plan: Plan, image: Tensor, antialias: bool) -> Tensor:
    """An image or batch with its dtype kept, unless numbers beyond a picture's range (normalised ones) come out."""
    check_pixels(image)
    batch = image if image.ndim == 4 else image[None]
    picture = all(_keeps_range(step.colour[Stage.RGB]) for step in plan.steps if Stage.RGB in step.colour)
    exact = torch.uint8 if image.dtype == torch.uint8 and picture else torch.float32
    done = run_images(plan, batch.permute(0, 2, 3, 1).contiguous(), exact, antialias=antialias)
    done = done.to(image.dtype) if image.is_floating_point() else done
    return done if image.ndim == 4 else done[0]


def _keeps_range(colour: Array) -> bool:
    """Whether affine maps `[N, 3, 4]` take 0..1 into 0..1, as normalisation does not."""
    linear, offset = colour[..., :3], colour[..., 3]
    low, high = linear.clip(max=0).sum(-1) + offset, linear.clip(min=0).sum(-1) + offset
    return bool((low >= -1e-6).all() and (high <= 1 + 1e-3).all())


def run_images(
    plan: Plan,
    images: Images,
    dtype: torch.dtype = torch.float32,
    channels_last: bool = False,
    antialias: bool = True,
) -> Tensor:
    """The batch `[N, 3, h, w]` that a plan makes of `uint8[N, H, W, 3]`, packed, or floating `[N, H, W, 3]` images."""
    x, last = images, len(plan.steps) - 1
    for i, step in enumerate(plan.steps):
        if step.segment.kind == "barrier":
            x = _barrier(x, step)
            continue
        layout: Literal["nchw", "channels_last"] = "channels_last" if channels_last or i < last else "nchw"
        make = OutSpec if torch.compiler.is_compiling() else _spec  # the compiler looks into no cache
        spec = make(output_size(step), dtype if i == last else torch.float32, layout, step.padding, antialias)
        done = _warp(x, step, spec)
        if i == last:
            return done
        x = done.permute(0, 2, 3, 1)
    if isinstance(x, Packed):
        output_size(plan)  # which says what is missing
        x = torch.stack([x[i] for i in range(len(x))])
    result = x.permute(0, 3, 1, 2)
    return result if result.dtype == dtype else _convert(result, dtype)


_spec = lru_cache(maxsize=64)(OutSpec)  # most batches want what the one before did


def _convert(x: Tensor, dtype: torch.dtype) -> Tensor:
    if x.dtype == torch.uint8:
        return (x / 255).to(dtype)
    return (x * 255).round().clamp(0, 255).to(dtype) if dtype == torch.uint8 else x.to(dtype)


def _barrier(images: Images, step: Step) -> Images:
    """Images `[N, h, w, 3]` or packed through a transform that does not fuse; packed ones one by one."""
    if step.barrier is None:  # it does nothing on this split
        return images
    transform, params = step.barrier
    if isinstance(images, Packed):
        rows = [{name: values[i : i + 1] for name, values in params.items()} for i in range(len(images))]
        done = [_apply(transform, images[i][None], row)[0] for i, row in enumerate(rows)]
        return Packed.of([image if image.dtype == torch.uint8 else (image * 255).round().byte() for image in done])
    return _apply(transform, images, params)


def _apply(transform: Transform, images: Tensor, params: Params) -> Tensor:
    batch = TensorImage(images.permute(0, 3, 1, 2))
    done = transform.apply(batch, params) if isinstance(transform, RandTransform) else transform.encode(batch)
    if done.shape != batch.shape:
        raise UsageError(
            f"{transform!r} must keep the size of a batch, {list(batch.shape)}, since what follows is planned by it, "
            f"but it made {list(done.shape)}: resize with Resize(n)"
        )
    pixels: Tensor = done.as_subclass(Tensor)
    return pixels.permute(0, 2, 3, 1)


def output_size(of: Plan | Step) -> tuple[int, int]:
    """The height and width that all images leave with."""
    if of.size is None:
        raise UsageError("images of different sizes cannot be one batch: add Resize(n), or a transform with size=n")
    return of.size


def _warp(images: Images, step: Step, spec: OutSpec) -> Tensor:
    """The step as one warp; a step that moves nothing copies each pixel."""
    n, (h, w) = len(images), spec.size
    device = images.data.device if isinstance(images, Packed) else images.device
    box = step.colour.get(Stage.ERASE)

    logit, hue, table = (
        _floats(step.colour[stage], device) if stage in step.colour else None
        for stage in (Stage.LOGIT, Stage.HUE, Stage.TABLE)
    )
    return warp(
        images,
        _floats(step.matrix if step.matrix is not None else _identity(n, 3), device),
        logit,
        _floats(step.colour[Stage.RGB] if Stage.RGB in step.colour else _identity(n, 4), device),
        spec,
        hue=hue,
        table=table,
        erase=None if box is None else _floats(box * np.array([w, h, w, h]), device),
    )


_SAME = np.eye(3, 4)


def _identity(n: int, columns: int) -> Array:
    return np.broadcast_to(_SAME[:, :columns], (n, 3, columns))


def _floats(values: Array, device: torch.device) -> Tensor:
    there = torch.from_numpy(np.ascontiguousarray(values, np.float32))
    return there if device.type == "cpu" else there.pin_memory().to(device, non_blocking=True)


def run_masks(plan: Plan, masks: Sequence[Tensor], fill: int = 0) -> Tensor:
    """Masks, a list of integer `[h, w]`, as one tensor `[N, h, w]`: nearest samples by the matrix of the whole plan."""
    padding: Padding = next((step.padding for step in plan.steps if step.matrix is not None), "reflection")
    device = masks[0].device if len(masks) else torch.device("cpu")
    return warp_mask(masks, _floats(plan.matrix, device), OutSpec(output_size(plan), padding=padding), fill)


def run_points(plan: Plan, points: Tensor) -> Tensor:
    """Points `[n, 2]`, or `[N, n, 2]`, in pixels of what the plan leaves."""
    return move_points(points, _back(plan, points))


def run_boxes(plan: Plan, boxes: Tensor, min_visible: float = 0.25) -> Tensor:
    """Boxes `[n, 4]`, or `[N, n, 4]`, in pixels of what the plan leaves, cut to its frame; empty where out of sight."""
    return keep_visible(move_boxes(boxes, _back(plan, boxes)), output_size(plan), min_visible)


def _back(plan: Plan, places: Tensor) -> Array:
    inverse = np.asarray(np.linalg.inv(plan.matrix), np.float64)
    return inverse if places.ndim == 3 else inverse[0]
