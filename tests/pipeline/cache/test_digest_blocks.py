"""A block of the index is compared with its checksum, and its values are tested, before one of them is used."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.checksums import BLOCK, block_checksums
from onewarp.pipeline.cache.digest_blocks import Blocks, Region, refuse_impossible

START = 3
COUNT = 2 * BLOCK // 4 + 100
STRADDLING = [BLOCK // 4 - 1, 2 * BLOCK // 4 - 1]
"""Values of four bytes that lie in two blocks each, since the first begins at byte 3."""


class Comparisons(list):
    """Checksums that count how often each is asked for."""

    def __init__(self, checksums):
        super().__init__(checksums)
        self.counts = [0] * len(checksums)

    def __getitem__(self, block):
        self.counts[block] += 1
        return super().__getitem__(block)


def negative(values):
    return values < 0


def blocks_of(data):
    return Blocks(Path("index"), data, Comparisons(block_checksums(data.tobytes())))


def column_of(blocks, data, test=negative):
    return blocks.region("n", np.frombuffer(data, "<i4", COUNT, START), test)


@pytest.fixture
def data():
    """Three blocks, the last of them short: small numbers of four bytes from byte 3 on."""
    data = np.zeros(START + 4 * COUNT + 50, np.uint8)
    data[START : START + 4 * COUNT] = (np.arange(COUNT, dtype="<i4") % 1000).view(np.uint8)
    return data


def test_values_are_those_of_the_file_and_each_block_is_compared_once(data):
    blocks = blocks_of(data)
    column = column_of(blocks, data)
    assert (column.start, column.width, column.end) == (START, 4, START + 4 * COUNT)
    for _ in range(3):
        assert column[np.array([7, 5])].tolist() == [7, 5]
    assert blocks._checksums.counts == [1, 0, 0]
    assert column[np.array(STRADDLING)].tolist() == [n % 1000 for n in STRADDLING]
    assert blocks._checksums.counts == [1, 1, 1]
    assert column.part(998, 1002).tolist() == [998, 999, 0, 1]
    blocks.verify_all()
    assert blocks._checksums.counts == [1, 1, 1]


def test_only_a_block_that_is_used_is_compared(data):
    sound = block_checksums(data.tobytes())
    data[BLOCK + 100] ^= 1
    blocks = Blocks(Path("index"), data, sound)
    column = column_of(blocks, data)
    blocks.verify_ends()
    assert column[np.array([0, COUNT - 1])].tolist() == [0, (COUNT - 1) % 1000]
    message = r"index is damaged: the checksum of block 1 \(n\) is not that of the cache: run presize again"
    for read in (
        lambda: column[np.array([BLOCK // 4 + 50])],
        lambda: column[np.array(STRADDLING[:1])],
        lambda: column.part(0, STRADDLING[0] + 1),
        blocks.verify_all,
    ):
        with pytest.raises(CacheError, match=message):
            read()
    (line,) = blocks.damages()
    assert line.startswith("index is damaged: the checksum of block 1 (n)")


def test_the_first_and_the_last_block_are_compared_when_an_index_is_opened(data):
    for place in (0, len(data) - 1):
        sound = block_checksums(data.tobytes())
        data[place] ^= 1
        with pytest.raises(CacheError, match=f"the checksum of block {0 if place == 0 else 2} is not"):
            Blocks(Path("index"), data, sound).verify_ends()
        data[place] ^= 1


@pytest.mark.parametrize("number", [0, 40, *STRADDLING, *(n + 1 for n in STRADDLING), COUNT - 1])
@pytest.mark.parametrize("before", [[], [0], [COUNT - 1], [0, BLOCK // 4 + 9, COUNT - 1]], ids=str)
def test_an_impossible_value_with_the_right_checksum_is_refused_before_it_is_used(data, number, before):
    """Wherever it lies, in two blocks too, and whatever was read before."""
    data[START + 4 * number : START + 4 * number + 4] = 255
    blocks = blocks_of(data)
    column = column_of(blocks, data)
    for other in before:
        with suppress(CacheError):  # of the same block
            column[np.array([other])]
    with pytest.raises(CacheError, match=rf"index is no index of a cache: value {number} of its column n cannot be -1"):
        column[np.array([number])]


def test_an_array_that_does_not_lie_in_the_file_is_refused(data):
    blocks = blocks_of(data)
    for values in (np.zeros(5, np.int32), np.frombuffer(data, np.uint8)[: len(data)].repeat(2)):
        with pytest.raises(CacheError, match="index is no index of a cache: its column x lies outside of it"):
            blocks.region("x", values, None)
    assert len(blocks.region("x", np.empty(0, np.int32), None).values) == 0


def test_arrays_in_memory_are_tested_when_they_are_made():
    values = np.array([[1, 2], [3, -4]])
    region = Region("points", values, lambda rows: (rows < 0).any(1))
    assert region[np.array([1, 0])].tolist() == [[3, -4], [1, 2]]
    assert region.part(0, 1).tolist() == [[1, 2]]
    refuse_impossible(region, 0, 1, "the cache")
    with pytest.raises(
        CacheError, match=r"the cache is no index of a cache: value 1 of its column points cannot be \[3, -4\]"
    ):
        refuse_impossible(region, 0, 2, "the cache")
