"""The warp as one operation of torch's, so that a compiler takes it as it is: `torch.ops.onewarp.warp`.

`torch.compile` looks into functions, and stops at one that reads values or launches a kernel of its own. It does not
look into an operation: of that it asks the shape and the layout of the result alone. There are no gradients, neither
of images nor of parameters; asking for one is an error.
"""

from typing import Any

import torch
from torch import Tensor

from ...errors import WarpError
from . import backends
from .outspec import OutSpec
from .packed import Packed


def called(
    images: Tensor | Packed,
    homography: Tensor,
    logit: Tensor | None,
    colour: Tensor,
    out: OutSpec,
    hue: Tensor | None,
    table: Tensor | None,
    erase: Tensor | None,
    backend: str | None,
) -> Tensor:
    """The warp through the operation; arguments as `onewarp.transforms.warp.warp`."""
    packed = isinstance(images, Packed)
    places = (images.data, images.offsets, images.sizes) if isinstance(images, Packed) else (images, None, None)
    padding = out.padding if isinstance(out.padding, str) else "colour"
    settings = (list(out.size), out.dtype, out.layout, padding, list(out.fill), out.antialias, backend or "")
    result: Tensor = _operation(*places, homography, logit, colour, hue, table, erase, packed, *settings)
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
    packed: bool,
    size: list[int],
    dtype: torch.dtype,
    layout: str,
    padding: str,
    fill: list[float],
    antialias: bool,
    backend: str,
) -> Tensor:
    """The warp with its images and its `OutSpec` taken apart."""
    images = Packed(data, offsets, sizes) if packed and offsets is not None and sizes is not None else data
    named: Any = tuple(fill) if padding == "colour" else padding
    out = OutSpec((size[0], size[1]), dtype, layout, named, antialias)  # type: ignore[arg-type]
    way: Any = backend or None
    return backends.warp(images, homography, logit, colour, out, hue, table, erase, way)


@_operation.register_fake
def _shape(
    data: Tensor, offsets: Any, sizes: Any, homography: Tensor, logit: Any, colour: Any, hue: Any, table: Any,
    erase: Any, packed: bool, size: list[int], dtype: torch.dtype, layout: str, *_: Any,
) -> Tensor:  # fmt: skip
    """What the result is like, without data."""
    format_ = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    return torch.empty(
        (homography.shape[0], 3, size[0], size[1]), dtype=dtype, device=homography.device, memory_format=format_
    )


def _no_gradient(*_: Any) -> Any:
    raise WarpError(
        "the warp has no gradients, neither of its images nor of its parameters; call .detach() on what needs them"
    )


_operation.register_autograd(_no_gradient)
