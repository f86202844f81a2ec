"""What an index says of rows, and what it says of those that are damaged."""

import numpy as np
import pytest

from onewarp.errors import CacheError, DamagedRowError, UsageError
from onewarp.pipeline import Cache, presize
from onewarp.pipeline.cache.row_index import RowIndex


@pytest.fixture
def stored(pictures, tmp_path):
    presize(pictures, tmp_path / "cache", 24, label="parent", split="random:0.25:1", encoding="png")
    return Cache.open(tmp_path / "cache")


@pytest.fixture
def index(stored):
    return stored.row_index


def test_a_key_finds_its_row_and_a_row_its_key(index):
    keys = index.keys(np.arange(len(index)))
    assert [index.find(key) for key in keys] == list(range(12))
    with pytest.raises(UsageError, match="key must be one of the cache's, but 'x' is not"):
        index.find("x")


def test_a_split_has_its_rows_and_one_that_is_not_there_is_refused(stored, index):
    assert {name: len(index.select(name)) for name in stored.splits} == stored.splits
    with pytest.raises(UsageError, match=r"split must be one of the cache's \(.*\), but got 'test'"):
        index.select("test")


def test_a_footer_that_counts_other_rows_is_refused(stored):
    counts = {**stored.splits, "valid": 1}
    other = RowIndex(stored.small, stored.encoding, counts, stored.footer["parts"])
    with pytest.raises(CacheError, match="and its footer says 1"):
        other.select("valid")


def test_bytes_are_decoded_to_the_pixels_of_their_size(stored, index):
    for row in range(12):
        pixels = index.to_pixels(row, stored.bytes_of(row))
        assert pixels.shape == (*index.sizes(np.array([row]))[0].tolist(), 3)
        assert (pixels == stored.pixels(row)).all()


def test_sizes_that_the_bytes_cannot_have_are_a_damaged_row(stored):
    raw = RowIndex(stored.small, "raw", stored.splits, stored.footer["parts"])
    with pytest.raises(DamagedRowError, match="another size than its bytes have"):
        raw.sizes(np.arange(12))


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_no_picture_are_a_damaged_row_that_is_named(index, damage):
    with pytest.raises(
        DamagedRowError, match=r"row '.*' \(number 3 in part-.*\) is damaged: .*cannot be decoded"
    ) as no:
        index.to_pixels(3, damage)
    assert (no.value.row, no.value.key) == (3, index.keys(np.array([3]))[0])
    with pytest.raises(DamagedRowError, match="its mask cannot be decoded"):
        index.decode_mask(3, damage, "mask")


def test_the_bytes_of_another_row_fail_their_checksum(stored, index):
    rows = np.array([4])
    (expected,) = index.checksums(rows)
    index.verify(4, stored.bytes_of(4), expected)
    with pytest.raises(DamagedRowError, match="its checksum is"):
        index.verify(4, stored.bytes_of(5), expected)
