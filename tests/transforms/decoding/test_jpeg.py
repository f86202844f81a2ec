"""JPEG by libjpeg-turbo, of whose warnings each is a refusal."""

import re
import subprocess
import sys

import pytest

from onewarp.errors import DecodeError
from onewarp.transforms.decoding.decode import Decoding, decode_pixels
from onewarp.transforms.decoding.jpeg import can_scale


def test_a_progressive_jpeg_that_is_cut_keeps_its_picture(file_of, photo, psnr):
    """Cut at 99 %, a picture that differs from the whole in its last details only, not a black one."""
    whole = file_of(photo(400, 400), "JPEG", progressive=True, quality=95)
    picture = decode_pixels(whole[: int(0.99 * len(whole))], decoding=Decoding(truncated="accept"))
    assert psnr(picture.pixels, decode_pixels(whole).pixels) > 40
    assert re.match(r"cut off in its scan \d+: \d+% of its rows lack the details", picture.lacks)


def test_a_jpeg_that_makes_its_decoder_warn_is_refused_unless_it_is_accepted(file_of, photo):
    whole = file_of(photo(), "JPEG")
    scan = whole.index(b"\xff\xda") + 40
    damaged = whole[:scan] + b"\0\0\0" + whole[scan:]
    with pytest.raises(DecodeError, match="is a damaged JPEG: Corrupt JPEG data"):
        decode_pixels(damaged)
    assert "Corrupt JPEG data" in decode_pixels(damaged, decoding=Decoding(truncated="accept")).lacks


LOSSLESS = """
import sys
from onewarp.transforms.decoding.decode import decode_pixels

data = open(sys.argv[1], "rb").read()
whole = decode_pixels(data)
for target in (1, 2, 5, 10, 16, 24) * 5:
    picture = decode_pixels(data, target)
    assert picture.scale == 1 and (picture.raw == whole.raw).all(), target
"""


def test_a_lossless_jpeg_is_not_scaled_for_the_decoder_writes_all_of_its_pixels(shared):
    """In a process of its own: beyond its memory, it would end this one."""
    file = shared / "odd" / "mixed" / "test__fixtures__testimgl.jpg"
    done = subprocess.run([sys.executable, "-c", LOSSLESS, file], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("header", "scales"),
    [
        ("FFD8 FFC0 0011", True),
        ("FFD8 FFE0 0004 0000 FFFF FFC2 0011", True),
        ("FFD8 FFC3 0011", False),  # lossless
        ("FFD8 FFE0 0004 0000 FFC3 0011", False),
        ("FFD8 FFE0 0002 00 FFC0 0011", False),  # something odd in between, which the decoder passes over
        ("FFD8 FFD0 FFC0 0011", False),  # a mark without a length
        ("FFD8 FF01 FFC0 0011", False),
        ("FFD8 FFDA 0008 FFC0 0011", False),
        ("FFD8", False),
        ("", False),
    ],
)
def test_only_a_frame_of_dct_is_scaled(header, scales):
    assert can_scale(bytes.fromhex(header) + bytes(8)) == scales
