import re
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.pipeline.cache.checksums import BLOCK, block_checksums, checksum, checksum_fault, digest

CHECK = b"123456789"
"""Whose checksum by every algorithm stands in the catalogues of them: 0xCBF43926 for CRC-32."""


def test_a_fault_names_both_checksums_and_the_mask():
    assert checksum(CHECK) == checksum(np.frombuffer(CHECK, np.uint8)) == 0xCBF43926
    assert checksum_fault(CHECK, 0xCBF43926) is None
    assert checksum_fault(CHECK, 1) == "its checksum is cbf43926, but 00000001 was written"
    assert checksum_fault(CHECK, 1, "mask2") == "the checksum of its mask2 is cbf43926, but 00000001 was written"


@given(st.binary(min_size=1, max_size=64), st.data())
def test_another_bit_is_another_checksum_and_another_digest(data, draws):
    bit = draws.draw(st.integers(0, 8 * len(data) - 1))
    other = bytearray(data)
    other[bit // 8] ^= 1 << bit % 8
    assert checksum_fault(other, checksum(data)) is not None
    assert digest([other]) != digest([data])


@given(st.lists(st.binary(max_size=9)))
def test_a_digest_is_of_the_bytes_and_not_of_the_pieces(pieces):
    assert digest(pieces) == digest([b"".join(pieces)])
    assert re.fullmatch("[0-9a-f]{16}", digest(pieces))


def test_a_digest_stays_what_it_was():
    """Parts and indices are named by it: another one makes every cache anew."""
    assert digest([b"abc"]) == "d8bb14d833d59559"


@pytest.mark.parametrize("length", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_each_block_of_a_file_has_a_checksum(length):
    data = np.random.default_rng(length).bytes(length)
    blocks = [data[start : start + BLOCK] for start in range(0, length, BLOCK)]
    assert block_checksums(data) == [zlib.crc32(block) for block in blocks]


def test_blocks_are_of_bytes_whatever_an_array_holds():
    assert block_checksums(np.arange(5, dtype=np.float64)) == [zlib.crc32(np.arange(5, dtype=np.float64).tobytes())]
