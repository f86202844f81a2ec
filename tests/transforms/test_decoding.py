import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, features

from onewarp.errors import DecodeError, UsageError
from onewarp.transforms import colourspace
from onewarp.transforms.decoding import Decoding, decode, decode_pixels
from onewarp.transforms.types import TensorImage


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
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
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
    for kind in ("GIF", "WEBP"):
        data = _file(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decode_pixels(data).pixels[0, 0, 0] > 250


def test_content_decides_and_not_the_name(pets):
    for name in ("Abyssinian_34.jpg", "Abyssinian_5.jpg"):  # a GIF, a PNG with transparency
        assert min(decode(pets / name).size_hw) > 100


def test_a_truncated_file_is_refused_or_accepted_by_option():
    for kind in ("JPEG", "PNG"):
        whole = _file(_photo(400, 400), kind)
        part = whole[: len(whole) // 2]
        with pytest.raises(DecodeError, match="truncated"):
            decode_pixels(part)
        accepted = decode_pixels(part, decoding=Decoding(truncated="accept")).pixels
        assert np.abs(accepted[:50].astype(int) - np.asarray(_photo(400, 400))[:50]).mean() < 8


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


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded():
    data = _file(_photo(), "JPEG", progressive=True)
    start = data.index(b"\xff\xda")
    scan = data[start : data.index(b"\xff", start + 20)]
    bomb = data[:-2] + scan * 3000 + data[-2:]
    with pytest.raises(DecodeError, match=r"scans of 128 x 96 pixels"):
        decode_pixels(bomb, decoding=Decoding(max_seconds=1))


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
    refused = {path: reason for path in files if (reason := ours(path)) is not None}
    assert [path.name for path in refused if pillow(path)] == []  # simplejpeg may well decode more than Pillow
    assert len(refused) > 10
    assert all(len(reason) > 8 for reason in refused.values())
