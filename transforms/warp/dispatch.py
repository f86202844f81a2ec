"""Which back ends can be used here, which of them serves a batch, and the warp by it once the arguments are checked."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from ...errors import WarpError
from . import cpu, native, reference
from .checks import check_colour, check_images, check_invertible, check_outspec, check_parameter
from .outspec import OutSpec
from .packed import Packed

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
    return {"gpu": _gpu(), "cpu": _cpu(), "reference": Backend("reference", True, f"torch {torch.__version__}")}


def _cpu() -> Backend:
    return Backend("cpu", True, cpu.detail()) if native.extension else Backend("cpu", False, native.absence)


def _gpu() -> Backend:
    try:
        return Backend("gpu", True, str(_triton().detail()))
    except ImportError as error:
        return Backend("gpu", False, str(error))


@cache
def _triton() -> Any:
    """The module for GPUs, imported once it is asked for; `ImportError` where Triton is not installed."""
    from . import gpu

    return gpu


def warp(
    images: Tensor | Packed,
    homography: Tensor,
    logit: Tensor | None,
    colour: Tensor,
    out: OutSpec,
    hue: Tensor | None,
    table: Tensor | None,
    erase: Tensor | None,
    backend: BackendName | None,
) -> Tensor:
    """Check the arguments, those of `onewarp.transforms.warp.warp`, and let the back end that serves them do it."""
    check_outspec(out)
    count, device = check_images(images)
    check_parameter("homography", homography, [(count, 3, 3)], device)
    check_colour(count, device, logit, colour, hue, table, erase)
    module = reference if backend == "reference" else _choose(images, device, out, backend)
    if module is not cpu:  # which checks it by itself, in a hundredth of the time
        check_invertible(homography)
    result: Tensor = module.warp(images, homography, logit, colour, out, hue=hue, table=table, erase=erase)
    return result


def _choose(images: Tensor | Packed, device: torch.device, out: OutSpec, backend: BackendName | None) -> Any:
    """The back end's module that serves these images."""
    exact = torch.float64 in (out.dtype, images.dtype if isinstance(images, Tensor) else None)
    if backend is None:
        if exact or device.type not in ("cpu", "cuda"):
            return reference
        if device.type == "cpu":
            return cpu if native.extension else reference
        return _triton() if _gpu().available else reference
    if backend not in ("gpu", "cpu"):
        raise WarpError(f"backend must be 'gpu', 'cpu', 'reference' or None, but got {backend!r}")
    if exact:
        raise WarpError(f"backend {backend!r} takes and makes no float64; use backend='reference'")
    if device.type == "cuda" and backend == "cpu":
        raise WarpError("backend 'cpu' needs its images in host memory, but they are on a GPU; move them with .cpu()")
    state = _gpu() if backend == "gpu" else _cpu()
    if not state.available:
        raise WarpError(f"backend {backend!r} cannot be used here: {state.detail}")
    return _triton() if backend == "gpu" else cpu
