"""Augmentation decided and done on a GPU: one launch draws all parameters, one warps; the host waits for neither.

The draws are those of the host, to the bit, and so are the matrices, to float32's rounding. Everything is captured by
a CUDA graph: new keys, a new epoch or new images are copied into the tensors that it was captured with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from .augment import Fused
from .draw import stream_key
from .op_table import NotCompilable, OpTable, compile_table
from .plan import Array, Plan, Stage
from .random_transform import Keys, sample_keys
from .transform import Split
from .warp import OutSpec, gpu, operator
from .warp.packed import Packed

Images = Tensor | Packed


@dataclass(frozen=True)
class GpuPlan:
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


class GpuPlanner:
    """A fused augmentation that is drawn and warped on a GPU, by its table."""

    def __init__(self, fused: Fused, table: OpTable, device: torch.device | str) -> None:
        self.fused, self.table, self.device = fused, table, torch.device(device)
        self._integers = torch.from_numpy(table.integers).to(self.device)
        self._floats = torch.from_numpy(table.floats.astype(np.float32)).to(self.device)

    @classmethod
    def of(cls, fused: Fused, device: torch.device | str, split: Split | None = None) -> Self:
        """What draws `fused` on a split; `UsageError`, with the reason, where some of it is decided on the host."""
        table = compile_table(fused.transforms, fused.names, fused.segments, split)
        if isinstance(table, NotCompilable):
            raise UsageError(f"these transforms cannot be drawn on {device}: {table.reason}")
        return cls(fused, table, device)

    def hashes(self, keys: Keys, count: int) -> Tensor:
        """The hashes of `count` sample keys where `plan` wants them: `int64[N]`, the bits of `draw.hash_keys`."""
        return self._send(torch.from_numpy(sample_keys(keys, count).view(np.int64)))

    def stream(self, seed: int, epoch: int) -> Tensor:
        """The key of the numbers of an epoch where `plan` wants it: `int64[2]`."""
        return self._send(torch.tensor(stream_key(seed, epoch), dtype=torch.int64))

    def _send(self, values: Tensor) -> Tensor:
        if self.device.type != "cuda":
            return values
        return values.pin_memory().to(self.device, non_blocking=True)

    def plan(self, images: Images, hashes: Tensor, stream: Tensor) -> GpuPlan:
        """Draw for images on the device: `uint8[N, H, W, 3]` or packed; one launch."""
        size = self.table.size
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
        numbers = (len(self.table.launches), self.table.turning)
        return GpuPlan(*gpu.draw(images, *parameters, *numbers, size), size)

    def images(self, images: Images, plan: GpuPlan) -> Tensor:
        """The batch `[N, 3, h, w]` of `fused.dtype`: one launch, and one for each pointwise step behind it."""
        x: Images = images
        kernels = operator if torch.compiler.is_compiling() else gpu  # a compiler takes operations, and no launches
        for i, launch in enumerate(self.table.launches):
            spec = self._spec(i, plan)
            hue, table, erase, logit = (
                values[i] if stage in launch.stages else None
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
                    diagonal=launch.diagonal,
                )  # fmt: skip
            else:
                x = kernels.recolour(cast("Tensor", x), logit, plan.colour[i], spec, hue=hue, table=table, erase=erase)
        return cast("Tensor", x)

    def _spec(self, i: int, plan: GpuPlan) -> OutSpec:
        last = i == len(self.table.launches) - 1
        return OutSpec(
            plan.size,
            self.fused.dtype if last else torch.float32,
            "channels_last" if self.fused.channels_last else "nchw",
            self.table.launches[i].padding,
            self.fused.antialias,
        )

    def __call__(self, images: Images, *, keys: Keys = None, seed: int = 0, epoch: int = 0) -> Tensor:
        """Drawn and done; to do it again in a CUDA graph, keep `hashes` and `stream` and call `plan` and `images`."""
        return self.images(images, self.plan(images, self.hashes(keys, len(images)), self.stream(seed, epoch)))


@dataclass(frozen=True)
class LazyPlan:
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
class GpuAugment:
    """A fused augmentation as loaders call one, whose images are drawn and warped on a device."""

    fused: Fused
    planner: GpuPlanner

    @property
    def mixes(self) -> Sequence[Any]:
        """What mixes the samples of a batch."""
        return self.fused.mixes

    def plan(self, sizes: Array, keys: Keys, seed: int, epoch: int, split: Split) -> LazyPlan:
        """Nothing is decided here yet."""
        return LazyPlan(self.fused, sizes, keys, seed, epoch, split)

    def images(self, images: Images, plan: LazyPlan) -> Tensor:
        """Drawn and warped on the device, without a wait."""
        return self.planner(images, keys=plan.keys, seed=plan.seed, epoch=plan.epoch)

    def mix(self, x: Tensor, y: Any, keys: Any, seed: int, epoch: int) -> tuple[Tensor, Any]:
        """The batch mixed as on the host."""
        return self.fused.mix(x, y, keys, seed, epoch)

    def masks(self, masks: Any, plan: LazyPlan) -> Any:
        """Masks, a list of `[h, w]`, through the host's matrix."""
        return self.fused.masks(masks, plan.host)

    def points(self, points: Any, plan: LazyPlan) -> Any:
        """Points, a list of `[n, 2]`, through the host's matrix."""
        return self.fused.points(points, plan.host)

    def boxes(self, boxes: Any, plan: LazyPlan) -> Any:
        """Boxes, a list of `[n, 4]`, through the host's matrix."""
        return self.fused.boxes(boxes, plan.host)


def place_on(fused: Fused, device: torch.device | str, split: Split) -> Fused | GpuAugment:
    """The augmentation drawn on the device; itself, where some of it has to be decided on the host."""
    table = compile_table(fused.transforms, fused.names, fused.segments, split)
    return GpuAugment(fused, GpuPlanner(fused, table, device)) if isinstance(table, OpTable) else fused
