"""One function, three back ends: a homography and a colour map per image, in one filtered interpolation.

README.md beside this file has the mathematics; `reference.py` is that in plain torch, `cpu` and `gpu` are held to it.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from ...errors import WarpError
from ..types import Packed
from . import operator, reference
from .checks import (
    check_colour,
    check_fill,
    check_homography,
    check_images,
    check_invertible,
    check_masks,
    check_outspec,
    check_parameter,
)
from .outspec import OutSpec

__all__ = ["Backend", "OutSpec", "backends", "validity", "warp", "warp_mask"]

BackendName = Literal["gpu", "cpu", "reference"]


@dataclass(frozen=True)
class Backend:
    """A back end of the warp: whether it can be used here, and with what, or why not."""

    name: BackendName
    available: bool
    detail: str


def backends() -> dict[str, Backend]:
    """The back ends by name, and for each whether it can be used here, and with what, or why not.

    >>> backends()["reference"].available
    True
    """
    natives = {name: _native(name) for name in ("gpu", "cpu")}
    return {**natives, "reference": Backend("reference", True, f"torch {torch.__version__}")}


def _native(name: Literal["gpu", "cpu"]) -> Backend:
    """The state of one."""
    try:
        return Backend(name, True, str(_module(name).detail()))
    except ImportError as error:
        return Backend(name, False, str(error))


@cache
def _module(name: str) -> Any:
    """The module of a back end; `ImportError` says why it cannot be used."""
    return importlib.import_module(f".{name}", __name__)


def _compiled() -> Any | None:
    """The module in C++, if it was built."""
    try:
        return _module("cpu")
    except ImportError:
        return None


def warp(
    images: Tensor | Packed,
    homography: Tensor,
    logit: Tensor | None,
    colour: Tensor,
    out: OutSpec,
    *,
    hue: Tensor | None = None,
    table: Tensor | None = None,
    erase: Tensor | None = None,
    backend: BackendName | None = None,
) -> Tensor:
    """Warp and colour a batch: one filtered interpolation per image, then its colour map.

    `images` is `uint8[N, H, W, 3]`, `Packed` images of mixed sizes, or floating `[N, H, W, 3]` in 0..1 (float64 goes
    through the reference). Every parameter is float32, with one row per image, on the images' device:

    - `homography` `[N, 3, 3]` maps continuous output pixels to continuous source pixels (centres at .5);
    - `logit` `[N, 3, 4]`, or None: an affine map of the logits of RGB in 0..1, whose sigmoid is taken again;
    - `hue` `[N]`, or None: turns of the HSV circle;
    - `table` `[N, 256]`, or None: for each channel, 0..255 grey levels to values in 0..1, interpolated linearly;
    - `colour` `[N, 3, 4]`: an affine map of RGB in 0..1; its result is the output (times 255 for uint8);
    - `erase` `[N, 4]` or `[N, 7]`, or None: (left, top, right, bottom) in output pixels that become 0, or the three
      values behind it.

    They act in this order. Returns `[N, 3, h, w]` as `out` says. `backend` is `gpu` (Triton), `cpu` (C++) or
    `reference` (torch); by default the fastest that serves these images.

    There are no gradients: the result is a constant to autograd. `torch.compile` takes the warp as one operation
    (`operator.py`) and does not break its graph.

    Raises `WarpError` for whatever does not fit, before a pixel is read.

    >>> images = torch.arange(12, dtype=torch.uint8).reshape(1, 2, 2, 3)
    >>> mirror = torch.tensor([[[-1.0, 0, 2], [0, 1, 0], [0, 0, 1]]])
    >>> same = torch.eye(3, 4)[None]
    >>> warp(images, mirror, None, same, OutSpec((2, 2), dtype=torch.uint8))[0, 0].tolist()
    [[3, 0], [9, 6]]
    """
    if torch.compiler.is_compiling():
        return operator.called(images, homography, logit, colour, out, hue, table, erase, backend)
    check_outspec(out)
    count, device = check_images(images)
    check_parameter("homography", homography, [(count, 3, 3)], device)
    check_colour(count, device, logit, colour, hue, table, erase)
    module = reference if backend == "reference" else _chosen(images, device, out, backend)
    if module is not _compiled():  # which sees to it by itself, in a hundredth of the time
        check_invertible(homography)
    result: Tensor = module.warp(images, homography, logit, colour, out, hue=hue, table=table, erase=erase)
    return result


def _chosen(images: Tensor | Packed, device: torch.device, out: OutSpec, backend: BackendName | None) -> Any:
    """The back end's module that serves these images."""
    exact = torch.float64 in (out.dtype, images.dtype if isinstance(images, Tensor) else None)
    native: Literal["gpu", "cpu"] = "gpu" if device.type == "cuda" else "cpu"
    if backend is None:
        if exact or device.type not in ("cpu", "cuda"):
            return reference
        if native == "cpu":
            return _compiled() or reference
        return _module("gpu") if _native("gpu").available else reference
    if backend not in ("gpu", "cpu"):
        raise WarpError(f"backend must be 'gpu', 'cpu', 'reference' or None, but got {backend!r}")
    if exact:
        raise WarpError(f"backend {backend!r} takes and makes no float64; use backend='reference'")
    if device.type == "cuda" and backend == "cpu":
        raise WarpError("backend 'cpu' needs its images in host memory, but they are on a GPU; move them with .cpu()")
    state = _native(backend)
    if not state.available:
        raise WarpError(f"backend {backend!r} cannot be used here: {state.detail}")
    return _module(backend)


