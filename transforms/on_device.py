"""Augmentation decided and done on a GPU: one launch draws all parameters, one warps; the host waits for neither.

The draws are those of the host, to the bit, and so are the matrices, to float32's rounding. Everything is captured by
a CUDA graph: new keys, a new epoch or new images are copied into the tensors that it was captured with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from .augment import Fused
from .draw import stream_key
from .plan import Array, Plan, Stage
from .program import NotInTable, Program, compile_program
from .transform import Keys, Split, sample_keys
from .warp import OutSpec, gpu, operator
from .warp.packed import Packed

Images = Tensor | Packed


@dataclass(frozen=True)
class DevicePlan:
    """What happens to each of `N` images, on the device; a row of the colour map for each of `S` segments."""

    matrix: Tensor
    """Output to source in continuous pixels, `float32[N, 3, 3]`."""
    tiles: Tensor
    """How each tile of the warp is to be done; see `gpu.tile_words`."""
    logit: Tensor
    hue: Tensor
    table: Tensor
    colour: Tensor
    erase: Tensor
    """`float32[S, N, 3, 4]`, `[S, N]`, `[S, N, 256]`, `[S, N, 3, 4]` and `[S, N, 4]`."""
    size: tuple[int, int]
    """Height and width of the result."""


class DeviceFused:
    """A fused augmentation that is drawn on a GPU.

    Raises `NotInTable`, with the reason, where an operation has to be decided on the host: then `fused` itself, whose
    parameters are copied, is the way.
    """

    def __init__(self, fused: Fused, device: torch.device | str, split: Split | None = None) -> None:
        self.fused, self.device = fused, torch.device(device)
        self.program: Program = compile_program(fused, split)
        self._integers = torch.from_numpy(self.program.integers).to(self.device)
        self._floats = torch.from_numpy(self.program.floats.astype(np.float32)).to(self.device)

    def hashes(self, keys: Keys, count: int) -> Tensor:
        """The hashes of `count` sample keys where `plan` wants them: `int64[N]`, the bits of `draw.hash_keys`."""
        return self._sent(torch.from_numpy(sample_keys(keys, count).view(np.int64)))

    def stream(self, seed: int, epoch: int) -> Tensor:
        """The key of the numbers of an epoch where `plan` wants it: `int64[2]`."""
        return self._sent(torch.tensor(stream_key(seed, epoch), dtype=torch.int64))

    def _sent(self, values: Tensor) -> Tensor:
        if self.device.type != "cuda":
            return values
        return values.pin_memory().to(self.device, non_blocking=True)

    def plan(self, images: Images, hashes: Tensor, stream: Tensor) -> DevicePlan:
        """Draw for images on the device: `uint8[N, H, W, 3]` or packed; one launch."""
        size = self.program.size
        if size is None:
            if isinstance(images, Packed):
                raise UsageError(
                    "images of different sizes cannot be one batch: add Resize(n), or size=n to a transform"
                )
            size = (int(images.shape[1]), int(images.shape[2]))
        if hashes.shape != (len(images),) or hashes.dtype != torch.int64 or stream.shape != (2,):
            raise UsageError(
                f"hashes must be int64 [{len(images)}] and stream int64 [2], "
                f"but got {hashes.dtype} {list(hashes.shape)} and {stream.dtype} {list(stream.shape)}"
            )
        parameters = (self._integers, self._floats, hashes, stream)
        numbers = (len(self.program.segments), self.program.turning)
        return DevicePlan(*gpu.draw(images, *parameters, *numbers, size), size)

    def images(self, images: Images, plan: DevicePlan) -> Tensor:
        """The batch `[N, 3, h, w]` of `fused.dtype`: one launch, and one for each pointwise step behind it."""
        x: Images = images
        kernels = operator if torch.compiler.is_compiling() else gpu  # a compiler takes operations, and no launches
        for i, segment in enumerate(self.program.segments):
            spec = self._spec(i, plan)
            hue, table, erase, logit = (
                values[i] if stage in segment.stages else None
                for stage, values in (
                    (Stage.HUE, plan.hue),
                    (Stage.TABLE, plan.table),
                    (Stage.ERASE, plan.erase),
                    (Stage.LOGIT, plan.logit),
                )
            )
            if i == 0:
                x = kernels.warp(
                    x, plan.matrix, logit, plan.colour[i], spec, hue=hue, table=table, erase=erase, tiles=plan.tiles,
                    diagonal=segment.diagonal,
                )  # fmt: skip
            else:
                x = kernels.recolour(cast("Tensor", x), logit, plan.colour[i], spec, hue=hue, table=table, erase=erase)
        return cast("Tensor", x)

    def _spec(self, i: int, plan: DevicePlan) -> OutSpec:
        last = i == len(self.program.segments) - 1
        return OutSpec(
            plan.size,
            self.fused.dtype if last else torch.float32,
            "channels_last" if self.fused.channels_last else "nchw",
            self.program.segments[i].padding,
            self.fused.antialias,
        )

    def __call__(self, images: Images, *, keys: Keys = None, seed: int = 0, epoch: int = 0) -> Tensor:
        """Drawn and done; to do it again in a CUDA graph, keep `hashes` and `stream` and call `plan` and `images`."""
        return self.images(images, self.plan(images, self.hashes(keys, len(images)), self.stream(seed, epoch)))


@dataclass(frozen=True)
class LatePlan:
    """What the host would decide for a batch, worked out only when targets or the way back ask for it."""

    fused: Fused
    sizes: Array
    keys: Keys
    seed: int
    epoch: int
    split: Split

    @cached_property
    def host(self) -> Plan:
        """The same decisions, on the host."""
        return self.fused.plan(self.sizes, self.keys, self.seed, self.epoch, self.split)

    @property
    def matrix(self) -> Array:
        """Output to source in continuous pixels, `float64[N, 3, 3]`."""
        return self.host.matrix


@dataclass(frozen=True)
class DrawnThere:
    """A fused augmentation as loaders call one, whose images are drawn and warped on a device."""

    fused: Fused
    there: DeviceFused

    @property
    def mixes(self) -> Sequence[Any]:
        """What mixes the samples of a batch."""
        return self.fused.mixes

    def plan(self, sizes: Array, keys: Keys, seed: int, epoch: int, split: Split) -> LatePlan:
        """Nothing is decided here yet."""
        return LatePlan(self.fused, sizes, keys, seed, epoch, split)

    def images(self, images: Images, plan: LatePlan) -> Tensor:
        """Drawn and warped on the device, without a wait."""
        return self.there(images, keys=plan.keys, seed=plan.seed, epoch=plan.epoch)

    def mix(self, x: Tensor, y: Any, keys: Any, seed: int, epoch: int) -> tuple[Tensor, Any]:
        """The batch mixed."""
        return self.fused.mix(x, y, keys, seed, epoch)

    def masks(self, masks: Any, plan: LatePlan) -> Any:
        """Masks, points and boxes go through the host's matrix."""
        return self.fused.masks(masks, plan.host)

    def points(self, points: Any, plan: LatePlan) -> Any:
        """As masks."""
        return self.fused.points(points, plan.host)

    def boxes(self, boxes: Any, plan: LatePlan) -> Any:
        """As masks."""
        return self.fused.boxes(boxes, plan.host)


def drawn_on(fused: Fused, device: torch.device | str, split: Split) -> Fused | DrawnThere:
    """The augmentation drawn on the device; itself, where some of it has to be decided on the host."""
    try:
        return DrawnThere(fused, DeviceFused(fused, device, split))
    except NotInTable:
        return fused
