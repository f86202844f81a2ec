"""The warp as one operation of torch's, so that a compiler takes it as it is: `torch.ops.onewarp.warp`.

`torch.compile` looks into functions, and stops at one that reads values or launches a kernel of its own. It does not
look into an operation: of that it asks the shape and the layout of the result alone. There are no gradients, neither
of images nor of parameters; asking for one is an error.
"""

from typing import Any

import torch
from torch import Tensor

from ...errors import WarpError
from . import dispatch
from .outspec import OutSpec
from .packed import Packed


def call(
    images: Tensor | Packed,
    homography: Tensor,
    logit: Tensor | None,
    colour: Tensor,
    out: OutSpec,
    hue: Tensor | None,
    table: Tensor | None,
    erase: Tensor | None,
    backend: str | None,
    tiles: Tensor | None = None,
    diagonal: bool = False,
) -> Tensor:
    """The warp through the operation; arguments as `onewarp.transforms.warp.warp`, `tiles` and `diagonal` as of
    `gpu.warp`, which does it where there are `tiles`.
    """
    packed = isinstance(images, Packed)
    places = (images.data, images.offsets, images.sizes) if isinstance(images, Packed) else (images, None, None)
    padding = out.padding if isinstance(out.padding, str) else "colour"
    settings = (list(out.size), out.dtype, out.layout, padding, list(out.fill), out.antialias, backend or "")
    parameters = (homography, logit, colour, hue, table, erase, tiles)
    result: Tensor = _operation(*places, *parameters, packed, *settings, diagonal)
    return result


@torch.library.custom_op("onewarp::warp", mutates_args=())
def _operation(
    data: Tensor,
    offsets: Tensor | None,
    sizes: Tensor | None,
    homography: Tensor,
    logit: Tensor | None,
    colour: Tensor,
    hue: Tensor | None,
    table: Tensor | None,
    erase: Tensor | None,
    tiles: Tensor | None,
    packed: bool,
    size: list[int],
    dtype: torch.dtype,
    layout: str,
    padding: str,
    fill: list[float],
    antialias: bool,
    backend: str,
    diagonal: bool,
) -> Tensor:
    """The warp with its images and its `OutSpec` taken apart."""
    images = Packed(data, offsets, sizes) if packed and offsets is not None and sizes is not None else data
    named: Any = tuple(fill) if padding == "colour" else padding
    out = OutSpec((size[0], size[1]), dtype, layout, named, antialias)  # type: ignore[arg-type]
    if tiles is not None:
        from . import gpu

        stages = {"hue": hue, "table": table, "erase": erase}
        return gpu.warp(images, homography, logit, colour, out, **stages, tiles=tiles, diagonal=diagonal)
    way: Any = backend or None
    return dispatch.warp(images, homography, logit, colour, out, hue, table, erase, way)


@_operation.register_fake
def _shape(
    data: Tensor, offsets: Any, sizes: Any, homography: Tensor, logit: Any, colour: Any, hue: Any, table: Any,
    erase: Any, tiles: Any, packed: bool, size: list[int], dtype: torch.dtype, layout: str, *_: Any,
) -> Tensor:  # fmt: skip
    """What the result is like, without data."""
    format_ = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    return torch.empty(
        (homography.shape[0], 3, size[0], size[1]), dtype=dtype, device=homography.device, memory_format=format_
    )


def warp(
    images: Tensor | Packed,
    homography: Tensor,
    logit: Tensor | None,
    colour: Tensor,
    out: OutSpec,
    *,
    hue: Tensor | None,
    table: Tensor | None,
    erase: Tensor | None,
    tiles: Tensor,
    diagonal: bool,
) -> Tensor:
    """`gpu.warp` through the operation; the same arguments."""
    return call(images, homography, logit, colour, out, hue, table, erase, "gpu", tiles, diagonal)


def recolour(
    images: Tensor,
    logit: Tensor | None,
    colour: Tensor,
    out: OutSpec,
    *,
    hue: Tensor | None,
    table: Tensor | None,
    erase: Tensor | None,
) -> Tensor:
    """`gpu.recolour` as an operation; the same arguments."""
    settings = (list(out.size), out.dtype, out.layout, out.antialias)
    result: Tensor = _recolouring(images, logit, colour, hue, table, erase, *settings)
    return result


@torch.library.custom_op("onewarp::recolour", mutates_args=())
def _recolouring(
    images: Tensor,
    logit: Tensor | None,
    colour: Tensor,
    hue: Tensor | None,
    table: Tensor | None,
    erase: Tensor | None,
    size: list[int],
    dtype: torch.dtype,
    layout: str,
    antialias: bool,
) -> Tensor:
    """A colour map with its `OutSpec` taken apart."""
    from . import gpu

    out = OutSpec((size[0], size[1]), dtype, layout, antialias=antialias)  # type: ignore[arg-type]
    return gpu.recolour(images, logit, colour, out, hue=hue, table=table, erase=erase)


@_recolouring.register_fake
def _recolour_shape(images: Tensor, *settings: Any) -> Tensor:
    """What the result is like, without data."""
    _, dtype, layout, _ = settings[-4:]
    format_ = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    return torch.empty(images.shape, dtype=dtype, device=images.device, memory_format=format_)


def _no_gradient(*_: Any) -> Any:
    raise WarpError(
        "the warp has no gradients, neither of its images nor of its parameters; call .detach() on what needs them"
    )


_operation.register_autograd(_no_gradient)
_recolouring.register_autograd(_no_gradient)
