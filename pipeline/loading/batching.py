"""How one batch is made: its rows and targets are read, and one plan augments both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DamagedRowError
from ...transforms.types import sizes_of
from ...transforms.warp.packed import Packed
from ..cache.selection import Selection
from .batch import AnyBatch, Batch
from .clock import Stages
from .devices import BatchDevice
from .rows import ForgettingRows, RowNumbers, Rows, Targets

OnDamage = Literal["raise", "replace"]


class Plan(Protocol):
    """What an augmentation does to each image of a batch."""

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Output pixels to source pixels, float64 `[N, 3, 3]`."""


@runtime_checkable
class Augmentation(Protocol):
    """What a loader needs of fused transforms."""

    def plan(self, sizes: NDArray[np.int64], keys: NDArray[np.uint64], seed: int, epoch: int, split: Any) -> Any:
        """The `Plan` for images of `sizes` `[N, 2]` with key hashes `keys` `[N]`."""

    def images(self, images: Tensor | Packed, plan: Any) -> Tensor:
        """The images under the plan, `[N, 3, h, w]`."""

    @property
    def mixes(self) -> Sequence[Any]:
        """The transforms that mix the samples of a training batch with one another."""

    def mix(self, x: Tensor, y: Any, keys: NDArray[np.uint64], seed: int, epoch: int) -> tuple[Tensor, Any]:
        """A training batch with its samples mixed."""

    def masks(self, masks: list[Tensor], plan: Any) -> Any:
        """The masks under the plan of their images."""

    def points(self, points: list[Tensor], plan: Any) -> Any:
        """The points under the plan of their images."""

    def boxes(self, boxes: list[Tensor], plan: Any) -> Any:
        """The boxes under the plan of their images."""


@dataclass(frozen=True)
class BatchRequest:
    """The samples of a batch: row numbers, key hashes for the draws, whether each is no padding, and the epoch."""

    rows: RowNumbers
    hashes: NDArray[np.uint64]
    valid: NDArray[np.bool_]
    epoch: int


@dataclass(frozen=True)
class ToOriginal:
    """Computes, when it is called, the matrices from a batch's pixels to those of the original files."""

    presized: NDArray[np.float64]
    plan: Plan | None = None

    def __call__(self) -> Tensor:
        """The matrices `float64[N, 3, 3]`."""
        matrix = self.presized if self.plan is None else self.presized @ np.asarray(self.plan.matrix, np.float64)
        return torch.from_numpy(matrix)


class ReadyBatch(NamedTuple):
    """A batch, the event after which it may be used (see `BatchDevice.acquire`), and what it took."""

    batch: AnyBatch
    event: Any
    stages: Stages


class _Samples(NamedTuple):
    """The samples of a batch, and how long they took."""

    x: Tensor
    targets: Mapping[str, Targets]
    to_original: ToOriginal
    decoding: float
    have_pixels: float
    have_targets: float


class Warped(NamedTuple):
    """Rows that were augmented where they are kept.

    `images` are `[N, 3, h, w]`, `masks` by column `[N, h, w]`, `sizes` those of the rows `[N, 2]`, and `matrix`
    float64 `[N, 3, 3]` from the rows' pixels to the original.
    """

    images: Tensor
    masks: Mapping[str, Tensor]
    sizes: NDArray[np.int64]
    matrix: NDArray[np.float64]


class Warper(Protocol):
    """Rows of a loader that come augmented."""

    def expect(self, request: BatchRequest) -> None:
        """Prepare for this request."""

    def forget(self, request: BatchRequest) -> None:
        """Let go of a request that was expected and will not be made."""

    def warp(self, request: BatchRequest) -> Warped:
        """The rows of a request, augmented."""

    def targets(self, rows: RowNumbers, masks: Mapping[str, Tensor]) -> Mapping[str, Targets]:
        """The rows' targets in their order: as they are kept, but `masks`, which were augmented, in their place."""


@runtime_checkable
class WarpingRows(Protocol):
    """Rows that can be augmented where they are kept."""

    def warper(self, augmentation: Callable[[int], Augmentation | None], seed: int, split: str) -> Warper | None:
        """What gives the rows of a loader augmented; None where the loader augments them itself."""


