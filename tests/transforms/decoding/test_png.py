"""PNG, read through: every chunk, every checksum, and as many pixels as the header says."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from onewarp.errors import DecodeError
from onewarp.transforms.decoding import png
from onewarp.transforms.decoding.decode import decode_pixels


def chunk(name, body=b""):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def header(width=4, height=3, depth=8, colours=2, interlaced=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlaced))


PIXELS = chunk(b"IDAT", zlib.compress(bytes(3 * 13)))  # three rows of four pixels, each behind its filter's number
END = chunk(b"IEND")


def picture(*chunks):
    return png.SIGNATURE + b"".join(chunks)


def read(data, accept_cut=False):
    """What the check says, and the picture that it writes for Pillow."""
    stream = io.BytesIO()
    said = png.check(data, accept_cut, lambda: None, stream)
    return said, np.asarray(Image.open(stream))


def test_every_chunk_of_a_png_is_under_its_checksum(file_of, photo):
    data = file_of(photo())
    refused = 0
    for place in range(33, len(data) - 12):  # behind the header
        damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(DecodeError):
            decode_pixels(damaged)
        refused += 1
    assert refused > 100


@given(
    st.sampled_from(["1", "L", "LA", "RGB", "RGBA", "P", "I;16"]),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 9),
)
@settings(deadline=None, max_examples=60)
def test_the_picture_that_pillow_is_given_is_the_same(mode, size, level):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = Image.fromarray(pixels).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=level)
    said, found = read(stream.getvalue())
    assert np.array_equal(found, np.asarray(image))
    assert (said.header.width, said.header.height, said.missing) == (*size, 0)


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(("depth", "colours", "samples"), [(1, 0, 1), (2, 0, 1), (8, 3, 1), (16, 6, 4), (8, 2, 3)])
def test_a_header_says_how_long_the_stream_is(depth, colours, samples, interlaced):
    """By hand: a byte for the filter and whole bytes of pixels for each row, of each of seven passes if interlaced."""
    width, height = 13, 9
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    expected = 0
    for top, left, down, right in passes if interlaced else [(0, 0, 1, 1)]:
        rows, columns = len(range(top, height, down)), len(range(left, width, right))
        expected += rows * (1 + (columns * depth * samples + 7) // 8) if columns else 0
    said = png.header_of(png.SIGNATURE + header(width, height, depth, colours, interlaced))
    assert said.stream_bytes == expected
    assert said.interlaced == bool(interlaced)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (picture(PIXELS, END), "does not begin with its header"),
        (picture(header(depth=4), PIXELS, END), "of colour type 2 with 4 bits, which there is not"),
        (picture(header(width=0), PIXELS, END), "with a broken header"),
        (picture(header(interlaced=2), PIXELS, END), "with a broken header"),
        (picture(header(), END), "is a PNG without pixels"),
        (picture(header(colours=3), PIXELS, END), "lacks its palette"),
        (picture(header(), PIXELS), "is cut off: the PNG has no end"),
        (picture(header(), PIXELS, chunk(b"gAMA", bytes(4)), END), "gAMA comes too late"),
        (picture(header(), chunk(b"gAMA", bytes(4)), chunk(b"gAMA", bytes(4)), PIXELS, END), "gAMA is there twice"),
        (picture(header(), chunk(b"gAMA", bytes(3)), PIXELS, END), "gAMA has 3 bytes"),
        (picture(header(), PIXELS, chunk(b"tEXt", b"a\0b"), PIXELS, END), "IDAT is not in one piece"),
        (picture(header(), chunk(b"QUIT"), PIXELS, END), "QUIT is a chunk that no reader knows"),
        (picture(header(), chunk(b"a-b!"), PIXELS, END), "a chunk is called b'a-b!'"),
        (picture(header(colours=0), chunk(b"PLTE", bytes(3)), PIXELS, END), "PLTE is there though the picture is grey"),
        (picture(header(), chunk(b"PLTE", bytes(4)), PIXELS, END), "PLTE has 4 bytes"),
        (
            picture(header(colours=6), chunk(b"tRNS", bytes(6)), PIXELS, END),
            "tRNS is there though the picture has alpha",
        ),
        (picture(header(), chunk(b"tRNS", bytes(5)), PIXELS, END), "tRNS has 5 bytes"),
        (picture(header(height=4), PIXELS, END), "its stream ends before its pixels do"),
        (picture(header(height=2), PIXELS, END), "its stream holds more than its pixels"),
        (picture(header(), PIXELS, chunk(b"IDAT", b"more"), END), "bytes follow the end of its stream"),
        (picture(header(), chunk(b"IDAT", b"no stream"), END), "is a damaged PNG: Error"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said(data, reason):
    with pytest.raises(DecodeError, match=reason):
        read(data)


def test_of_a_file_that_ends_too_early_the_rest_is_zero_and_its_share_is_said():
    rows = np.arange(1, 41, dtype=np.uint8)[:, None].repeat(30, 1)
    stream = zlib.compressobj(0)  # stored: so many bytes are so many pixels
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    body = stream.compress(data) + stream.flush()
    whole = picture(header(30, 40, 8, 0), chunk(b"IDAT", body), END)
    cut = whole[: whole.index(b"IDAT") + 4 + 2 + 5 + 10 * 31]
    with pytest.raises(DecodeError, match="is cut off in a IDAT chunk"):
        read(cut)
    said, found = read(cut, accept_cut=True)
    assert said.missing == pytest.approx(0.75)
    assert np.array_equal(found[:10], rows[:10])
    assert not found[10:].any()
    assert read(whole)[0].missing == 0


def test_the_head_is_a_file_without_pixels_and_has_its_exif(file_of, photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(png.head(file_of(photo(), exif=exif), accept_cut=False)) as image:
        assert (image.size, image.getexif()[0x0112]) == ((128, 96), 6)
        with pytest.raises((OSError, SyntaxError)):
            image.load()


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0, 1))
@settings(deadline=None, max_examples=40)
def test_wherever_a_file_ends_pillow_reads_what_there_is_of_it(width, height, share):
    """The stream that it is given is of as many bytes as its chunk says, also where the file ends within a block."""
    pixels = np.random.default_rng(0).integers(1, 256, (height, width, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=0)
    whole = stream.getvalue()
    start = whole.index(b"IDAT") + 4
    said, found = read(whole[: start + 8 + int(share * (len(whole) - start - 30))], accept_cut=True)
    rows = int((1 - said.missing) * height)  # of whole rows, all pixels are those of the file
    assert np.array_equal(found[: max(0, rows - 1)], pixels[: max(0, rows - 1)])
    assert not found[rows + 1 :].any()
