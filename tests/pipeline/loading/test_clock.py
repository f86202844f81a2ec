"""Where the time of loops goes: each second in one stage, each batch once, whatever rows the loader reads."""

from copy import copy
from dataclasses import FrozenInstanceError
from itertools import accumulate
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from onewarp import Loader, Resize, presize
from onewarp.errors import DamagedRowError
from onewarp.pipeline.cache.mapping import MappedFiles
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.cache.row_store import RowStore
from onewarp.pipeline.loading import batching, cache_rows, clock, decoded_rows
from onewarp.pipeline.loading.batching import BatchMaker, BatchRequest
from onewarp.pipeline.loading.cache_rows import CacheRows
from onewarp.pipeline.loading.clock import Clock, LoopStats, Stages
from onewarp.pipeline.loading.decoded_rows import DecodedRows
from onewarp.pipeline.loading.devices import device_for
from onewarp.pipeline.loading.rows import DecodedPixels, MemoryRows, Targets
from onewarp.transforms.augment import fuse

IMAGES = [np.full((8, 9, 3), i, np.uint8) for i in range(11)]
SMALL = fuse([Resize(4)])


class Time:
    """The clock of a test: it stands still but where the test lets it pass. `readings` counts who looked at it."""

    now, readings = 0.0, 0

    def __call__(self):
        self.readings += 1
        return self.now

    def takes(self, seconds, function=lambda *args, **kwargs: None):
        """`function`, which takes `seconds` of this clock."""

        def run(*args, **kwargs):
            self.now += seconds
            return function(*args, **kwargs)

        return run


@pytest.fixture
def time(monkeypatch):
    stopped = Time()
    for module in (batching, cache_rows, clock, decoded_rows):
        monkeypatch.setattr(module, "perf_counter", stopped)
    return stopped


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """Paths of caches of one folder of photos, by encoding."""
    folder = tmp_path_factory.mktemp("photos")
    for i, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / f"{i:02}.png")
    paths = {encoding: folder.parent / f"{encoding}.cache" for encoding in ("raw", "jpeg", "png")}
    for encoding, path in paths.items():
        presize(folder, path, size=8, encoding=encoding, workers=1)
    return paths


def request(rows):
    rows = np.array(rows, np.int64)
    return BatchRequest(rows, rows.astype(np.uint64), np.ones(len(rows), bool), epoch=0)


def stages_of(rows, augmentation=None, n=3, **settings):
    device = device_for(torch.device("cpu"))
    maker = BatchMaker(rows, lambda epoch: augmentation, 0, "train", device, with_keys=False, **settings)
    return maker.make(request(range(n))).stages


def test_each_second_of_a_batch_is_in_the_stage_that_took_it(time, brighten, monkeypatch):
    class SlowRows(MemoryRows):
        def read(self, rows, buffers, *, in_place):
            time.now += 5
            return DecodedPixels(*super().read(rows, buffers, in_place=in_place), decoding=3)

        def targets(self, rows):
            time.now += 7
            return {"points": Targets("points", [torch.zeros(1, 2)] * len(rows))}

    for name, seconds in {"plan": 11, "images": 13, "points": 17, "mix": 19}.items():
        monkeypatch.setattr(type(brighten), name, time.takes(seconds, getattr(type(brighten), name)))
    monkeypatch.setattr(type(brighten), "mixes", ("one",))
    assert stages_of(SlowRows(IMAGES), brighten) == Stages(3, 2, 3, 7, 11 + 13 + 17 + 19, time.now)


def test_rows_of_a_users_own_that_give_a_plain_pair_are_read(time):
    class PlainRows(MemoryRows):
        def read(self, rows, buffers, *, in_place):
            time.now += 5
            return tuple(super().read(rows, buffers, in_place=in_place))

    assert stages_of(PlainRows(IMAGES))[:4] == (3, 5, 0, 0)


def test_what_came_to_nothing_as_a_row_is_damaged_was_read_too(time):
    class Damaged(MemoryRows):
        def read(self, rows, buffers, *, in_place):
            time.now += 5
            if 1 in rows:
                raise DamagedRowError("row 1", 1, "1")
            return super().read(rows, buffers, in_place=in_place)

    assert stages_of(Damaged(IMAGES), on_damage="replace").reading == 10


def test_items_are_read_while_they_are_decoded(time):
    load = time.takes(2, lambda image: (image, np.eye(3)))
    assert stages_of(DecodedRows(IMAGES, [str(i) for i in range(11)], load)) == Stages(3, 0, 6, 0, 0, 6)


