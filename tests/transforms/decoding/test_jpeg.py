"""JPEG by libjpeg-turbo, of whose warnings each is a refusal."""

import re

import pytest

from onewarp.errors import DecodeError
from onewarp.transforms.decoding.decode import Decoding, decode_pixels


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
