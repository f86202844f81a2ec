"""A loop over a cache with a recipe, measured: where its time goes, and what limits it."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UsageError
from ...transforms.augment import Fused
from ...transforms.decoding.cost import machine_memory
from ...transforms.margin import smallest_presize
from ...transforms.warp.threads import cores
from ..cache.open_cache import OpenCache
from ..cache.reader import Cache
from ..loading.cache_rows import blocks_read, rows_of
from ..loading.clock import LoopStats
from ..loading.loader import AnyLoader, Loader
from ..service.addresses import is_address
from .bottleneck import Bottleneck, Setting, find_bottleneck
from .cache_argument import opened

_BLOCK = 512  # bytes of the system's count of what was read


@dataclass(frozen=True)
class MeasuredLoop:
    """A loop that was measured: from a `cold` or a warm page cache, with which setting, and what limited it."""

    cold: bool
    stats: LoopStats
    setting: Setting
    bottleneck: Bottleneck

    def facts(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        rate = {"samples_per_second": self.stats.samples / self.stats.seconds}
        return {
            "cold": self.cold,
            "stats": asdict(self.stats) | rate,
            "setting": asdict(self.setting),
            "bottleneck": asdict(self.bottleneck),
        }

    def lines(self) -> Iterator[str]:
        """The same for people: the state, the stages, and what to change."""
        stats = self.stats
        state = "as in a first epoch" if self.cold else "as in a later epoch"
        disk = f"{self.setting.disk_bytes / 1e6:,.1f} MB came from the disk"
        where = "rows came from a service" if self.setting.remote else disk
        yield f"{stats.samples:,} samples in {stats.batches:,} batches, {state}: {where}"
        yield f"{'samples/s':<10} {stats.samples / stats.seconds:,.0f}, in {stats.seconds:.3f} s"
        yield f"{'consumer':<10} waited {stats.stall:.3f} s for batches; the next one lay ready for {stats.slack:.3f} s"
        whole = stats.threads * stats.seconds
        stages = {name: getattr(stats, name) for name in ("reading", "decoding", "targets", "warping")}
        for name, seconds in (stages | {"idle": whole - stats.work}).items():
            yield f"{name:<10} {seconds / whole:>4.0%}, {seconds:.3f} of {whole:.3f} s of {stats.threads} threads"
        yield self.bottleneck.sentence


def measure_loop(
    source: str | Path,
    recipe: Fused,
    *,
    token_file: Path | None = None,
    roots: Path | None = None,
    batch_size: int = 64,
    threads: int | None = None,
    batches: int = 64,
    step_seconds: float = 0.0,
    cold: bool = False,
) -> MeasuredLoop:
    """Take `batches` batches of a cache with a recipe, over as many epochs as that takes, and see what limits it.

    `source` is a cache's folder, or the address of a service, which is shown the token in `token_file`, and trusted by
    the authorities in `roots`. The consumer sleeps `step_seconds` for each batch. Warm, the same batches were made once
    before. Cold, the system is asked to forget the cache's files first, and checksums are compared: a first epoch.

    Raises `UsageError` where nothing is left to measure, `CacheError` for what is no cache, and `ServiceError` where
    no service answers.
    """
    if batches < 1:
        raise UsageError(f"batches must be at least 1, but got {batches}")
    if step_seconds < 0:
        raise UsageError(f"step_seconds must be 0 or more, but got {step_seconds}")
    if is_address(source) and cold:
        raise UsageError("cold must be for a cache in a folder: what a service holds in memory is not known here")
    if cold:
        _forget_files(Cache.open(source).parts)
    with opened(source, token_file, roots) as cache:
        return _measure(cache, recipe, batch_size, threads, batches, step_seconds, cold)


def _measure(
    cache: OpenCache,
    recipe: Fused,
    batch_size: int,
    threads: int | None,
    batches: int,
    step_seconds: float,
    cold: bool,
) -> MeasuredLoop:
    loader: AnyLoader = Loader(rows_of(cache), batch_size=batch_size, threads=threads, batch_tfms=recipe)
    if not cold:
        _take(loader, batches, 0.0)
        loader.set_epoch(0)
    stats, blocks = loader.stats(), blocks_read()
    _take(loader, batches, step_seconds)
    stats, disk_bytes = loader.stats() - stats, (blocks_read() - blocks) * _BLOCK
    setting = _setting(cache, recipe, disk_bytes)
    return MeasuredLoop(cold, stats, setting, find_bottleneck(stats, setting))


def _take(loader: AnyLoader, batches: int, step_seconds: float) -> None:
    """Take so many batches, over as many epochs as that takes."""
    while batches > 0:
        for _ in islice(loader, batches):
            batches -= 1
            if step_seconds:
                time.sleep(step_seconds)


def _setting(cache: OpenCache, recipe: Fused, disk_bytes: int) -> Setting:
    height, width = (np.asarray(cache.small[side].to_arrow(), np.int64) for side in ("height", "width"))
    short = round(float(np.minimum(height, width).mean()))
    aspect = float((np.maximum(height, width) / np.minimum(height, width)).mean())
    try:
        smallest = smallest_presize(recipe, aspect=aspect)
    except UsageError:  # no size is large enough
        smallest = short
    return Setting(
        cores=cores(),
        disk_bytes=disk_bytes,
        encoding=cache.encoding,
        presize=short,
        raw_bytes=int((height * width).sum()) * 3,
        memory=machine_memory(),
        smallest_presize=smallest,
        remote=not isinstance(cache, Cache),
    )


def _forget_files(files: Iterable[Path]) -> None:
    """Ask the system to forget what it holds of files; pages that another process has mapped stay."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # what is not written yet cannot be forgotten
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
