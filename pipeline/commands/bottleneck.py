"""What limits a loop over a cache, and what to change: a function of its measured stages."""

from dataclasses import dataclass
from typing import Literal

from ..loading.clock import LoopStats

Limit = Literal["consumer", "reading", "decoding", "targets", "warping", "batches"]
Change = Literal["nothing", "threads", "raw", "presize", "disk", "service", "batch size", "machine"]

_WAITS = 0.05  # of the time: a consumer that waits less is what the loop waits for
_BUSY = 0.5  # of the threads' time: less, and no stage is what the consumer waits for
_FEW = 4  # batches of a loop for each thread: with fewer, the threads are idle at its ends
_SMALLER = 1.2  # times as large as it has to be: a presize beyond is worth doing again


@dataclass(frozen=True)
class Setting:
    """What a loop ran with, as far as it can be changed.

    `cores` may be used; `disk_bytes` came from the disk meanwhile. The cache has rows of `encoding`, whose short side
    is `presize` pixels on average, and which would take `raw_bytes` as raw pixels; `memory` is what the machine has.
    With rows of `smallest_presize` pixels the recipe would still enlarge nothing. `remote` rows come from a service.
    """

    cores: int
    disk_bytes: int
    encoding: str
    presize: int
    raw_bytes: int
    memory: int
    smallest_presize: int
    remote: bool = False


@dataclass(frozen=True)
class Bottleneck:
    """What limits a loop, what to change, and both in a sentence with the figure that says so."""

    limit: Limit
    change: Change
    sentence: str


def find_bottleneck(stats: LoopStats, setting: Setting) -> Bottleneck:
    """What limits the loops of `stats`, which have delivered at least one batch.

    The consumer does where it hardly waits. Else it is the stage that takes most of the threads' time; where the
    threads are idle nonetheless, it is how the loop is cut into batches.
    """
    rate = f"{stats.samples / stats.seconds:,.0f} samples/s"
    if stats.stall <= _WAITS * stats.seconds:
        return Bottleneck(
            "consumer",
            "nothing",
            f"The consumer limits this loop, which waited for batches in {stats.stall / stats.seconds:.0%} of its "
            f"{stats.seconds:.3g} s, at {rate}: nothing of the loader has to be changed.",
        )
    busy = stats.work / (stats.threads * stats.seconds)
    if busy < _BUSY:
        return Bottleneck("batches", "batch size", _idle(stats, busy, rate))
    stages: dict[Limit, float] = {
        "reading": stats.reading,
        "decoding": stats.decoding,
        "targets": stats.targets,
        "warping": stats.warping,
    }
    limit = max(stages, key=stages.__getitem__)
    change = _change(limit, stats, setting)
    return Bottleneck(
        limit,
        change,
        f"{limit.capitalize()} limits this loop: {stages[limit] / stats.work:.0%} of the time of its threads "
        f"({stages[limit]:.3g} of {stats.work:.3g} s), at {rate}; {_advice(change, stats, setting)}.",
    )


def _idle(stats: LoopStats, busy: float, rate: str) -> str:
    share = f"its threads are busy for {busy:.0%} of the time, at {rate}"
    batches = stats.batches / stats.loops
    if batches < _FEW * stats.threads:
        return (
            f"The few batches of a loop limit it: {share}, since {batches:.0f} batches are few for {stats.threads} "
            "threads, which begin and end with the loop; take smaller batches."
        )
    each = 1000 * stats.seconds / stats.batches
    return (
        f"What each batch costs beside its stages limits this loop: {share}, and a batch comes every {each:.3g} ms; "
        "take larger batches."
    )


def _change(limit: Limit, stats: LoopStats, setting: Setting) -> Change:
    """What to change where a stage takes most of the threads' time: what costs least comes first."""
    if limit == "reading" and (setting.remote or setting.disk_bytes):
        return "service" if setting.remote else "disk"
    if stats.threads < setting.cores:
        return "threads"
    if limit == "decoding" and setting.encoding != "raw" and setting.raw_bytes <= setting.memory // 2:
        return "raw"
    if setting.presize >= _SMALLER * setting.smallest_presize:
        return "presize"
    return "machine"


def _advice(change: Change, stats: LoopStats, setting: Setting) -> str:
    smaller = "JPEG rows (presize --encoding jpeg)" if setting.encoding == "raw" else "a smaller presize"
    match change:
        case "service":
            return f"rows come from a service: take more replicas, a faster network, or {smaller}"
        case "disk":
            rate = setting.disk_bytes / stats.seconds / 1e6
            return f"the disk gave {rate:,.0f} MB/s: take a faster one, or {smaller}"
        case "threads":
            return f"take more threads, {setting.cores} for as many cores in place of {stats.threads}"
        case "raw":
            size = setting.raw_bytes / 2**30
            return f"store the rows raw (presize --encoding raw), which takes {size:.2g} GiB and needs no decoding"
        case "presize":
            return (
                f"take a smaller presize (presize --size {setting.smallest_presize}): rows of {setting.presize} px are "
                "larger than this recipe needs"
            )
        case _:
            return f"all {setting.cores} cores are in use, so take more of them, or a recipe that makes smaller images"
