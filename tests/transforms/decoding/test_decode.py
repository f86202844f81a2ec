import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, features

from onewarp.errors import DecodeError, UsageError
from onewarp.transforms.decoding import colourspace
from onewarp.transforms.decoding.decode import Decoding, decode, decode_pixels
from onewarp.transforms.types import TensorImage

WEBP = ["WEBP"] if features.check("webp") else []  # pillow-simd is built with what headers there are


def _photo(height: int = 96, width: int = 128) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x * 2 % 256, y * 2 % 256, (x + y) % 256], -1).astype(np.uint8)
    return Image.fromarray(smooth)


def _file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2))))


def test_decode_gives_a_typed_image_from_a_path_and_from_bytes(tmp_path):
    (tmp_path / "a.png").write_bytes(_file(_photo()))
    image = decode(tmp_path / "a.png")
    assert isinstance(image, TensorImage)
    assert image.dtype.itemsize == 1
    assert tuple(image.shape) == (3, 96, 128)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(_photo()))
    assert image.equal(decode((tmp_path / "a.png").read_bytes()))


def test_the_target_scales_a_jpeg_but_never_below_it():
    data = _file(_photo(480, 644), "JPEG", quality=95)
    for target, scale in [(None, 1), (480, 1), (241, 1), (240, 2), (120, 4), (60, 8), (1, 8), (1000, 1)]:
        picture = decode_pixels(data, target, Decoding(quality=1))
        assert picture.scale == scale
        assert picture.pixels.shape == (-(-480 // scale), -(-644 // scale), 3)
        assert picture.size == (480, 644)
    assert [decode_pixels(data, target).scale for target in (120, 80)] == [1, 2]  # thrice the target, as a rule


def test_the_scaled_pixels_are_where_the_matrix_says():
    whole = decode_pixels(_file(_photo(480, 644), "JPEG", quality=100, subsampling=0))
    scaled = decode_pixels(_file(_photo(480, 644), "JPEG", quality=100, subsampling=0), 40)
    x, y, _ = scaled.matrix @ [10.5, 20.5, 1]
    assert (x, y) == (42, 82)
    mean = whole.pixels[80:84, 40:44].reshape(-1, 3).mean(0)
    assert np.abs(mean - scaled.pixels[20, 10]).max() < 4


@pytest.mark.parametrize("kind", ["Landscape", "Portrait"])
def test_photos_come_upright_as_pillow_turns_them(shared, kind):
    files = sorted((shared / "odd" / "exif_orientation").glob(f"{kind}_*.jpg"))
    assert len(files) == 9
    for file in files:
        with Image.open(file) as image:
            turned = np.asarray(ImageOps.exif_transpose(image))
        assert _psnr(turned, decode_pixels(file).upright) >= 45, file.name


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", *WEBP])
def test_a_matrix_leads_from_upright_pixels_to_the_files_own(kind, orientation):
    marked = np.zeros((64, 96, 3), np.uint8)
    marked[8:16, 16:32] = 255  # in the file's own pixels
    image = Image.fromarray(marked)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    picture = decode_pixels(_file(image, kind, exif=exif, **options))
    assert picture.size == (64, 96)
    assert picture.orientation == orientation
    y, x = np.nonzero(picture.upright[..., 0] > 128)
    in_file = picture.matrix @ [x.mean() + 0.5, y.mean() + 0.5, 1]
    assert in_file[:2] == pytest.approx([24, 12], abs=0.2)


def _modes() -> list[tuple[str, Image.Image]]:
    grey = _photo().convert("L")
    sixteen = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    return [
        ("grey", grey),
        ("grey+alpha", Image.merge("LA", [grey, Image.new("L", grey.size, 255)])),
        ("16 bit", sixteen),
    ]


@pytest.mark.parametrize(("name", "image"), _modes(), ids=lambda value: value if isinstance(value, str) else "")
def test_grey_of_every_depth_is_the_same_grey(name, image):
    pixels = decode_pixels(_file(image)).pixels
    assert np.abs(pixels.astype(int) - np.asarray(_photo().convert("L"))[..., None]).max() <= 1


def test_one_bit_and_palette_and_cmyk():
    bit = _photo().convert("1")
    assert np.array_equal(decode_pixels(_file(bit)).pixels[..., 0], np.asarray(bit) * np.uint8(255))
    palette = _photo().convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.array_equal(decode_pixels(_file(palette)).pixels, np.asarray(palette.convert("RGB")))
    inks = _photo().convert("CMYK")
    assert _psnr(decode_pixels(_file(inks, "JPEG", quality=100)).pixels, np.asarray(_photo())) > 35


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_colour_shows_through_what_is_transparent(mode):
    rgba = Image.new("RGBA", (8, 4), (0, 0, 0, 255))
    rgba.paste((0, 0, 0, 0), (0, 0, 4, 4))
    data = _file(rgba.convert(mode) if mode != "P" else rgba.quantize(4))
    pixels = decode_pixels(data, decoding=Decoding(background=(10, 20, 30))).pixels
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert pixels[0, 7].tolist() == [0, 0, 0]


needs_profiles = pytest.mark.skipif(not features.check("littlecms2"), reason="this Pillow was built without littleCMS")


@needs_profiles
def test_a_profile_is_brought_to_srgb():
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = np.asarray(_photo())
    assert np.array_equal(decode_pixels(_file(_photo(), icc_profile=srgb)).pixels, plain)
    alien = ImageCms.ImageCmsProfile(lab).tobytes()  # made for other colours than the image has
    assert np.array_equal(decode_pixels(_file(_photo(), icc_profile=alien)).pixels, plain)
    assert np.array_equal(decode_pixels(_file(_photo(), icc_profile=b"broken")).pixels, plain)


def test_without_littlecms_a_photo_with_a_profile_is_read_as_it_is(monkeypatch):
    monkeypatch.setattr(colourspace.features, "check", lambda name: False)
    colourspace._transform.cache_clear()
    data = _file(_photo(), icc_profile=b"any profile")
    assert np.array_equal(decode_pixels(data).pixels, np.asarray(_photo()))
    colourspace._transform.cache_clear()


@needs_profiles
def test_a_wide_gamut_png_and_jpeg_change(shared):
    p3 = shared / "odd" / "mixed" / "test__fixtures__p3.png"
    with Image.open(p3) as image:
        profile = image.info["icc_profile"]
    flat = Image.new("RGB", (64, 64), (200, 30, 30))
    for data in (_file(flat, icc_profile=profile), _file(flat, "JPEG", quality=100, icc_profile=profile)):
        red, green, _ = decode_pixels(data).pixels[32, 32].astype(int)
        assert red > 205  # P3's red lies further out than that of sRGB
        assert green < 30


@needs_profiles
def test_a_part_has_the_colours_of_the_whole(pets):
    with Image.open(pets / "Birman_96.jpg") as image:
        plain, adobe = np.asarray(image), image.info["icc_profile"]
    picture = decode_pixels(_file(Image.fromarray(plain), icc_profile=adobe))
    assert np.array_equal(picture.part(10, 20, 50, 60), picture.pixels[10:60, 20:80])
    jpeg = decode_pixels(pets / "Birman_96.jpg")
    assert jpeg.profile == adobe
    assert np.array_equal(jpeg.part(10, 20, 50, 60), jpeg.pixels[10:60, 20:80])
    assert not np.array_equal(jpeg.pixels, jpeg.raw)


@needs_profiles
def test_that_a_profile_is_called_srgb_is_not_enough(pets):
    named = decode_pixels(pets / "Egyptian_Mau_15.jpg")  # "sRGB Profile", up to nine levels away from it
    assert named.profile
    assert 1 < np.abs(named.pixels.astype(int) - named.raw).max() < 10


def test_animations_give_their_first_frame():
    frames = [Image.new("RGB", (6, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    for kind in ("GIF", *WEBP):
        data = _file(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decode_pixels(data).pixels[0, 0, 0] > 250


def test_content_decides_and_not_the_name(pets):
    for name in ("Abyssinian_34.jpg", "Abyssinian_5.jpg"):  # a GIF, a PNG with transparency
        assert min(decode(pets / name).size_hw) > 100


def _first_rows(kind: str, share: float, **options: object) -> tuple[int, str]:
    """How many rows of a cut file are those of the whole one, and what it is said to lack."""
    whole = _file(_photo(400, 400), kind, **options)
    part = whole[: int(share * len(whole))]
    with pytest.raises(DecodeError, match=r"cut off|damaged"):
        decode_pixels(part)
    picture = decode_pixels(part, decoding=Decoding(truncated="accept"))
    differs = np.abs(picture.pixels.astype(int) - decode_pixels(whole).pixels).max((1, 2)) > 2
    return int(np.argmax(differs)) if differs.any() else 400, picture.lacks


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "PPM"])
def test_a_truncated_file_is_refused_or_accepted_with_what_there_is(kind):
    rows, lacks = _first_rows(kind, 0.5)
    share = int(re.search(r"(\d+)% of its (rows|stream)", lacks).group(1)) / 100
    if kind != "BMP":  # whose rows begin at the bottom
        assert rows > 50
        assert share == pytest.approx(1 - rows / 400, abs=0.05)
    assert lacks.startswith("cut off: ")


def test_a_progressive_jpeg_that_is_cut_keeps_its_picture():
    """Cut at 99 %, a picture that differs from the whole in its last details only, not a black one."""
    whole = _file(_photo(400, 400), "JPEG", progressive=True, quality=95)
    picture = decode_pixels(whole[: int(0.99 * len(whole))], decoding=Decoding(truncated="accept"))
    assert _psnr(picture.pixels, decode_pixels(whole).pixels) > 40
    assert re.match(r"cut off in its scan \d+: \d+% of its rows lack the details", picture.lacks)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "JPEG2000", "AVIF"])
def test_a_format_that_cannot_be_read_in_part_is_refused_though_truncated_files_are_accepted(kind):
    if not features.check({"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}.get(kind, "zlib")):
        pytest.skip(f"this Pillow was built without {kind}")
    whole = _file(_photo(400, 400), kind)
    with pytest.raises(DecodeError, match=r"no part can be read|cannot be decoded|broken header"):
        decode_pixels(whole[: len(whole) // 2], decoding=Decoding(truncated="accept"))


def test_a_jpeg_that_makes_its_decoder_warn_is_refused_unless_it_is_accepted():
    whole = _file(_photo(), "JPEG")
    scan = whole.index(b"\xff\xda") + 40
    damaged = whole[:scan] + b"\0\0\0" + whole[scan:]
    with pytest.raises(DecodeError, match="is a damaged JPEG: Corrupt JPEG data"):
        decode_pixels(damaged)
    assert "Corrupt JPEG data" in decode_pixels(damaged, decoding=Decoding(truncated="accept")).lacks


def test_every_chunk_of_a_png_is_under_its_checksum():
    data = _file(_photo())
    refused = 0
    for place in range(33, len(data) - 12):  # behind the header
        damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(DecodeError):
            decode_pixels(damaged)
        refused += 1
    assert refused > 100


def test_libtiff_says_by_a_refusal_what_it_would_print(capfd):
    if not features.check("libtiff"):
        pytest.skip("this Pillow was built without libtiff")
    whole = _file(_photo().convert("1"), "TIFF", compression="group4")
    damaged = whole[:20] + bytes(40) + whole[60:]
    with pytest.raises(DecodeError, match=r"is a damaged TIFF: \w+|cannot be decoded whole: Fax4Decode"):
        decode_pixels(damaged)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("values", "kind"),
    [((0.0, 1.0), np.float32), ((0.0, 1.0001), np.float32), ((-0.2, 1.2), np.float32), ((0, 65535), np.int32)],
)
def test_white_is_one_in_floating_point_and_65535_in_whole_numbers(values, kind):
    low, high = values
    ramp = np.linspace(low, high, 64, dtype=np.float64).astype(kind).reshape(1, -1)
    pixels = decode_pixels(_file(Image.fromarray(ramp), "TIFF")).pixels[0, :, 0]
    white = 1.0 if kind == np.float32 else 65535
    assert np.abs(pixels - np.clip(ramp[0] / white, 0, 1) * 255).max() <= 0.51


@pytest.mark.parametrize(
    ("value", "kind"),
    [(255.0, np.float32), (-1.0, np.float32), (np.nan, np.float32), (np.inf, np.float32), (1 << 20, np.int32)],
)
def test_values_of_an_unknown_white_are_refused(value, kind):
    data = _file(Image.fromarray(np.full((4, 4), value, kind)), "TIFF")
    with pytest.raises(DecodeError, match="black must be 0 and white"):
        decode_pixels(data)


def _png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return start + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_limits_on_pixels_bytes_and_time(tmp_path):
    with pytest.raises(DecodeError, match=r"has 60000 x 60000 = 3,600,000,000 pixels, and max_pixels is 178,956,970"):
        decode_pixels(_png_header(60000, 60000))
    data = _file(_photo())
    with pytest.raises(DecodeError, match="bytes, and max_bytes is 10"):
        decode_pixels(data, decoding=Decoding(max_bytes=10))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DecodeError, match="max_bytes"):
        decode_pixels(tmp_path / "a.png", decoding=Decoding(max_bytes=10))
    with pytest.raises(DecodeError, match="longer to decode than max_seconds"):
        decode_pixels(data, decoding=Decoding(max_seconds=1e-9))


def _scans_without_end(image: Image.Image, count: int, **options: object) -> bytes:
    """A small JPEG file that takes long: its last scan, again and again."""
    data = _file(image, "JPEG", **options)
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * count + data[-2:]


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_a_jpeg_of_endless_scans_is_ended(mode):
    """Whatever its colours, and also where it is not progressive."""
    bomb = _scans_without_end(_photo(2000, 2000).convert(mode), 400, progressive=mode != "L", quality=10)
    with pytest.raises(DecodeError, match=r"max_seconds, 0\.5|damaged JPEG"):
        decode_pixels(bomb, decoding=Decoding(max_seconds=0.5))


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "is empty"), (b"<svg xmlns=''/>", "no known image format"), (b"\xff\xd8\xff\xe0broken", "header|decoded")],
)
def test_what_is_no_picture_is_refused_with_its_reason(data, reason):
    with pytest.raises(DecodeError, match=reason):
        decode_pixels(data)


def test_wrong_use_is_told_from_a_bad_file(tmp_path):
    with pytest.raises(UsageError, match=r"none\.jpg cannot be read: No such file"):
        decode(tmp_path / "none.jpg")
    with pytest.raises(UsageError, match="target must be"):
        decode(_file(_photo()), 0)
    for wrong in ({"truncated": "maybe"}, {"quality": 0.5}, {"max_pixels": 0}):
        with pytest.raises(UsageError):
            Decoding(**wrong)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_every_odd_file_that_pillow_decodes_is_decoded_and_the_others_have_a_reason(shared):
    def pillow(path: Path) -> bool:
        try:
            with Image.open(path) as image:
                image.load()
        except Exception:
            return False
        return True

    def ours(path: Path) -> str | None:
        try:
            decode_pixels(path, 460)
        except DecodeError as error:
            return str(error)
        return None

    files = sorted(file for file in (shared / "odd").rglob("*") if file.is_file())
    damaged = {  # of which djpeg warns, or bmptopnm
        *("fuzz-corpus__jpeg__re.jpg", "fuzz-corpus__jpeg__small-img.jpg", "test-images__bmp__pal8os2sp.bmp")
    }
    unchecked = {"test-images__jpeg__weird_sampling_2.jpeg"}  # progressive, and of no usual chroma subsampling
    cut = {"test-images__bmp__pal4rlecut.bmp", "test-images__bmp__pal8rlecut.bmp"}  # which old Pillows fill with black
    refused = {path: reason for path in files if (reason := ours(path)) is not None}
    assert {path.name for path in refused if pillow(path)} - cut == damaged | unchecked
    assert cut <= {path.name for path in refused}
    assert len(refused) > 10
    assert all(len(reason) > 8 for reason in refused.values())
