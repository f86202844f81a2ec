"""Where the time of a loader's loops goes: the seconds of each stage, added up as batches are taken."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from time import perf_counter
from typing import NamedTuple, Protocol, TypeVar


class Stages(NamedTuple):
    """What one batch took, in seconds of the thread that made it, and when it was ready (`perf_counter`)."""

    samples: int = 0
    reading: float = 0.0
    decoding: float = 0.0
    targets: float = 0.0
    warping: float = 0.0
    end: float = 0.0


class Timed(Protocol):
    """Something that was made in stages."""

    @property
    def stages(self) -> Stages:
        """What it took."""


T = TypeVar("T", bound=Timed)


@dataclass(frozen=True, repr=False)
class LoopStats:
    """Where the time of loops went. Statistics of a moment minus those of an earlier one are those of the time between.

    Batches that were delivered are counted, with all rows in them: `loops`, `batches`, `samples`. `seconds` passed by
    the clock, from the first batch that was asked for on. The consumer waited for batches for `stall` of them, and for
    `slack` of them the next batch lay ready while the consumer was still busy with the one before.

    The stages are seconds of threads, summed over the `threads` that make batches side by side, so that all stages come
    to `threads * seconds` at most: `reading` stored bytes and comparing them with their checksums, `decoding` them,
    reading `targets`, and `warping`, which is all the rest: draws, warp, what moves targets with their images, mixing.

    Rows that are decoded from files, or by a function of yours, are read while they are decoded: all of it is
    `decoding`. Of rows in a map of raw pixels, the warp is the first to touch the pixels. On a GPU `warping` is what
    the host does for it.
    """

    threads: int = 1
    loops: int = 0
    batches: int = 0
    samples: int = 0
    seconds: float = 0.0
    stall: float = 0.0
    slack: float = 0.0
    reading: float = 0.0
    decoding: float = 0.0
    targets: float = 0.0
    warping: float = 0.0

    @property
    def work(self) -> float:
        """The seconds of all stages together, summed over threads."""
        return self.reading + self.decoding + self.targets + self.warping

    def __sub__(self, earlier: "LoopStats") -> "LoopStats":
        return self._plus(earlier, -1)

    def __add__(self, later: "LoopStats") -> "LoopStats":
        return self._plus(later, 1)

    def _plus(self, other: "LoopStats", sign: int) -> "LoopStats":
        mine, theirs = vars(self), vars(other)
        return LoopStats(self.threads, *(mine[name] + sign * theirs[name] for name in _SUMS))

    def __repr__(self) -> str:
        return (
            f"LoopStats: {self.samples:,} samples in {self.batches:,} batches of {self.loops} loops took "
            f"{self.seconds:.3g} s; the consumer waited {self.stall:.3g} s, and batches waited for it {self.slack:.3g} "
            f"s. Seconds of {self.threads} threads: reading {self.reading:.3g}, decoding {self.decoding:.3g}, targets "
            f"{self.targets:.3g}, warping {self.warping:.3g}"
        )


_SUMS = tuple(field.name for field in fields(LoopStats))[1:]


class Clock:
    """Adds up what the batches of a loader took; `stats` is replaced whole, so that any thread may read it."""

    def __init__(self, threads: int) -> None:
        self.stats = LoopStats(threads)

    def watch(self, batches: Iterator[T]) -> Iterator[T]:
        """The batches of one loop as they are, each counted when it is taken."""
        self.stats += LoopStats(loops=1)
        came = perf_counter()
        while True:
            before, asked = came, perf_counter()
            batch = next(batches, None)
            came = perf_counter()
            stages = Stages(end=asked) if batch is None else batch.stages
            self.stats += LoopStats(
                batches=int(batch is not None),
                seconds=came - before,
                stall=came - asked,
                slack=max(0.0, asked - max(before, stages.end)),
                samples=stages.samples,
                reading=stages.reading,
                decoding=stages.decoding,
                targets=stages.targets,
                warping=stages.warping,
            )
            if batch is None:
                return
            yield batch
