"""The warp in C++: arrays for `cpu.cpp`, which compares their lengths, and buffers that are used again."""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import WarpError
from . import native, threads
from .buffers import Buffers
from .checks import check_invertible
from .outspec import OutSpec
from .packed import Packed

NUMBERS = {torch.float32: 0, torch.bfloat16: 1, torch.uint8: 2}
LABELS = {torch.bool: 0, torch.uint8: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.int64: 4}
PADDINGS = {"reflection": 0, "border": 1, "zeros": 2}

INSTRUCTION_SET = "ONEWARP_CPU"
"""Environment variable: avx512, avx2 or portable, in place of the best that the machine has."""

_buffers = Buffers(keep=max(4, 2 * (os.cpu_count() or 1)))  # as many as loaders keep in flight


def detail() -> str:
    """What the back end runs with.

    >>> detail().split()[0] in instruction_sets()
    True
    """
    return f"{os.environ.get(INSTRUCTION_SET) or instruction_sets()[0]} on {threads.count()} threads"


def instruction_sets() -> list[str]:
    """The instruction sets that this machine has a kernel for, best first; none without the extension."""
    names: list[str] = native.extension.instruction_sets() if native.extension else []
    return names


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
    isa: str | None = None,
) -> Tensor:
    """Warp and colour a batch; arguments as `onewarp.transforms.warp.warp`, checked there.

    Runs on `threads.count()` threads without the interpreter's lock. The result lies in a buffer of an
    earlier one that nothing holds any more, where there is one.
    """
    count = len(images)
    height, width = out.size
    result = _buffers.empty((count, 3, height, width), out.dtype, out.memory_format)
    data, offsets, sizes = _arrays_of(images)
    try:
        native.extension.warp(
            data=data,
            pixel=3 * data.itemsize,
            offsets=offsets,
            sizes=sizes,
            homography=_array(homography),
            logit=None if logit is None else _array(logit),
            hue=None if hue is None else _array(hue),
            table=None if table is None else _array(table),
            colour=_array(colour),
            erase=None if erase is None else _array(erase),
            out=_memory_of(result),
            height=height,
            width=width,
            number=NUMBERS[out.dtype],
            channels_last=out.layout == "channels_last",
            padding=_padding(out),
            fill=out.fill,
            antialias=out.antialias,
            threads=threads.count(),
            isa=isa or os.environ.get(INSTRUCTION_SET),
        )
    except ValueError as error:
        check_invertible(homography)
        raise WarpError(str(error)) from None
    return result


def warp_mask(
    masks: Tensor | Sequence[Tensor], homography: Tensor, out: OutSpec, fill: int, votes: bool
) -> Tensor | None:
    """Warp label masks; arguments as of `reference.warp_mask`, checked there. None for labels of other integers."""
    dtype = masks.dtype if isinstance(masks, Tensor) else masks[0].dtype
    if dtype not in LABELS:
        return None
    each = [_array(mask) for mask in masks]
    result = torch.empty((len(each), *out.size), dtype=dtype)
    sizes = np.array([mask.shape for mask in each], np.int32)
    _masks(each, sizes, homography, result, out, label=LABELS[dtype], fill=int(fill), votes=votes)
    return result


def validity(sizes: Tensor, homography: Tensor, out: OutSpec) -> Tensor:
    """Which output pixels have their centres inside the source's frame, as `reference.validity`."""
    result = torch.empty((len(homography), *out.size), dtype=torch.bool)
    _masks(None, np.ascontiguousarray(sizes.numpy(), np.int32), homography, result, out)
    return result


def _masks(
    masks: list[NDArray[Any]] | None,
    sizes: NDArray[np.int32],
    homography: Tensor,
    result: Tensor,
    out: OutSpec,
    label: int = 0,
    fill: int = 0,
    votes: bool = False,
) -> None:
    native.extension.masks(
        masks=masks,
        sizes=sizes,
        homography=_array(homography),
        out=result.numpy(),
        height=out.size[0],
        width=out.size[1],
        label=label,
        padding=_padding(out),
        fill=fill,
        votes=votes,
        threads=threads.count(),
    )


def bilinear(
    pixels: NDArray[np.uint8], region: tuple[float, float, float, float], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """A region (top, left, height, width) of contiguous `uint8[H, W, 3]` at `size`, `uint8[h, w, 3]`: a plain warp.

    On arrays and on one thread, for decoders: around one picture, tensors and checks would take as long as the warp.

    >>> bilinear(np.array([[[0] * 3, [100] * 3]], np.uint8), (0, 0, 1, 2), (1, 4))[0, :, 0].tolist()
    [0, 25, 75, 100]
    """
    top, left, tall, wide = region
    height, width = size
    homography = np.array([wide / width, 0, left, 0, tall / height, top, 0, 0, 1], np.float32)
    sizes = np.array(pixels.shape[:2], np.int32)
    result = np.empty((height, width, 3), np.uint8)
    try:
        native.extension.warp(
            data=pixels,
            pixel=3,
            offsets=_FIRST,
            sizes=sizes,
            homography=homography,
            logit=None,
            hue=None,
            table=None,
            colour=_SAME,
            erase=None,
            out=result,
            height=height,
            width=width,
            number=NUMBERS[torch.uint8],
            channels_last=True,
            padding=PADDINGS["border"],
            fill=(0.0, 0.0, 0.0),
            antialias=False,
            threads=1,
            isa=os.environ.get(INSTRUCTION_SET),
        )
    except ValueError as error:
        raise WarpError(str(error)) from None
    return result


_FIRST, _SAME = np.zeros(1, np.int64), np.eye(3, 4, dtype=np.float32)


def _padding(out: OutSpec) -> int:
    """The padding's number; a colour is zeros with a fill."""
    return PADDINGS[out.padding] if isinstance(out.padding, str) else PADDINGS["zeros"]


def _array(tensor: Tensor) -> NDArray[Any]:
    """The numbers of a tensor as an array that the extension takes: contiguous, and aligned to their size."""
    array: NDArray[Any] = (tensor.detach() if tensor.requires_grad else tensor).contiguous().numpy()
    return array if array.flags.aligned else array.copy()


def _memory_of(result: Tensor) -> NDArray[Any]:
    """The memory of a batch in either layout, one number behind the other; numpy knows no bfloat16."""
    dense = result if result.is_contiguous() else result.permute(0, 2, 3, 1)
    array: NDArray[Any] = (dense.view(torch.int16) if dense.dtype == torch.bfloat16 else dense).numpy()
    return array


def _arrays_of(images: Tensor | Packed) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int32]]:
    """Data, offsets and sizes; dense images are images of one size, one behind the other. Floats become float32."""
    if isinstance(images, Packed):
        return _array(images.data), _array(images.offsets), _array(images.sizes)
    data = _array(images.float() if images.is_floating_point() else images)
    return data, *_one_behind_the_other(*images.shape[:3], 3 * data.itemsize)


@lru_cache(maxsize=64)
def _one_behind_the_other(
    count: int, height: int, width: int, pixel: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Offsets and sizes of as many images of one size, for good: most batches are like the one before."""
    sizes = np.empty((count, 2), np.int32)
    sizes[:] = height, width
    return np.arange(count, dtype=np.int64) * (height * width * pixel), sizes