@pytest.mark.parametrize("reading", ["map", "pread"])
@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_rows_of_a_cache_are_in_memory_and_compared_before_any_is_decoded(time, caches, encoding, reading, monkeypatch):
    rows = CacheRows(Cache.open(caches[encoding]), reading=reading)
    files = type(rows._files)
    monkeypatch.setattr(files, "get_all", time.takes(100, files.get_all))
    monkeypatch.setattr(RowStore, "verify", time.takes(10, RowStore.verify))
    monkeypatch.setattr(RowStore, "decode", time.takes(1, RowStore.decode))
    assert stages_of(rows)[:3] == (3, 130, 3)
    assert stages_of(rows)[:3] == (3, 100, 3)  # compared once


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
@pytest.mark.parametrize("cold", [True, False])
def test_nobody_else_waits_for_the_disk_while_rows_come_from_it(time, caches, cold, encoding, monkeypatch):
    rows = CacheRows(Cache.open(caches[encoding]), reading="map")
    monkeypatch.setattr(cache_rows, "blocks_read", lambda: 0)  # of this process
    rows._quiet = 0 if cold else 100
    monkeypatch.setattr(MappedFiles, "bring_in", time.takes(100, MappedFiles.bring_in))
    assert stages_of(rows, SMALL)[:3] == (3, 100 * cold, 0)


def second_by_second(ends, uses):
    """How many whole seconds a consumer waits, and for how many a batch lies ready while it is busy."""
    now = stall = slack = 0
    for i, use in enumerate(uses):
        while now < ends[i]:
            now, stall = now + 1, stall + 1
        for _ in range(use):
            slack += i + 1 < len(ends) and ends[i + 1] <= now
            now += 1
    return now, stall, slack


SECONDS = st.integers(0, 9)


@given(st.lists(st.tuples(SECONDS, SECONDS), max_size=8))
def test_every_second_of_a_loop_is_a_wait_or_the_consumers(steps):
    """Batches are made one behind the other in so many seconds each; the consumer is busy with each for others."""
    time, ends, uses = Time(), list(accumulate(making for making, _ in steps)), [use for _, use in steps]

    def batches():
        for end in ends:
            time.now = max(time.now, end)
            yield SimpleNamespace(stages=Stages(4, 1, 2, 3, 4, end))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "perf_counter", time)
        watch = Clock(threads=2)
        for _, use in zip(watch.watch(batches()), uses, strict=True):
            time.now += use
    n = len(steps)
    assert watch.stats == LoopStats(2, 1, n, 4 * n, *second_by_second(ends, uses), n, 2 * n, 3 * n, 4 * n)
    assert watch.stats.stall + watch.stats.slack <= watch.stats.seconds


def test_a_loop_that_is_left_counts_what_was_delivered(dense_rows):
    loader = Loader(dense_rows(), batch_size=10)
    for _ in loader:
        break
    loader.peek()
    assert (loader.stats().loops, loader.stats().batches, loader.stats().samples) == (1, 1, 10)
    before = loader.stats()
    list(loader)
    since = loader.stats() - before
    assert (since.loops, since.batches, since.samples) == (1, 4, 37)


def sources(caches):
    return [
        *(CacheRows(Cache.open(path), reading=reading) for path in caches.values() for reading in ("map", "pread")),
        MemoryRows(IMAGES),
        DecodedRows(IMAGES, [str(i) for i in range(11)], lambda image: (image, np.eye(3))),
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_have_no_more_seconds_than_there_are(caches, threads):
    for rows in sources(caches):
        loader = Loader(rows, batch_size=2, batch_tfms=SMALL, threads=threads)
        list(loader)
        stats = loader.stats()
        assert (stats.threads, stats.loops, stats.batches, stats.samples) == (threads, 1, 6, 11)
        assert 0 < stats.work <= threads * stats.seconds
        assert 0 < stats.stall + stats.slack <= stats.seconds
        assert min(vars(stats).values()) >= 0
        assert (stats.decoding > 0) == (not isinstance(rows, MemoryRows) and rows_are_encoded(rows))


def rows_are_encoded(rows):
    return isinstance(rows, DecodedRows) or rows._store.encoding != "raw"


def test_a_batch_costs_a_handful_of_looks_at_the_clock(time, caches):
    for rows in sources(caches):
        time.readings = 0
        list(Loader(rows, batch_size=2, batch_tfms=SMALL))
        assert time.readings <= 3 + 8 * 6


def test_a_copy_begins_anew(dense_rows):
    loader = Loader(dense_rows())
    list(loader)
    assert copy(loader).stats() == LoopStats(loader.threads)


def test_statistics_are_read_by_people():
    stats = LoopStats(2, 1, 8, 1489, 4.2123, 1.5, 0.25, 0.1, 3.25, 0.0, 2.0)
    assert repr(stats) == (
        "LoopStats: 1,489 samples in 8 batches of 1 loops took 4.21 s; the consumer waited 1.5 s, and batches waited "
        "for it 0.25 s. Seconds of 2 threads: reading 0.1, decoding 3.25, targets 0, warping 2"
    )
    with pytest.raises(FrozenInstanceError):
        stats.loops = 2
