"""The decoder: how far a JPEG is scaled, where its pixels are, and what no file may cost."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, features

from onewarp.errors import DecodeError, UsageError
from onewarp.transforms.decoding.decode import Decoding, decode_pixels
from onewarp.transforms.decoding.picture import open_whole

WEBP = ["WEBP"] if features.check("webp") else []  # pillow-simd is built with what headers there are


def test_the_target_scales_a_jpeg_but_never_below_it(file_of, photo):
    data = file_of(photo(480, 644), "JPEG", quality=95)
    for target, scale in [(None, 1), (480, 1), (241, 1), (240, 2), (120, 4), (60, 8), (1, 8), (1000, 1)]:
        picture = decode_pixels(data, target, Decoding(quality=1))
        assert picture.scale == scale
        assert picture.pixels.shape == (-(-480 // scale), -(-644 // scale), 3)
        assert picture.size == (480, 644)
    assert [decode_pixels(data, target).scale for target in (120, 80)] == [1, 2]  # thrice the target, as a rule


def test_the_scaled_pixels_are_where_the_matrix_says(file_of, photo):
    whole = decode_pixels(file_of(photo(480, 644), "JPEG", quality=100, subsampling=0))
    scaled = decode_pixels(file_of(photo(480, 644), "JPEG", quality=100, subsampling=0), 40)
    x, y, _ = scaled.matrix @ [10.5, 20.5, 1]
    assert (x, y) == (42, 82)
    mean = whole.pixels[80:84, 40:44].reshape(-1, 3).mean(0)
    assert np.abs(mean - scaled.pixels[20, 10]).max() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", *WEBP])
def test_a_matrix_leads_from_upright_pixels_to_the_files_own(kind, orientation, file_of):
    marked = np.zeros((64, 96, 3), np.uint8)
    marked[8:16, 16:32] = 255  # in the file's own pixels
    image = Image.fromarray(marked)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    picture = decode_pixels(file_of(image, kind, exif=exif, **options))
    assert picture.size == (64, 96)
    assert picture.orientation == orientation
    y, x = np.nonzero(picture.upright[..., 0] > 128)
    in_file = picture.matrix @ [x.mean() + 0.5, y.mean() + 0.5, 1]
    assert in_file[:2] == pytest.approx([24, 12], abs=0.2)


def _png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return start + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_limits_on_pixels_bytes_and_time(tmp_path, file_of, photo):
    with pytest.raises(DecodeError, match=r"has 60000 x 60000 = 3,600,000,000 pixels, and max_pixels is 178,956,970"):
        decode_pixels(_png_header(60000, 60000))
    data = file_of(photo())
    with pytest.raises(DecodeError, match="bytes, and max_bytes is 10"):
        decode_pixels(data, decoding=Decoding(max_bytes=10))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DecodeError, match="max_bytes"):
        decode_pixels(tmp_path / "a.png", decoding=Decoding(max_bytes=10))
    with pytest.raises(DecodeError, match="longer to decode than max_seconds"):
        decode_pixels(data, decoding=Decoding(max_seconds=1e-9))


def _scans_without_end(data: bytes, count: int) -> bytes:
    """A small JPEG file that takes long: its last scan, again and again."""
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * count + data[-2:]


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_a_jpeg_of_endless_scans_is_ended(mode, file_of, photo):
    """Whatever its colours, and also where it is not progressive."""
    image = photo(2000, 2000).convert(mode)
    bomb = _scans_without_end(file_of(image, "JPEG", progressive=mode != "L", quality=10), 400)
    with pytest.raises(DecodeError, match=r"max_seconds, 0\.5|damaged JPEG"):
        decode_pixels(bomb, decoding=Decoding(max_seconds=0.5))


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_there_is_not_is_none(value, file_of, photo):
    exif = Image.Exif()
    exif[0x0112] = value
    assert decode_pixels(file_of(photo(), "JPEG", exif=exif)).orientation == 1


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_broken_exif_says_nothing_of_the_pixels(file_of, photo):
    data = file_of(photo(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode_pixels(data).orientation == 1


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
def test_a_file_that_was_read_through_is_opened_for_its_own_numbers(kind, file_of, photo):
    image = photo().convert("P") if kind == "GIF" else photo()
    data = file_of(image, kind)
    with open_whole(data, Decoding()) as opened:
        assert opened.size == (128, 96)
        assert np.array_equal(np.asarray(opened.convert("RGB")), np.asarray(image.convert("RGB")))
    told = (DecodeError, OSError) if kind == "TIFF" else DecodeError  # of a TIFF without libtiff, decoding alone tells
    with pytest.raises(told):
        open_whole(data[: len(data) // 2], Decoding()).load()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_seconds": 0}, "max_seconds must be positive"),
        ({"max_memory": -1}, "max_memory must be positive"),
        ({"truncated": "drop"}, "truncated must be 'refuse' or 'accept'"),
        ({"quality": 0.9}, "quality must be 1 or more times the target"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Decoding(**settings)
