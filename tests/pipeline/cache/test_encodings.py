import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from onewarp.errors import DecodeError, LabelError, UsageError
from onewarp.pipeline.cache.encodings import ENCODINGS, decode_mask, decode_row, encode, encode_mask, estimate_bytes

PIXELS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda size: arrays.arrays(np.uint8, (*size, 3)))


def decoded(data, encoding, size):
    out = np.full((*size, 3), 77, np.uint8)
    decode_row(data, encoding, out)
    return out


@settings(deadline=None, max_examples=30)
@given(PIXELS, st.sampled_from(["raw", "png", "webp"]))
def test_what_loses_nothing_comes_back_to_the_bit(pixels, encoding):
    assert np.array_equal(decoded(encode(pixels, encoding), encoding, pixels.shape[:2]), pixels)
    assert np.array_equal(decoded(encode(pixels[:, ::-1], encoding), encoding, pixels.shape[:2]), pixels[:, ::-1])


def test_a_jpeg_is_near_and_the_nearer_the_larger():
    rows, columns = np.mgrid[:40, :50]
    smooth = np.stack([rows * 5, columns * 5, rows + columns], -1).astype(np.uint8)
    errors, sizes = [], []
    for quality in (95, 60, 10):
        data = encode(smooth, "jpeg", quality)
        errors.append(np.abs(decoded(data, "jpeg", (40, 50)).astype(int) - smooth).mean())
        sizes.append(len(data))
    assert errors == sorted(errors)
    assert sizes == sorted(sizes, reverse=True)
    assert errors[0] < 2


@pytest.mark.parametrize("encoding", ["png", "webp", "jpeg", "raw"])
def test_pixels_of_another_size_are_refused(encoding):
    data = encode(np.zeros((6, 4, 3), np.uint8), encoding)
    with pytest.raises(ValueError, match=r"6x4 pixels instead of 8x6|broadcast"):
        decoded(data, encoding, (8, 6))


@pytest.mark.parametrize(("encoding", "longest"), [("jpeg", 65_500), ("webp", 16_383)])
def test_a_side_that_an_encoding_cannot_hold_is_refused_with_the_cure(encoding, longest):
    assert decoded(encode(np.zeros((1, longest, 3), np.uint8), encoding), encoding, (1, longest)).max() == 0
    with pytest.raises(
        DecodeError, match=f"becomes {longest + 1} x 1 pixels, and {encoding} holds {longest:,} on a side"
    ):
        encode(np.zeros((longest + 1, 1, 3), np.uint8), encoding)


def test_an_unknown_encoding_is_refused():
    with pytest.raises(UsageError, match="encoding must be one of raw, jpeg, png, webp, but got 'gif'"):
        encode(np.zeros((1, 1, 3), np.uint8), "gif")


@settings(deadline=None)
@given(arrays.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.integers(0, 65_535)))
def test_the_numbers_of_a_mask_come_back_and_take_no_more_bits_than_they_need(mask):
    data = encode_mask(mask)
    assert np.array_equal(decode_mask(data), mask)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode) == ("PNG", "L" if mask.max() < 256 else "I;16")


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        ([[0, 65_536]], "has int64 from 0 to 65536"),
        ([[-1, 3]], "has int64 from -1 to 3"),
        ([[0.5]], "has float64 from 0 to 0"),
    ],
)
def test_what_is_no_mask_is_refused(mask, reason):
    with pytest.raises(LabelError, match=f"a mask must hold whole numbers from 0 to 65535, but {reason}"):
        encode_mask(np.array(mask))


def test_an_estimate_is_exact_for_raw_pixels_and_less_for_the_others():
    expected = {encoding: estimate_bytes(1000, encoding) for encoding in ENCODINGS}
    assert expected.pop("raw") == 3000
    assert all(0 < count < 3000 for count in expected.values())
