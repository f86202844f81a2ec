"""Which classes a mask's file holds: the numbers that were saved, or none, with the cure."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from onewarp.errors import LabelError
from onewarp.pipeline import MaskBlock


def png(numbers, bits, palette=None):
    """A PNG of one channel of so many bits, or of indices, written out by hand."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = numbers.shape
    rows = []
    for row in numbers:
        digits = "".join(f"{number:0{bits}b}" for number in row)
        digits += "0" * (-len(digits) % 8)
        rows.append(b"\0" + int(digits, 2).to_bytes(len(digits) // 8, "big"))
    head = struct.pack(">IIBBBBB", width, height, bits, 0 if palette is None else 3, 0, 0, 0)
    colours = b"" if palette is None else chunk(b"PLTE", palette)
    body = chunk(b"IHDR", head) + colours + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_palette(numbers, colours):
    image = Image.fromarray(numbers)
    image.putpalette(colours)
    return image


def coloured(numbers):
    return Image.merge("RGB", [Image.fromarray(numbers)] * 3)


COLOURS = bytes(np.random.default_rng(0).integers(0, 256, 768, np.uint8))
KINDS = {
    "png 1 bit": (1, lambda n: png(n, 1)),
    "png 2 bits": (3, lambda n: png(n, 2)),
    "png 4 bits": (15, lambda n: png(n, 4)),
    "png 8 bits": (255, lambda n: png(n, 8)),
    "png 16 bits": (65535, lambda n: png(n, 16)),
    "png palette, 1 bit": (1, lambda n: png(n, 1, COLOURS[:6])),
    "png palette, 2 bits": (3, lambda n: png(n, 2, COLOURS[:12])),
    "png palette of one colour": (15, lambda n: png(n, 4, bytes(48))),
    "png palette, 8 bits": (255, lambda n: png(n, 8, COLOURS)),
    "png of grey in three channels": (255, lambda n: saved(coloured(n.astype(np.uint8)), "PNG")),
    "png of grey, opaque": (255, lambda n: saved(coloured(n.astype(np.uint8)).convert("RGBA"), "PNG")),
    "bmp": (255, lambda n: saved(Image.fromarray(n.astype(np.uint8)), "BMP")),
    "bmp 1 bit": (1, lambda n: saved(Image.fromarray(n.astype(bool)), "BMP")),
    "bmp palette": (255, lambda n: saved(with_palette(n.astype(np.uint8), COLOURS), "BMP")),
    "tiff": (255, lambda n: saved(Image.fromarray(n.astype(np.uint8)), "TIFF", compression="tiff_lzw")),
    "tiff 1 bit": (1, lambda n: saved(Image.fromarray(n.astype(bool)), "TIFF", compression="group4")),
    "tiff 16 bits": (65535, lambda n: saved(Image.fromarray(n.astype(np.uint16)), "TIFF")),
    "tiff 32 bits": (65535, lambda n: saved(Image.fromarray(n.astype(np.int32)), "TIFF")),
    "tiff of floats": (65535, lambda n: saved(Image.fromarray(n.astype(np.float32)), "TIFF")),
    "tiff palette": (255, lambda n: saved(with_palette(n.astype(np.uint8), COLOURS), "TIFF")),
    "pgm": (255, lambda n: saved(Image.fromarray(n.astype(np.uint8)), "PPM")),
    "pgm up to 5": (5, lambda n: b"P5 %d %d 5\n" % n.shape[::-1] + n.astype(np.uint8).tobytes()),
    "pgm up to 1000": (1000, lambda n: b"P5 %d %d 1000\n" % n.shape[::-1] + n.astype(">u2").tobytes()),
    "pgm as text up to 200": (200, lambda n: b"P2 %d %d 200\n" % n.shape[::-1] + b" ".join(b"%d" % v for v in n.flat)),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_labels_are_the_numbers_that_the_file_holds(kind, data):
    most, write = KINDS[kind]
    numbers = data.draw(st.lists(st.lists(st.integers(0, most), min_size=5, max_size=5), min_size=1, max_size=4))
    mask = MaskBlock()(write(np.array(numbers)))
    assert mask.tolist() == numbers


def test_true_is_one_in_an_array_too():
    assert MaskBlock()(np.array([[True, False]])).tolist() == [[1, 0]]
    assert MaskBlock()(Image.fromarray(np.array([[True, False]]))).tolist() == [[1, 0]]


TWO = np.array([[[255, 0, 0], [0, 130, 0]]], np.uint8)  # which are one grey
SEEN = np.array([[[9, 9, 9, 255], [9, 9, 9, 0]]], np.uint8)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved(Image.fromarray(TWO), "PNG"), "has colours, which are no labels: save the number of each pixel's class"),
        (saved(Image.fromarray(SEEN), "PNG"), "has colours, which are no labels"),
        (saved(Image.fromarray(TWO).convert("L"), "JPEG"), "is a JPEG, whose compression changes numbers: save the"),
        (saved(coloured(TWO[..., 0]), "WEBP"), "is a WEBP, whose compression changes numbers"),
        (saved(coloured(TWO[..., 0]), "TIFF", compression="jpeg"), "is a TIFF, whose compression changes numbers"),
        (saved(Image.fromarray(np.array([[0.5, 1]], np.float32)), "TIFF"), "has pixels of mode F, which are no labels"),
        (saved(Image.fromarray(TWO).convert("CMYK"), "TIFF"), "has pixels of mode CMYK, which are no labels"),
        (b"P6 2 1 65535\n" + bytes([1, 0] * 3 + [1, 9] * 3), "has several channels of 16 bits|has colours"),
        (b"nothing", "is of no known image format"),
        (png(np.array([[1, 2]]), 8)[:-20], "is cut off in a IDAT chunk"),
        (png(np.array([[1, 2]]), 8).replace(b"x\x9c", b"x\x9d"), "the checksum of a IDAT chunk is wrong"),
    ],
)
def test_what_holds_no_labels_is_refused_with_the_cure(tmp_path, data, reason):
    with pytest.raises(LabelError, match=reason):
        MaskBlock()(data)
    (tmp_path / "m.png").write_bytes(data)
    with pytest.raises(LabelError, match=rf"m\.png: (.*)({reason})"):
        MaskBlock()(tmp_path / "m.png")


def test_a_mask_that_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.png")
    with pytest.raises(LabelError, match=r"m\.png: is a named pipe, and no regular file"):
        MaskBlock()(tmp_path / "m.png")
