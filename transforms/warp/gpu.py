"""The warp on a GPU, in Triton: two launches, nothing that waits for the device, fit for a CUDA graph."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor

from ...errors import WarpError
from .footprint import TILE
from .gpu_draws import draw_kernel
from .gpu_kernel import BORDER, COLOUR, INTERPRETED, REFLECTION, colour_kernel, warp_kernel
from .gpu_tiles import SLOPES, tiles_kernel
from .outspec import OutSpec
from .packed import Packed

CHUNK, SHORT_CHUNK = (1024, 1024) if INTERPRETED.value else (256, 128)
"""Pixels that a program does at a time: two for each of its threads, one where offsets take 64 bits."""
SPAN = 2
"""How many tiles, one above the other, a program does: it begins once for all of them."""
PATCH = 16
"""Columns of the patch of pixels that 32 threads do together."""
IN_HOST_MEMORY = INTERPRETED.value
"""Whether launches take images in host memory, as those of an interpreter do."""
WARPS = 4
REGISTERS, PLAIN_REGISTERS, MORE_REGISTERS = 128, 72, 200
"""What a thread may use at most, without a filter, and with the rarer stages: as few as go without spilling."""
TILES_AT_ONCE, DRAW_WARPS = 64, 2
"""How many tiles of an image are looked at at once, and how many warps draw its parameters: a thread for each tile."""
POINTS = 1024 if INTERPRETED.value else 512
"""Pixels of a program that only recolours."""
MOST_PROGRAMS = 65535
"""What CUDA allows along the second axis of a launch."""

_PADDINGS = {"reflection": REFLECTION.value, "border": BORDER.value}


def detail() -> str:
    """With what it runs here; `ImportError` says why it cannot."""
    import triton

    if IN_HOST_MEMORY:
        return f"triton {triton.__version__}, interpreted"
    if not torch.cuda.is_available():
        raise ImportError(f"triton {triton.__version__} needs a GPU, and torch sees none")
    name = torch.cuda.get_device_name()
    if failure := _failure(name):
        raise ImportError(f"triton {triton.__version__} cannot compile for {name}: {failure}")
    return f"triton {triton.__version__} on {name}"


@cache
def _failure(device: str) -> str | None:
    """Why a kernel cannot be launched on the current GPU, if so: an old one, a missing compiler, a full disk."""
    try:
        tile_words(torch.zeros(1, 4, 4, 3, dtype=torch.uint8, device="cuda"), torch.eye(3, device="cuda")[None], (4, 4))
    except Exception as error:  # whatever it is, the reference does the work and `doctor` says why
        return f"{type(error).__name__}: {str(error)[:200]}"
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
    tiles: Tensor | None = None,
    diagonal: bool = False,
) -> Tensor:
    """Warp and colour a batch; arguments as `onewarp.transforms.warp.warp`, unchecked but for the device.

    `tiles` is what `tile_words` finds, where it is known already. `diagonal` promises that `logit` and `colour` map
    each channel by itself: what else is in them is not looked at.
    """
    device = homography.device
    if device.type != "cuda" and not IN_HOST_MEMORY:
        raise WarpError(
            f"backend 'gpu' needs its images on a GPU, but they are on {device}; move them with .to('cuda')"
        )
    rows, columns = out.size
    result = torch.empty(
        (len(images), 3, rows, columns), dtype=out.dtype, device=device, memory_format=out.memory_format
    )
    if not len(images):
        return result
    source = _Source.of(images)
    homography = homography.contiguous()
    tiles = tile_words(images, homography, out.size) if tiles is None else tiles
    # Offsets within an image may need 64 bits.
    wide = max(source.total, 3 * rows * columns * result.element_size()) >= 2**31 - 64
    stride_n, *strides = (stride * result.element_size() for stride in result.stride())
    fill = [255 * c for c in out.fill]
    rare = table is not None or hue is not None
    registers = MORE_REGISTERS if rare else REGISTERS if out.antialias else PLAIN_REGISTERS
    with _on(device):
        for first in range(0, len(images), MOST_PROGRAMS):
            warp_kernel[(-(-columns // TILE), -(-rows // (TILE * SPAN)), min(len(images) - first, MOST_PROGRAMS))](
                *source.arguments,
                homography,
                tiles,
                *(None if p is None else p.contiguous() for p in (logit, hue, table, colour, erase)),
                result,
                first,
                rows,
                columns,
                stride_n,
                *strides,
                *fill,
                packed=source.packed,
                padding=_PADDINGS.get(str(out.padding), COLOUR.value),
                antialias=out.antialias,
                diagonal=diagonal,
                erase_columns=0 if erase is None else erase.shape[1],
                wide=wide,
                level=source.level,
                chunk=SHORT_CHUNK if wide else CHUNK,
                patch=PATCH,
                span=SPAN,
                num_warps=WARPS,
                num_stages=1,
                maxnreg=registers,
                enable_fp_fusion=True,
            )
    return result


def tile_words(images: Tensor | Packed, homography: Tensor, size: tuple[int, int]) -> Tensor:
    """How each tile of the output of `size` is to be done, and what is the same for all tiles of an image:
    `int32[N, tiles + 7]`; see `gpu_tiles.py`.
    """
    source = _Source.of(images)
    down, across = (-(-n // TILE) for n in size)
    words = torch.empty((len(images), down * across + SLOPES.value), dtype=torch.int32, device=homography.device)
    with _on(homography.device):
        tiles_kernel[(len(images),)](
            source.offsets,
            source.sizes,
            source.height,
            source.width,
            source.total,
            source.readable,
            source.aligned,
            homography,
            words,
            *size,
            across,
            down * across,
            packed=source.packed,
            block=TILES_AT_ONCE,
            num_warps=1,
            enable_fp_fusion=True,
        )
    return words


def recolour(
    images: Tensor,
    logit: Tensor | None,
    colour: Tensor,
    out: OutSpec,
    *,
    hue: Tensor | None = None,
    table: Tensor | None = None,
    erase: Tensor | None = None,
) -> Tensor:
    """A colour map of images `float32[N, 3, h, w]` in 0..1 that are not moved; arguments as `warp`, unchecked."""
    rows, columns = out.size
    result = torch.empty(images.shape, dtype=out.dtype, device=images.device, memory_format=out.memory_format)
    if not len(images):
        return result
    with _on(images.device):
        for first in range(0, len(images), MOST_PROGRAMS):
            colour_kernel[(-(-rows * columns // POINTS), min(len(images) - first, MOST_PROGRAMS))](
                images,
                *images.stride(),
                *(None if p is None else p.contiguous() for p in (logit, hue, table, colour, erase)),
                result,
                first,
                rows,
                columns,
                *result.stride(),
                antialias=out.antialias,
                erase_columns=0 if erase is None else erase.shape[1],
                block=POINTS,
                num_warps=WARPS,
                enable_fp_fusion=True,
            )
    return result


def draw(
    images: Tensor | Packed,
    integers: Tensor,
    floats: Tensor,
    hashes: Tensor,
    stream: Tensor,
    segments: int,
    turning: int,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All parameters of a batch, by a program (see `gpu_draws.py`), of whose rows only the first `turning` may turn the
    frame: the homographies, the tiles, and for each segment the logits' maps, hues, tables, colour maps and rectangles.
    """
    device, count = floats.device, len(images)
    homography = torch.empty(count, 3, 3, device=device)
    maps = torch.empty(segments, 2, count, 3, 4, device=device)
    hue, table = torch.empty(segments, count, device=device), torch.empty(segments, count, 256, device=device)
    erase = torch.empty(segments, count, 4, device=device)
    source, (down, across) = _Source.of(images), (-(-n // TILE) for n in size)
    words = torch.empty(count, down * across + SLOPES.value, dtype=torch.int32, device=device)
    if count:
        with _on(device):
            draw_kernel[(count,)](
                *source.arguments[1:],
                source.total,
                source.readable,
                source.aligned,
                hashes,
                stream,
                integers,
                floats,
                len(integers),
                turning,
                homography,
                maps,
                hue,
                table,
                erase,
                words,
                *size,
                across,
                down * across,
                packed=source.packed,
                block=TILES_AT_ONCE,
                num_warps=DRAW_WARPS,
                enable_fp_fusion=True,
            )
    return homography, words, maps[:, 0], hue, table, maps[:, 1], erase


@dataclass(frozen=True)
class _Source:
    """Images as the kernels take them: bytes, or numbers in float32."""

    data: Tensor
    offsets: Tensor | None
    sizes: Tensor | None
    height: int
    width: int

    @classmethod
    def of(cls, images: Tensor | Packed) -> Self:
        if isinstance(images, Packed):
            data, offsets, sizes = (t.contiguous() for t in (images.data, images.offsets, images.sizes))
            return cls(data, offsets, sizes, 0, 0)
        data = (images.float() if images.is_floating_point() else images).contiguous()
        return cls(data, None, None, *images.shape[1:3])

    @property
    def packed(self) -> bool:
        return self.offsets is not None

    @property
    def total(self) -> int:
        """How many bytes, or numbers, of images there are."""
        return self.data.numel()

    @property
    def readable(self) -> int:
        """How many bytes from the first on are the tensor's own to read, by whole words."""
        beyond = self.data.untyped_storage().nbytes() - self.data.storage_offset()
        return min(int(beyond), self.total + 8) // 4 * 4

    @property
    def aligned(self) -> int:
        """Whether the first byte begins a word."""
        return int(self.data.data_ptr() % 4 == 0)

    @property
    def level(self) -> bool:
        """Whether all rows of all images begin at the same byte of a word."""
        return not self.packed and self.width % 4 == 0

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.data, self.offsets, self.sizes, self.height, self.width


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """Launches go to the current device: make it the images'."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
