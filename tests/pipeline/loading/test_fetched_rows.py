"""Rows whose bytes are fetched are those of the cache, whoever fetches them, and nothing is kept that nobody takes."""

from threading import Lock

import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.errors import DamagedRowError
from onewarp.pipeline import Cache, CategoryBlock, DataBlock, ImageBlock, Loader, MaskBlock, get_image_files, presize
from onewarp.pipeline.loading.cache_rows import CacheRows
from onewarp.pipeline.loading.fetched_rows import FetchedRows
from onewarp.pipeline.loading.prefetcher import Prefetcher
from onewarp.transforms import Resize, Rotate

RECIPE = [Resize(16), Rotate(p=1.0)]


class FromFiles:
    """Fetches the bytes of rows from a cache's files; `damaged` are rows of which it gets other bytes."""

    def __init__(self, cache):
        self._cache, self._lock = cache, Lock()
        self.fetched, self.damaged = [], set()

    def fetch(self, rows, masks):
        with self._lock:
            self.fetched.append(rows.tolist())
        return {mask: [self._bytes(row, mask) for row in rows.tolist()] for mask in (None, *masks)}

    def _bytes(self, row, mask):
        data = np.frombuffer(self._cache.bytes_of(row, mask), np.uint8)
        return data[::-1].copy() if row in self.damaged else data


@pytest.fixture
def folder(pictures, tmp_path):
    presize(pictures, tmp_path / "cache", 24, label="parent", split="random:0.25:1", encoding="jpeg")
    return tmp_path / "cache"


@pytest.fixture
def fetched():
    """fetched(cache): its rows, fetched from its files, with the `fetcher` and the `prefetcher` that they have."""
    prefetchers = []

    def make(cache, most_bytes=1 << 30, **settings):
        prefetchers.append(Prefetcher(2, most_bytes))
        fetcher = FromFiles(cache)
        rows = FetchedRows(cache.row_index, cache, fetcher, prefetchers[-1], **settings)
        rows.fetcher, rows.prefetcher = fetcher, prefetchers[-1]
        return rows

    yield make
    for prefetcher in prefetchers:
        prefetcher.close()


def mask_of(path):
    """A mask as large as the picture, with numbers beyond 255 in some."""
    number = int(path.stem)
    with Image.open(path) as image:
        return np.full(image.size[::-1], 1000 if number % 3 == 0 else number, np.int32)


@pytest.fixture
def masked(pictures, tmp_path):
    """A cache with masks beside its labels."""
    block = DataBlock(
        (ImageBlock, MaskBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=[mask_of, lambda path: path.parent.name],
        splitter=lambda items: (list(range(1, 12)), [0]),
    )
    presize(pictures, tmp_path / "masked", 24, block=block)
    return Cache.open(tmp_path / "masked")


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("most_bytes", [1, 1 << 30])
def test_batches_are_those_of_the_cache_and_each_is_fetched_once(folder, fetched, threads, most_bytes):
    cache = Cache.open(folder)
    rows = fetched(cache, most_bytes)
    for epoch in range(2):
        loader = Loader(rows, None, 2, RECIPE, threads=threads)
        loader.set_epoch(epoch)
        local = Loader(folder, None, 2, RECIPE)
        local.set_epoch(epoch)
        for one, other in zip(loader, local, strict=True):
            assert torch.equal(one[0], other[0])
            assert torch.equal(one[1], other[1])
        assert sorted(row for batch in rows.fetcher.fetched for row in batch) == list(range(12))
        assert rows.prefetcher.held == 0
        rows.fetcher.fetched.clear()


def test_masks_of_every_range_come_with_their_pictures(masked, fetched):
    rows = fetched(masked)
    for one, other in zip(Loader(rows, None, 4, RECIPE), Loader(CacheRows(masked), None, 4, RECIPE), strict=True):
        assert list(one[1]) == list(other[1])
        for name in one[1]:
            assert one[1][name].dtype == other[1][name].dtype
            assert torch.equal(one[1][name], other[1][name])
    assert len(rows.fetcher.fetched) == 3


def test_a_loop_that_is_left_holds_nothing(folder, fetched):
    rows = fetched(Cache.open(folder))
    for _ in range(3):
        loop = iter(Loader(rows, None, 1, RECIPE))
        next(loop)
        loop.close()
        assert rows.prefetcher.held == 0


def test_damaged_rows_are_replaced_as_those_of_a_cache_and_nothing_is_kept(folder, fetched):
    rows = fetched(Cache.open(folder))
    rows.fetcher.damaged = {2, 3, 7}
    loader = Loader(rows, None, 3, RECIPE, damaged="replace")
    for _ in range(3):
        assert sum(len(x) for x, _ in loader) == 12
        assert rows.prefetcher.held == 0
    assert len(loader.set_aside) == 3
    with pytest.raises(DamagedRowError):
        list(Loader(rows, None, 3, RECIPE))


def test_bytes_of_another_length_are_a_damaged_row_also_where_nothing_is_checked(folder, fetched, monkeypatch):
    rows = fetched(Cache.open(folder), checking="never")
    whole = rows.fetcher._bytes
    monkeypatch.setattr(rows.fetcher, "_bytes", lambda row, mask: whole(row, mask)[:-1])
    with pytest.raises(DamagedRowError, match=r"\d+ bytes came of its \d+"):
        next(iter(Loader(rows, None, 4, RECIPE)))
