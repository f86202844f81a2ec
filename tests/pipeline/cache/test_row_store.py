"""One reader of rows: `Cache`, the loader's `CacheRows` and `verify` say the same of every row."""

import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onewarp.errors import DamagedRowError, UsageError
from onewarp.pipeline import Beside, DataBlock, ImageBlock, MaskBlock, RandomSplitter, get_image_files
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.loading.cache_rows import CacheRows
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.warp.buffers import Buffers

BLOCK = DataBlock((ImageBlock, MaskBlock), get_image_files, RandomSplitter(0.5), get_y=Beside("../masks", ".png"))


@pytest.fixture(params=["raw", "jpeg", "png", "webp"])
def folder(request, tmp_path, draw) -> Path:
    """A cache of 12 pictures of three sizes, with masks."""
    for i in range(12):
        size = (24 + 4 * (i % 3), 32)
        draw(tmp_path / "pictures" / f"{i}.png", i, size)
        (tmp_path / "masks").mkdir(exist_ok=True)
        labels = np.random.default_rng(i).integers(0, 200, size, np.uint8)
        Image.fromarray(labels).save(tmp_path / "masks" / f"{i}.png")
    presize(tmp_path / "pictures", tmp_path / "C", 16, block=BLOCK, encoding=request.param)
    return tmp_path / "C"


def in_batches(cache: Cache, row: int, reading: str, mask: str | None) -> np.ndarray:
    """The pixels or the mask of a row, as a loader reads them."""
    rows = CacheRows(cache, reading=reading)
    if mask is not None:
        return rows.targets(np.array([row]))[mask].values[0].numpy()
    return rows.read(np.array([row]), Buffers(), in_place=False).images[0].numpy()


@pytest.mark.parametrize("reading", ["map", "pread"])
def test_both_readers_read_the_same(folder, reading):
    cache = Cache.open(folder)
    rows = CacheRows(cache, reading=reading)
    for row in range(len(cache)):
        key = cache.columns(row)["key"]
        assert rows.find(key) == row
        assert cache[key].key == key == rows.keys(np.array([row]))[0]
        assert np.array_equal(cache.row(row).pixels, in_batches(cache, row, reading, None))
        assert np.array_equal(cache.row(row).places["mask"], in_batches(cache, row, reading, "mask"))
    for split in cache.splits:
        assert np.array_equal(cache.rows(split), rows.select(split).rows())


@pytest.mark.parametrize("mask", [None, "mask"])
def test_of_any_damaged_byte_both_readers_and_verify_say_the_same(folder, mask):
    draws, prefix = random.Random(0), "" if mask is None else f"{mask}_"
    for _ in range(4):
        cache = Cache.open(folder)
        row = draws.randrange(len(cache))
        columns = cache.columns(row)
        part, place = cache.parts[columns["part"]], columns[f"{prefix}offset"]
        place += draws.randrange(columns[f"{prefix}length"])
        before = part.read_bytes()
        part.write_bytes(before[:place] + bytes([before[place] ^ (1 << draws.randrange(8))]) + before[place + 1 :])
        cache, errors = Cache.open(folder), []
        ways = [partial(in_batches, cache, row, reading, mask) for reading in ("map", "pread")]
        for way in [lambda c=cache, r=row: c.row(r), lambda c=cache, r=row: c.bytes_of(r, mask), *ways]:
            with pytest.raises(DamagedRowError) as caught:
                way()
            errors.append(caught.value)
        assert {(str(error), error.row, error.key) for error in errors} == {(str(errors[0]), row, columns["key"])}
        (line,) = cache.verify()
        assert str(errors[0]).startswith(f"{line}: run presize again")
        part.write_bytes(before)


def test_what_is_not_there_is_refused_in_the_same_words(folder):
    cache = Cache.open(folder)
    rows = CacheRows(cache)
    for ways in [(cache.__getitem__, rows.find), (cache.rows, rows.select)]:
        texts = set()
        for way in ways:
            with pytest.raises(UsageError) as caught:
                way("nothing of the kind")
            texts.add(str(caught.value))
        assert len(texts) == 1