@dataclass(frozen=True)
class BatchMaker:
    """Makes batches out of requests; threads may share it.

    `quarantine` has the damaged rows that were replaced, by number; its entries are only added.
    """

    rows: Rows
    augmentation: Callable[[int], Augmentation | None]
    seed: int
    split: str
    device: BatchDevice
    with_keys: bool
    on_damage: OnDamage = "raise"
    selection: RowNumbers | Selection | None = None
    warper: Warper | None = None
    quarantine: dict[int, DamagedRowError] = field(default_factory=dict)

    def make(self, request: BatchRequest, following: Sequence[BatchRequest] = ()) -> ReadyBatch:
        """Read, augment and collate a batch; the rows of the `following` requests are asked for ahead."""
        begin = perf_counter()
        for other in () if self.holds else following:
            self.rows.expect(other.rows)
        while True:
            try:
                whole = self._replace_damaged(request)
                if whole is not request:
                    self.forget([request])  # nobody will take its rows
                ready = self._assemble(whole, begin)
                self.rows.confirm()
                return ready
            except DamagedRowError as error:
                if self.on_damage == "raise" or error.row in self.quarantine:
                    raise
                self.quarantine[error.row] = error
            except Exception:
                self.rows.confirm()  # where bytes are gone, report that rather than what it led to
                raise

    @property
    def holds(self) -> bool:
        """Whether what is expected is held until it is made: it must be expected before, and only once."""
        return self.warper is not None or isinstance(self.rows, ForgettingRows)

    def expect(self, requests: Sequence[BatchRequest]) -> None:
        """Ask ahead for what is held; whoever makes the requests calls it, in their order, before they are made."""
        for request in requests if self.holds else ():
            if self.warper is None:
                self.rows.expect(request.rows)
            else:
                self.warper.expect(request)

    def forget(self, requests: Sequence[BatchRequest]) -> None:
        """Let go of requests whose rows were asked for ahead, and that will not be made."""
        for request in requests:
            if self.warper is not None:
                self.warper.forget(request)
            elif isinstance(self.rows, ForgettingRows):
                self.rows.forget(request.rows)

    def _assemble(self, request: BatchRequest, begin: float) -> ReadyBatch:
        """A batch whose reading began at `begin`: what came to nothing before, as a damaged row was found, is in it."""
        augmentation = self.augmentation(request.epoch)
        if augmentation is None or self.warper is None:
            made = self._read(request, augmentation)
        else:
            made = self._receive(request, augmentation, self.warper)
        x, y = made.x, self.device.upload(collate(made.targets))
        if augmentation is not None and augmentation.mixes and self.split == "train":
            x, y = self.device.warp(lambda: augmentation.mix(x, y, request.hashes, self.seed, request.epoch))
        keys = self.rows.keys(request.rows) if self.with_keys else None
        batch = Batch(
            (x, y) if keys is None else (x, y, keys),
            matrix=made.to_original,
            keys=keys or (lambda: self.rows.keys(request.rows)),
            valid=torch.from_numpy(request.valid),
        )
        end = perf_counter()
        stages = Stages(
            samples=len(request.rows),
            reading=made.have_pixels - begin - made.decoding,
            decoding=made.decoding,
            targets=made.have_targets - made.have_pixels,
            warping=end - made.have_targets,
            end=end,
        )
        return ReadyBatch(batch, self.device.event(), stages)

    def _read(self, request: BatchRequest, augmentation: Augmentation | None) -> "_Samples":
        """The rows of a request, read, and augmented here."""
        in_place = self.device.in_place and augmentation is not None
        pixels = self.rows.read(request.rows, self.device.buffers, in_place=in_place)
        images, matrix = pixels
        have_pixels = perf_counter()
        targets = self.rows.targets(request.rows)
        have_targets = perf_counter()
        x, to_original = self.device.upload(images), ToOriginal(matrix)
        if augmentation is not None:
            plan = augmentation.plan(sizes_of(images), request.hashes, self.seed, request.epoch, self.split)
            x = self.device.warp(lambda: augmentation.images(x, plan))
            targets = {name: _augment(target, augmentation, plan) for name, target in targets.items()}
            to_original = ToOriginal(matrix, plan)
        return _Samples(x, targets, to_original, getattr(pixels, "decoding", 0.0), have_pixels, have_targets)

    def _receive(self, request: BatchRequest, augmentation: Augmentation, warper: Warper) -> "_Samples":
        """The rows of a request, augmented where they are kept; what needs no pixels is computed here."""
        warped = warper.warp(request)
        have_pixels = perf_counter()
        targets = warper.targets(request.rows, warped.masks)
        have_targets = perf_counter()
        plan = augmentation.plan(warped.sizes, request.hashes, self.seed, request.epoch, self.split)
        done = {
            name: target if name in warped.masks else _augment(target, augmentation, plan)
            for name, target in targets.items()
        }
        images = self.device.upload(warped.images)
        return _Samples(images, done, ToOriginal(warped.matrix, plan), 0.0, have_pixels, have_targets)

    def _replace_damaged(self, request: BatchRequest) -> BatchRequest:
        """The request with its damaged rows replaced by the next good rows of the split, often of the same class."""
        bad = [i for i, row in enumerate(request.rows.tolist()) if row in self.quarantine] if self.quarantine else []
        if not bad:
            return request
        rows = request.rows.copy()
        for i in bad:
            rows[i] = self._next_good(int(rows[i]))
        hashes = request.hashes.copy()
        hashes[bad] = salt_hashes(self.rows.key_hashes(rows[bad]), request.rows[bad])
        return replace(request, rows=rows, hashes=hashes)

    def _next_good(self, row: int) -> int:
        count = len(self.rows) if self.selection is None else len(self.selection)
        for step in range(1, count):
            index = (self._index(row) + step) % count
            candidate = index if self.selection is None else int(self.selection[np.array([index])][0])
            if candidate not in self.quarantine:
                return candidate
        raise self.quarantine[row]

    def _index(self, row: int) -> int:
        """The place of a row within the split."""
        match self.selection:
            case None:
                return row
            case Selection():
                return self.selection.index(row)
            case rows:
                return int(np.searchsorted(rows, row))


def collate(targets: Mapping[str, Targets]) -> Any:
    """The `y` of a batch: None, the values of a single target, or several by name; equal shapes are stacked."""
    values = {name: _stack(target.values) for name, target in targets.items()}
    return next(iter(values.values()), None) if len(values) < 2 else values


def _stack(values: Any) -> Any:
    if isinstance(values, list) and values and all(value.shape == values[0].shape for value in values):
        return torch.stack(values)
    return values


def _augment(target: Targets, augmentation: Augmentation, plan: Any) -> Targets:
    if isinstance(target.values, Tensor):  # a class does not move
        return target
    move = {"mask": augmentation.masks, "points": augmentation.points, "boxes": augmentation.boxes}[target.kind]
    return Targets(target.kind, move(target.values, plan))


def salt_hashes(hashes: NDArray[np.uint64], salts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Key hashes salted by numbers: other draws for the same key; 0 leaves the hash alone."""
    salted = (hashes ^ salts.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    return np.where(salts == 0, hashes, salted ^ (salted >> np.uint64(32)))