def warp_mask(
    masks: Tensor | Sequence[Tensor],
    homography: Tensor,
    out: OutSpec,
    fill: int = 0,
    mode: Literal["nearest", "majority"] = "nearest",
) -> Tensor:
    """Warp label masks through the same homographies; a label is never interpolated.

    `masks` is `[N, H, W]` of any integer type or bool, or a sequence of `[H, W]` of mixed sizes. Of `out` only the
    size and the padding count: `fill` is the label where there is no source (`zeros` or a colour). `nearest` takes
    the label at the output pixel's centre, `majority` the most frequent in its footprint (of equals the smallest).
    Returns `[N, h, w]` of the masks' dtype.

    >>> mask = torch.tensor([[[1, 2], [3, 4]]])
    >>> half = torch.tensor([[[1.0, 0, -1], [0, 1, 0], [0, 0, 1]]])
    >>> warp_mask(mask, half, OutSpec((2, 2), padding="zeros"), fill=9).tolist()
    [[[9, 1], [9, 3]]]
    """
    check_outspec(out)
    count, device = check_masks(masks)
    check_homography(homography, count, device)
    if mode not in ("nearest", "majority"):
        raise WarpError(f"mode must be 'nearest' or 'majority', but got {mode!r}")
    votes = mode == "majority"
    dtype = masks.dtype if isinstance(masks, Tensor) else masks[0].dtype if count else torch.int64
    check_fill(fill, dtype)
    native = _compiled() if device.type == "cpu" and count else None
    done = native and native.warp_mask(masks, homography, out, fill, votes)
    return reference.warp_mask(masks, homography, out, fill, votes) if done is None else done


def validity(images: Tensor | Packed, homography: Tensor, out: OutSpec) -> Tensor:
    """Which output pixels show the source and not its padding: `bool[N, h, w]`, judged at their centres.

    >>> shift = torch.tensor([[[1.0, 0, -1], [0, 1, 0], [0, 0, 1]]])
    >>> validity(torch.zeros(1, 2, 2, 3), shift, OutSpec((2, 2)))[0].tolist()
    [[False, True], [False, True]]
    """
    check_outspec(out)
    count, device = check_images(images)
    check_homography(homography, count, device)
    sizes = images.sizes if isinstance(images, Packed) else homography.new_tensor(images.shape[1:3]).expand(count, 2)
    native = _compiled() if device.type == "cpu" else None
    return native.validity(sizes, homography, out) if native else reference.validity(sizes, homography, out.size)
