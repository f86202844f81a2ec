"""What reference readers print, read byte by byte; their commands are held by `test_mutations.py`."""

import struct

import numpy as np
import pytest

from onewarp.benchmarks import references
from onewarp.benchmarks.references import RefusalError


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (b"P4\n10 2\n\x80\x40\x00\x00", [[0, *[255] * 8, 0], [255] * 10]),  # a set bit is black
        (b"P5\n3 1\n255\n\x00\x80\xff", [[0, 128, 255]]),
        (b"P5 # a comment\n3 1\n255\n\x01\x02\x03", None),
        (b"P5\n# a comment\n2 1\n15\n\x05\x0f", [[85, 255]]),
        (b"P5\n2 1\n65535\n\x01\x01\xff\xff", [[1, 255]]),
    ],
)
def test_one_channel_of_netpbm(data, pixels):
    if pixels is None:  # behind the magic nothing may stand, as no reader prints it
        with pytest.raises(KeyError):
            references._netpbm(data)
        return
    assert references._netpbm(data)[..., 0].tolist() == pixels


def test_channels_of_netpbm():
    colours = references._netpbm(b"P6\n2 1\n255\n" + bytes(range(6)))
    assert colours.tolist() == [[[0, 1, 2], [3, 4, 5]]]
    head = b"P7\nWIDTH 1\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    assert references._netpbm(head + bytes(range(8))).tolist() == [[[0, 1, 2, 3]], [[4, 5, 6, 7]]]
    with pytest.raises(RefusalError, match="no picture"):
        references._netpbm(b"P7\nWIDTH 1\n")


def bitmap(codes, width=5, height=2, compression=1):
    """A BMP file of 8 bits whose pixels are these codes of runs."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, len(codes), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(codes), 0, 0, 54) + header + bytes(codes)


@pytest.mark.parametrize(
    ("codes", "rows"),
    [
        ([5, 7, 0, 0, 2, 1, 3, 2, 0, 1], [[7, 7, 7, 7, 7], [1, 1, 2, 2, 2]]),
        ([0, 2, 2, 1, 1, 9, 0, 1], [[0, 0, 0, 0, 0], [0, 0, 9, 0, 0]]),  # two to the right, one down
        (
            [0, 3, 4, 5, 6, 0, 2, 8, 0, 1],
            [[4, 5, 6, 8, 8], [0, 0, 0, 0, 0]],
        ),  # three as they are, and a byte that fills up
        ([0, 4, 1, 2, 3, 4, 0, 1], [[1, 2, 3, 4, 0], [0, 0, 0, 0, 0]]),
    ],
)
def test_runs_of_a_bitmap_are_unpacked_and_what_they_leave_out_is_the_first_colour(codes, rows):
    data = references._without_runs(bitmap(codes))
    assert struct.unpack("<II", data[30:38]) == (0, 16)
    assert np.frombuffer(data[54:], np.uint8).reshape(2, 8)[:, :5].tolist() == rows


@pytest.mark.parametrize("codes", [[5, 7], [5, 7, 0], [0, 0, 0, 0, 0, 0, 5, 7, 0, 1], [0, 9, 1, 2, 3, 0, 1]])
def test_runs_that_leave_the_picture_or_the_file_are_refused(codes):
    with pytest.raises(RefusalError, match="its runs leave the picture, or the file"):
        references._without_runs(bitmap(codes))


def test_runs_of_four_bits_are_refused():
    with pytest.raises(RefusalError, match="runs of 4 bits"):
        references._without_runs(bitmap([0, 1], compression=2))


@pytest.mark.parametrize(("order", "magic"), [("<", b"II*\0"), (">", b"MM\0*")])
def test_strips_of_a_plain_tiff(order, magic):
    """Width and height are short numbers, places and sizes of two strips lie behind the directory."""
    pixels = bytes(range(24))
    tags = [(256, 3, 1, 2), (257, 3, 1, 3), (273, 4, 2, 100), (279, 4, 2, 108)]
    directory = struct.pack(order + "H", len(tags))
    for tag, kind, count, value in tags:
        short = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
        directory += struct.pack(order + "HHI", tag, kind, count) + short
    data = magic + struct.pack(order + "I", 8) + directory
    data = data.ljust(100, b"\0") + struct.pack(order + "IIII", 116, 132, 16, 8) + pixels
    assert references._plain_tiff(data).tolist() == np.arange(24).reshape(3, 2, 4).tolist()


def test_a_command_that_fails_or_warns_refuses_the_file():
    assert references._run(["cat"], b"data") == b"data"
    with pytest.raises(RefusalError, match=r"^a warning$"):
        references._run(["sh", "-c", "echo a warning >&2; echo pixels"])
    with pytest.raises(RefusalError, match="false ends with 1"):
        references._run(["false"])
    harmless = ["sh", "-c", "echo garbage at the end >&2; printf pixels"]
    assert references._run(harmless, harmless="garbage") == b"pixels"
    assert references._run(harmless, quiet=True) == b"pixelsgarbage at the end\n"


def test_a_palette_that_is_longer_than_its_file_is_refused():
    header = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 8, 0, 0, 0, 0, 256, 0)
    with pytest.raises(RefusalError, match="the palette is longer than the file"):
        references.read_dib(header + bytes(100))
