"""Whole files of every format: each is what it is called, with the pixels that were drawn."""

import io

import numpy as np
import pytest
from PIL import Image

from onewarp.benchmarks.originals import originals, png_of
from onewarp.benchmarks.references import READERS

FILES = originals()


def picture(kind):
    return Image.open(io.BytesIO(FILES[kind][1]))


@pytest.mark.parametrize("kind", FILES)
def test_a_file_has_the_format_that_its_reader_is_of(kind):
    reader, data = FILES[kind]
    assert reader in READERS
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == ("PPM" if reader == "PPM" else reader)
        assert image.size in ((53, 41), (48, 48))
        image.load()


def test_they_are_the_same_each_time():
    assert originals() == FILES


LOSSLESS = ("PNG interlaced", "BMP", "DIB", "PPM", "TIFF", "TIFF lzw", "WebP lossless", "JPEG 2000", "TIFF zstd")


@pytest.mark.parametrize("kind", LOSSLESS)
def test_files_that_lose_nothing_have_the_same_pixels(kind):
    assert np.array_equal(np.asarray(picture(kind).convert("RGB")), np.asarray(picture("PNG")))


@pytest.mark.parametrize(
    ("kind", "same"), [("BMP runs", "BMP palette"), ("GIF", "BMP palette"), ("GIF interlaced", "GIF")]
)
def test_another_coding_of_a_palette_has_the_same_pixels(kind, same):
    assert np.array_equal(np.asarray(picture(kind).convert("RGB")), np.asarray(picture(same).convert("RGB")))


def test_rows_of_one_colour_are_runs():
    """BI_RLE8, by the fourth field of the header."""
    data = FILES["BMP runs"][1]
    assert int.from_bytes(data[30:34], "little") == 1
    assert len(data) != len(FILES["BMP palette"][1])


def test_an_icon_holds_a_bitmap_whose_height_counts_twice():
    data = FILES["ICO bitmap"][1]
    assert data[6:8] == bytes([53, 41])
    assert int.from_bytes(data[22 + 8 : 22 + 12], "little") == 82
    rgba = np.asarray(picture("ICO bitmap").convert("RGBA"))
    assert np.array_equal(rgba, np.asarray(picture("PNG alpha")))


def test_a_png_is_its_chunks_each_with_its_length_and_checksum():
    assert png_of([(b"IEND", b"")]) == b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82"
