"""From whatever colours a file holds to 8-bit sRGB: profiles, CMYK, grey, 16 bit, palettes, transparency."""

import io
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, features

from ...errors import DecodeError

_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # of a profile -> Pillow's mode
_STRIP = 1 << 20  # pixels


def to_srgb(image: Image.Image, background: tuple[int, int, int] = (255, 255, 255)) -> NDArray[np.uint8]:
    """`image` as opaque 8-bit RGB in sRGB, `uint8[h, w, 3]`, with `background` where it is transparent.

    A profile that is broken, or made for other colours than the image has, is left out of account, as browsers do; so
    are all of them where Pillow was built without littleCMS, which a cache's fingerprint tells. Converted strip by
    strip, so that no more than the result is held beside the image. Raises `DecodeError` where it has no known white.
    """
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, bottom in _strips(*image.size):
        strip = image.crop((0, top, image.width, bottom))
        pixels[top:bottom] = np.asarray(_strip_to_srgb(strip, background))
    return pixels


def rgb_to_srgb(pixels: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    """`uint8[h, w, 3]` in sRGB: these pixels themselves where their profile asks for no conversion."""
    transform = _transform(profile, "RGB")
    if transform is None:
        return pixels
    converted = np.empty_like(pixels)
    for top, bottom in _strips(pixels.shape[1], len(pixels)):
        strip = Image.fromarray(np.ascontiguousarray(pixels[top:bottom]))
        converted[top:bottom] = np.asarray(transform.apply_in_place(strip))
    return converted


def _strips(width: int, height: int) -> Iterator[tuple[int, int]]:
    rows = max(1, _STRIP // max(1, width))
    return ((top, min(height, top + rows)) for top in range(0, height, rows))


def _strip_to_srgb(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    opaque, alpha = _split_alpha(image)
    profile = image.info.get("icc_profile") or b""
    transform = _transform(profile, opaque.mode)
    if transform is not None:
        rgb = transform.apply(opaque)
    elif opaque.mode == "LAB":
        rgb = _lab_transform().apply(opaque)
    else:
        rgb = opaque if opaque.mode == "RGB" else opaque.convert("RGB")
    if alpha is None:
        return rgb
    return Image.composite(rgb, Image.new("RGB", rgb.size, background), alpha)


def needs_conversion(image: Image.Image) -> bool:
    """Whether the image's profile says that its numbers are not sRGB already."""
    return _transform(image.info.get("icc_profile") or b"", image.mode) is not None


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The image without transparency in a mode of 8 bits, and how opaque it is, `L`."""
    premultiplied = {"La": "LA", "RGBa": "RGBA"}
    if image.mode in premultiplied:
        image = image.convert(premultiplied[image.mode])
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    elif "transparency" in image.info and image.mode in ("1", "L", "RGB"):  # one colour stands for nothing
        image = image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L"), None
    if image.mode[0] in "IF":
        return _eight_bits(image), None
    if image.mode in ("LA", "RGBA"):
        return image.convert(image.mode[:-1]), image.getchannel("A")
    return image, None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits. White is 1 in floating point and 65535 in whole numbers, whatever the picture holds.

    Numbers up to a quarter beyond black and white, as filters leave them, are cut off. Farther ones, and those that
    are none, raise `DecodeError`: their white is another one, which no file says.
    """
    values = np.asarray(image).astype(np.float64)
    white = 1.0 if image.mode == "F" else 65535.0
    low, high = float(values.min()), float(values.max())
    if not (-white / 4 <= low and high <= white * 5 / 4):  # so that NaN is refused too
        kind = "floating point" if image.mode == "F" else "whole numbers of more than 8 bits"
        raise DecodeError(
            f"has values from {low:g} to {high:g}: in {kind} black must be 0 and white {white:g}; scale them so"
        )
    return Image.fromarray((np.clip(values / white, 0, 1) * 255 + 0.5).astype(np.uint8))


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from a profile to sRGB; None where there is nothing to convert, or no way."""
    if not profile or not features.check("littlecms2"):
        return None
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _SPACES.get(opened.profile.xcolor_space.strip()) != mode:
            return None
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
        return None if mode == "RGB" and _is_srgb(transform) else transform
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _is_srgb(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a way from RGB to sRGB changes no colour by more than one level: what a name promises is not enough."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    converted = np.asarray(transform.apply(Image.fromarray(colours)))
    return bool(np.abs(converted.astype(int) - colours).max() <= 1)


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
