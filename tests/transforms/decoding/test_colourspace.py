"""Whatever colours a file holds come as sRGB."""

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from onewarp.errors import DecodeError
from onewarp.transforms.decoding import colourspace
from onewarp.transforms.decoding.decode import Decoding, decode_pixels


@pytest.mark.parametrize("mode", ["grey", "grey+alpha", "16 bit"])
def test_grey_of_every_depth_is_the_same_grey(mode, file_of, photo):
    grey = photo().convert("L")
    image = {
        "grey": grey,
        "grey+alpha": Image.merge("LA", [grey, Image.new("L", grey.size, 255)]),
        "16 bit": Image.fromarray(np.asarray(grey).astype(np.uint16) * 257),
    }[mode]
    pixels = decode_pixels(file_of(image)).pixels
    assert np.abs(pixels.astype(int) - np.asarray(grey)[..., None]).max() <= 1


def test_one_bit_and_palette_and_cmyk(file_of, photo, psnr):
    bit = photo().convert("1")
    assert np.array_equal(decode_pixels(file_of(bit)).pixels[..., 0], np.asarray(bit) * np.uint8(255))
    palette = photo().convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.array_equal(decode_pixels(file_of(palette)).pixels, np.asarray(palette.convert("RGB")))
    inks = photo().convert("CMYK")
    assert psnr(decode_pixels(file_of(inks, "JPEG", quality=100)).pixels, np.asarray(photo())) > 35


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_colour_shows_through_what_is_transparent(mode, file_of):
    rgba = Image.new("RGBA", (8, 4), (0, 0, 0, 255))
    rgba.paste((0, 0, 0, 0), (0, 0, 4, 4))
    data = file_of(rgba.convert(mode) if mode != "P" else rgba.quantize(4))
    pixels = decode_pixels(data, decoding=Decoding(background=(10, 20, 30))).pixels
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert pixels[0, 7].tolist() == [0, 0, 0]


needs_profiles = pytest.mark.skipif(not features.check("littlecms2"), reason="this Pillow was built without littleCMS")


@needs_profiles
def test_a_profile_is_brought_to_srgb(file_of, photo):
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = np.asarray(photo())
    assert np.array_equal(decode_pixels(file_of(photo(), icc_profile=srgb)).pixels, plain)
    alien = ImageCms.ImageCmsProfile(lab).tobytes()  # made for other colours than the image has
    assert np.array_equal(decode_pixels(file_of(photo(), icc_profile=alien)).pixels, plain)
    assert np.array_equal(decode_pixels(file_of(photo(), icc_profile=b"broken")).pixels, plain)


def test_without_littlecms_a_photo_with_a_profile_is_read_as_it_is(monkeypatch, file_of, photo):
    monkeypatch.setattr(colourspace.features, "check", lambda name: False)
    colourspace._transform.cache_clear()
    data = file_of(photo(), icc_profile=b"any profile")
    assert np.array_equal(decode_pixels(data).pixels, np.asarray(photo()))
    colourspace._transform.cache_clear()


@needs_profiles
def test_a_wide_gamut_png_and_jpeg_change(shared, file_of):
    p3 = shared / "odd" / "mixed" / "test__fixtures__p3.png"
    with Image.open(p3) as image:
        profile = image.info["icc_profile"]
    flat = Image.new("RGB", (64, 64), (200, 30, 30))
    for data in (file_of(flat, icc_profile=profile), file_of(flat, "JPEG", quality=100, icc_profile=profile)):
        red, green, _ = decode_pixels(data).pixels[32, 32].astype(int)
        assert red > 205  # P3's red lies further out than that of sRGB
        assert green < 30


@needs_profiles
def test_a_part_has_the_colours_of_the_whole(pets, file_of):
    with Image.open(pets / "Birman_96.jpg") as image:
        plain, adobe = np.asarray(image), image.info["icc_profile"]
    picture = decode_pixels(file_of(Image.fromarray(plain), icc_profile=adobe))
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


@pytest.mark.parametrize(
    ("values", "kind"),
    [((0.0, 1.0), np.float32), ((0.0, 1.0001), np.float32), ((-0.2, 1.2), np.float32), ((0, 65535), np.int32)],
)
def test_white_is_one_in_floating_point_and_65535_in_whole_numbers(values, kind, file_of):
    low, high = values
    ramp = np.linspace(low, high, 64, dtype=np.float64).astype(kind).reshape(1, -1)
    pixels = decode_pixels(file_of(Image.fromarray(ramp), "TIFF")).pixels[0, :, 0]
    white = 1.0 if kind == np.float32 else 65535
    assert np.abs(pixels - np.clip(ramp[0] / white, 0, 1) * 255).max() <= 0.51


@pytest.mark.parametrize(
    ("value", "kind"),
    [(255.0, np.float32), (-1.0, np.float32), (np.nan, np.float32), (np.inf, np.float32), (1 << 20, np.int32)],
)
def test_values_of_an_unknown_white_are_refused(value, kind, file_of):
    data = file_of(Image.fromarray(np.full((4, 4), value, kind)), "TIFF")
    with pytest.raises(DecodeError, match="black must be 0 and white"):
        decode_pixels(data)


@needs_profiles
def test_a_picture_that_is_converted_strip_by_strip_is_the_one_converted_at_once(monkeypatch, file_of, photo):
    grey = photo(50, 70).convert("LA")
    grey.putalpha(photo(50, 70).convert("L").rotate(180))
    whole = decode_pixels(file_of(grey)).pixels
    monkeypatch.setattr(colourspace, "_STRIP", 70 * 7)  # seven rows, of which 50 is no multiple
    assert np.array_equal(decode_pixels(file_of(grey)).pixels, whole)


def test_pixels_without_a_profile_are_the_same_memory():
    pixels = np.zeros((2, 3, 3), np.uint8)
    assert colourspace.rgb_to_srgb(pixels, b"") is pixels
    assert colourspace.rgb_to_srgb(pixels, b"no profile") is pixels


def test_premultiplied_colours_are_divided_by_their_opacity():
    image = Image.new("RGBA", (2, 1), (200, 100, 50, 128)).convert("RGBa")
    over_white = colourspace.to_srgb(image)[0, 0].astype(int)
    expected = np.array([200, 100, 50]) * 128 / 255 + 255 * 127 / 255
    assert np.abs(over_white - expected).max() <= 2
