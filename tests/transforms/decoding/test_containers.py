"""Whether containers are whole: each check by files that are, and by what is wrong with the others."""

import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from onewarp.errors import CutOffError, DecodeError
from onewarp.transforms.decoding.containers import (
    check_bmp,
    check_gif,
    check_ico,
    check_jpeg2000,
    check_pnm,
    check_webp,
    largest_in_icon,
    webp_size,
)
from onewarp.transforms.decoding.decode import Decoding, decode_pixels

WEBP = ["WEBP"] if features.check("webp") else []  # pillow-simd is built with what headers there are


def file_in(kind, mode="RGB", size=(7, 5), **options):
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


CHECKED = {
    "GIF": (check_gif, file_in("GIF", "P")),
    "BMP": (check_bmp, file_in("BMP")),
    "BMP of a palette": (check_bmp, file_in("BMP", "P")),
    "PPM": (check_pnm, file_in("PPM")),
    "PGM": (check_pnm, file_in("PPM", "L")),
    "PBM": (check_pnm, file_in("PPM", "1")),
}
if features.check("webp"):
    CHECKED["WebP"] = check_webp, file_in("WEBP", lossless=True)
    CHECKED["WebP with EXIF"] = check_webp, file_in("WEBP", exif=Image.Exif())
if features.check("jpg_2000"):
    CHECKED["JPEG 2000"] = check_jpeg2000, file_in("JPEG2000", size=(33, 40))


def test_animations_give_their_first_frame(file_of):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    for kind in ("GIF", *WEBP):
        data = file_of(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decode_pixels(data).pixels[0, 0, 0] > 250


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "JPEG2000", "AVIF"])
def test_a_format_that_cannot_be_read_in_part_is_refused_though_truncated_files_are_accepted(kind, file_of, photo):
    if not features.check({"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}.get(kind, "zlib")):
        pytest.skip(f"this Pillow was built without {kind}")
    whole = file_of(photo(400, 400), kind)
    with pytest.raises(DecodeError, match=r"no part can be read|cannot be decoded|broken header"):
        decode_pixels(whole[: len(whole) // 2], decoding=Decoding(truncated="accept"))


@pytest.mark.parametrize("kind", CHECKED)
def test_a_whole_file_passes_and_every_cut_is_found(kind):
    check, data = CHECKED[kind]
    check(data)
    head = 40 if "JPEG 2000" in kind else 16  # what Pillow has read before the check is asked
    for end in range(head, len(data)):
        with pytest.raises((DecodeError, struct.error)):
            check(data[:end])


@given(st.sampled_from(sorted(CHECKED)), st.data())
@settings(deadline=None, max_examples=300)
def test_a_damaged_file_is_refused_by_our_error_or_passes_and_the_walk_ends(kind, draws):
    check, data = CHECKED[kind]
    damaged = bytearray(data)
    for _ in range(draws.draw(st.integers(1, 3))):
        damaged[draws.draw(st.integers(4, len(data) - 1))] = draws.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeError, struct.error):
        check(bytes(damaged))


def test_a_gif_tells_how_many_colours_its_first_picture_has():
    image = Image.fromarray(np.arange(15, dtype=np.uint8).reshape(3, 5), "P")
    image.putpalette(list(range(48)))
    stream = io.BytesIO()
    image.save(stream, "GIF")
    assert check_gif(stream.getvalue()) == 16


@pytest.mark.parametrize(
    ("place", "values", "reason"),
    [
        (10, (0x80, 200), "its palette lacks its background"),  # of two colours
        (-1, (0x77,), "it has a block of kind 119"),
    ],
)
def test_what_is_wrong_with_a_gif_is_said(place, values, reason):
    data = bytearray(file_in("GIF", "1"))
    for i, value in enumerate(values):
        data[place + i] = value
    with pytest.raises(DecodeError, match=f"is a damaged GIF: {reason}"):
        check_gif(data)


def test_a_gif_without_a_picture_is_none():
    with pytest.raises(DecodeError, match="is a GIF without a picture"):
        check_gif(b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + b";")


@pytest.mark.skipif(not WEBP, reason="this Pillow was built without WebP")
@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}])
def test_the_size_of_a_webp_is_in_its_first_chunk(options):
    assert webp_size(file_in("WEBP", size=(123, 45), **options)) == (123, 45)


