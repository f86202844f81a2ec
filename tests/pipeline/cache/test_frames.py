"""A part is named by the digest of its frame: by every byte but the pixels and masks."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import CacheError
from onewarp.pipeline.cache.checksums import digest
from onewarp.pipeline.cache.frames import digest_around, frame_digest


def numbers(values):
    return np.array(values, np.int64)


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8), st.randoms(use_true_random=False))
def test_a_digest_around_ranges_is_that_of_all_other_bytes(tmp_path_factory, data, cuts, order):
    """The ranges in any order, empty ones and neighbours among them."""
    path = tmp_path_factory.mktemp("frame") / "a"
    path.write_bytes(data)
    cuts = sorted(min(cut, len(data)) for cut in cuts)
    ranges = list(zip(cuts[::2], cuts[1::2], strict=False))
    rest, end = [], 0
    for begin, stop in ranges:
        rest.append(data[end:begin])
        end = stop
    order.shuffle(ranges)
    begins, lengths = numbers([a for a, _ in ranges]), numbers([b - a for a, b in ranges])
    with open(path, "rb") as file:
        assert digest_around(file, begins, lengths) == digest([*rest, data[end:]])


@pytest.mark.parametrize(("begins", "lengths"), [([0, 2], [3, 2]), ([4], [3]), ([6], [1]), ([1, 1], [2, 2])], ids=str)
def test_ranges_that_overlap_or_lie_outside_are_refused(tmp_path, begins, lengths):
    (tmp_path / "part-1").write_bytes(b"abcdef")
    with (
        open(tmp_path / "part-1", "rb") as file,
        pytest.raises(CacheError, match=r"part-1 is no part of a cache: its rows overlap, or lie outside of it"),
    ):
        digest_around(file, numbers(begins), numbers(lengths))


def test_pixels_and_masks_are_no_part_of_a_frame_and_all_else_is(tmp_path):
    data, prefixes = bytearray(range(40)), ["", "mask_"]
    rows = pa.table({"offset": [3, 20], "length": [5, 4], "mask_offset": [10, 30], "mask_length": [2, 6]})
    inside = {*range(3, 8), *range(20, 24), *range(10, 12), *range(30, 36)}
    path = tmp_path / "a"

    def frame():
        path.write_bytes(data)
        with open(path, "rb") as file:
            return frame_digest(file, rows, prefixes)

    before = frame()
    for place in range(len(data)):
        data[place] ^= 255
        assert (frame() == before) == (place in inside), place
        data[place] ^= 255
