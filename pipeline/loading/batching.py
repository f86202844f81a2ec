"""How one batch is made: rows read, targets looked up, both augmented by one plan."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DamagedRowError
from ...transforms.types import sizes_of
from ...transforms.warp.packed import Packed
from ..cache.selection import Selection
from .batch import Batch
from .devices import Lane
from .rows import RowNumbers, Rows, Targets

Damaged = Literal["raise", "replace"]


class Plan(Protocol):
    """What an augmentation does to each image of a batch."""

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Output pixels to source pixels, float64 `[N, 3, 3]`."""


@runtime_checkable
class Augmentation(Protocol):
    """What a loader asks of fused transforms."""

    def plan(self, sizes: NDArray[np.int64], keys: NDArray[np.uint64], seed: int, epoch: int, split: Any) -> Any:
        """What happens to images of `sizes` `[N, 2]` with key hashes `[N]`: a Plan."""

    def images(self, images: Tensor | Packed, plan: Any) -> Tensor:
        """The images under the plan, `[N, 3, h, w]`."""

    @property
    def mixes(self) -> Sequence[Any]:
        """What mixes the samples of a training batch with one another, if anything does."""

    def mix(self, x: Tensor, y: Any, keys: NDArray[np.uint64], seed: int, epoch: int) -> tuple[Tensor, Any]:
        """The batch mixed."""

    def masks(self, masks: list[Tensor], plan: Any) -> Any:
        """The masks under the same plan."""

    def points(self, points: list[Tensor], plan: Any) -> Any:
        """The points under the same plan."""

    def boxes(self, boxes: list[Tensor], plan: Any) -> Any:
        """The boxes under the same plan."""


@dataclass(frozen=True)
class Job:
    """Which samples a batch is made of: row numbers, key hashes for the draws, which are not padding, the epoch."""

    rows: RowNumbers
    hashes: NDArray[np.uint64]
    valid: NDArray[np.bool_]
    epoch: int


@dataclass(frozen=True)
class Back:
    """The way from a batch's pixels to the original files', worked out when it is asked for."""

    presized: NDArray[np.float64]
    plan: Plan | None = None

    def __call__(self) -> Tensor:
        """The matrices `float64[N, 3, 3]`."""
        whole = self.presized if self.plan is None else self.presized @ np.asarray(self.plan.matrix, np.float64)
        return torch.from_numpy(whole)


class Made(NamedTuple):
    """A batch, and the mark after which it may be used (see `Lane.receive`)."""

    batch: Batch
    ready: Any


@dataclass(frozen=True)
class Maker:
    """Makes batches out of jobs; safe to be shared by threads."""

    rows: Rows
    augmentation: Callable[[int], Augmentation | None]
    seed: int
    split: str
    lane: Lane
    with_keys: bool
    damaged: Damaged = "raise"
    selection: RowNumbers | Selection | None = None
    set_aside: dict[int, DamagedRowError] = field(default_factory=dict)

    def make(self, job: Job, following: Job | None = None) -> Made:
        """Read, augment, collate; the rows of the `following` job are asked for ahead."""
        if following is not None:
            self.rows.expect(following.rows)
        while True:
            try:
                made = Made(self._made(self._without_set_aside(job)), self.lane.ready())
                self.rows.confirm()
                return made
            except DamagedRowError as error:
                if self.damaged == "raise" or error.row in self.set_aside:
                    raise
                self.set_aside[error.row] = error
            except Exception:
                self.rows.confirm()  # what fails on bytes that are no longer there is told as that
                raise

    def _made(self, job: Job) -> Batch:
        augmentation = self.augmentation(job.epoch)
        in_place = self.lane.in_place and augmentation is not None
        images, matrix = self.rows.read(job.rows, self.lane.buffers, in_place=in_place)
        targets = self.rows.targets(job.rows)
        x, back = self.lane.send(images), Back(matrix)
        if augmentation is not None:
            plan = augmentation.plan(sizes_of(images), job.hashes, self.seed, job.epoch, self.split)
            x = self.lane.warp(lambda: augmentation.images(x, plan))
            targets = {name: _augmented(target, augmentation, plan) for name, target in targets.items()}
            back = Back(matrix, plan)
        y = self.lane.send(collate(targets))
        if augmentation is not None and augmentation.mixes and self.split == "train":
            x, y = self.lane.warp(lambda: augmentation.mix(x, y, job.hashes, self.seed, job.epoch))
        keys = self.rows.keys(job.rows) if self.with_keys else None
        return Batch(
            (x, y) if keys is None else (x, y, keys),
            matrix=back,
            keys=keys or (lambda: self.rows.keys(job.rows)),
            valid=torch.from_numpy(job.valid),
        )

    def _without_set_aside(self, job: Job) -> Job:
        """The job with damaged rows replaced by the next good rows of the split, often of the same class."""
        bad = [i for i, row in enumerate(job.rows.tolist()) if row in self.set_aside] if self.set_aside else []
        if not bad:
            return job
        rows = job.rows.copy()
        for i in bad:
            rows[i] = self._next_good(int(rows[i]))
        hashes = job.hashes.copy()
        hashes[bad] = mixed(self.rows.key_hashes(rows[bad]), job.rows[bad])
        return replace(job, rows=rows, hashes=hashes)

    def _next_good(self, row: int) -> int:
        count = len(self.rows) if self.selection is None else len(self.selection)
        for step in range(1, count):
            index = (self._index(row) + step) % count
            candidate = index if self.selection is None else int(self.selection[np.array([index])][0])
            if candidate not in self.set_aside:
                return candidate
        raise self.set_aside[row]

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
    """What `y` is: None without targets, one value alone, several by name; equal shapes are stacked."""
    values = {name: _stacked(target.values) for name, target in targets.items()}
    return next(iter(values.values()), None) if len(values) < 2 else values


def _stacked(values: Any) -> Any:
    if isinstance(values, list) and values and all(value.shape == values[0].shape for value in values):
        return torch.stack(values)
    return values


def _augmented(target: Targets, augmentation: Augmentation, plan: Any) -> Targets:
    if isinstance(target.values, Tensor):  # a class does not move
        return target
    warped = {"mask": augmentation.masks, "points": augmentation.points, "boxes": augmentation.boxes}[target.kind]
    return Targets(target.kind, warped(target.values, plan))


def mixed(hashes: NDArray[np.uint64], salts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Key hashes salted by numbers: other draws for the same key; 0 leaves the hash alone."""
    salted = (hashes ^ salts.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    return np.where(salts == 0, hashes, salted ^ (salted >> np.uint64(32)))