@pytest.mark.skipif(not WEBP, reason="this Pillow was built without WebP")
def test_what_is_wrong_with_a_webp_is_said():
    data = file_in("WEBP", lossless=True)
    chunk = data[12:]
    with pytest.raises(DecodeError, match=rf"it says {len(data):,} bytes, and has {len(data) + 1:,}"):
        check_webp(data + b"\0")
    twice = data[:4] + struct.pack("<I", len(data) + len(chunk) - 8) + data[8:] + chunk
    with pytest.raises(DecodeError, match="a chunk is there twice"):
        check_webp(twice)
    strange = data[:4] + struct.pack("<I", len(data) + 2) + data[8:] + b"WHAT\2\0\0\0ab"
    with pytest.raises(DecodeError, match="it has a chunk of no known kind"):
        check_webp(strange[:4] + struct.pack("<I", len(strange) - 8) + strange[8:])
    with pytest.raises(DecodeError, match="it begins with a chunk called b'WHAT'"):
        webp_size(data[:12] + b"WHAT" + data[16:])


def test_of_a_cut_bitmap_it_is_said_how_much_is_missing():
    data = file_in("BMP", size=(4, 10))  # ten rows of 12 bytes
    with pytest.raises(CutOffError, match="is cut off: 30 bytes of the BMP are missing") as caught:
        check_bmp(data[:-30])
    assert (caught.value.missing, caught.value.share) == (30, 0.25)


@pytest.mark.parametrize(
    ("place", "form", "value", "reason"),
    [
        (18, "<i", 0, "of 0 x 5 pixels in 1 planes"),
        (26, "<H", 2, "of 7 x 5 pixels in 2 planes"),
        (10, "<I", 20, "its rows begin within its header"),
        (46, "<I", 300, "300 colours of 8 bits"),
        (30, "<I", 2, "its runs are not of 8 bits"),
    ],
)
def test_what_is_wrong_with_a_bitmap_is_said(place, form, value, reason):
    data = bytearray(file_in("BMP", "P"))
    struct.pack_into(form, data, place, value)
    with pytest.raises(DecodeError, match=f"is a damaged BMP.*{reason}"):
        check_bmp(data)


def runs(*codes, width=4, height=2):
    """A bitmap of 8 bits whose rows are runs."""
    body = bytes(codes)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 2, 0)
    return b"BM" + struct.pack("<IHHI", 62 + len(body), 0, 0, 62) + header + bytes(8) + body


def test_runs_fill_each_row_to_the_mark_of_the_end():
    assert check_bmp(runs(4, 0, 0, 0, 3, 1, 1, 0, 0, 1)) == 2
    assert check_bmp(runs(4, 0, 0, 0, 0, 4, 1, 0, 1, 0, 0, 0, 0, 1)) == 2  # four pixels as they are
    assert check_bmp(runs(4, 0, 0, 2, 0, 1, 0, 1)) == 2  # a jump leaves out what it will
    for codes, reason in (
        ((5, 0, 0, 0, 4, 0, 0, 1), "a run goes over the end of its row"),
        ((3, 0, 0, 0, 4, 0, 0, 1), "a row is not full"),
        ((4, 0, 0, 1), "rows are missing"),
    ):
        with pytest.raises(DecodeError, match=f"is a damaged BMP: {reason}"):
            check_bmp(runs(*codes))


def icon(*entries, count=None):
    """An icon of pictures with their sizes."""
    place, listed = 6 + 16 * len(entries), b""
    for size, entry in entries:
        listed += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(entry), place)
        place += len(entry)
    return (
        struct.pack("<HHH", 0, 1, len(entries) if count is None else count) + listed + b"".join(e for _, e in entries)
    )


def bitmap(side, bits=24):
    rows = (-(-side * bits // 32) + -(-side // 32)) * 4 * side
    return struct.pack("<IiiHHIIiiII", 40, side, 2 * side, 1, bits, 0, 0, 0, 0, 0, 0) + bytes(rows)


def test_of_an_icon_the_largest_picture_of_the_deepest_colours_is_taken():
    png = file_in("PNG", size=(16, 16))
    assert largest_in_icon(icon((8, bitmap(8)), (16, png), (4, bitmap(4)))) == png
    alone = largest_in_icon(icon((8, bitmap(8, 24)), (8, bitmap(8, 32)), (4, bitmap(4))))
    assert alone == icon((8, bitmap(8, 32)))
    assert check_ico(alone) == 0
    assert decode_pixels(icon((16, png), (8, bitmap(8)))).size == (16, 16)


def test_what_is_wrong_with_an_icon_is_said():
    for data, reason in (
        (icon((9, bitmap(8))), "a picture is not what the list of them says"),
        (icon((8, bitmap(8) + b"\0")), "a picture does not end where it says"),
        (icon((8, bitmap(8)[:4] + b"\1" + bitmap(8)[5:])), "a picture"),
        (icon((16, file_in("PNG", size=(16, 16)) + b"\0")), "a picture does not end where it says"),
    ):
        with pytest.raises(DecodeError, match=f"is a damaged icon: {reason}"):
            largest_in_icon(data)
    with pytest.raises(DecodeError, match="is an icon without a picture"):
        largest_in_icon(icon())
    with pytest.raises(DecodeError, match="is cut off: the ICO goes on behind"):
        largest_in_icon(icon((8, bitmap(8)), count=2)[:24])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"P6 2 1 255\nabcde", "is cut off: 1 bytes of the PNM are missing"),
        (b"P6 2 1 255\nabcdefg", "bytes follow its last row"),
        (b"P5 2 1 99\nad", "a value is higher than 99"),
        (b"P5 2 1 300\n\0\1\1\x2d", "a value is higher than 300"),
        (b"P5 2 x 255\nab", "is a PNM with a broken header"),
    ],
)
def test_what_is_wrong_with_a_pnm_is_said(data, reason):
    with pytest.raises(DecodeError, match=reason):
        check_pnm(data)


def test_a_pnm_may_have_comments_two_bytes_a_value_and_eight_pixels_a_byte():
    check_pnm(b"P5 # grey\n# of two pixels\n2 1\n300\n\0\1\1\x2c")
    check_pnm(b"P4 9 2\n" + bytes(4))
    check_pnm(b"P3 1 1 255\n1 2 3")  # plain text, which is Pillow's to read


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow was built without JPEG 2000")
def test_what_is_wrong_with_a_jpeg_2000_is_said():
    data = file_in("JPEG2000", size=(33, 40))
    start = data.index(b"\xff\x4f\xff\x51")
    with pytest.raises(DecodeError, match="is a JPEG 2000 without a codestream"):
        check_jpeg2000(data[: start - 8])
    with pytest.raises(DecodeError, match="its header is broken"):
        check_jpeg2000(data[: start + 3] + b"\x50" + data[start + 4 :])
    sized = data[: start + 8] + bytes(4) + data[start + 12 :]  # no width
    with pytest.raises(DecodeError, match="its header is broken"):
        check_jpeg2000(sized)
    depths = bytearray(data)
    depths[start + 42] ^= 1
    with pytest.raises(DecodeError, match="components have different depths"):
        check_jpeg2000(depths)
    with pytest.raises(DecodeError, match="its codestream does not end where it says"):
        check_jpeg2000(data[start:] + b"\0")
