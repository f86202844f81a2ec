"""From whatever colours a file holds to 8-bit sRGB: profiles, CMYK, grey, 16 bit, palettes, transparency."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, features

_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # of a profile -> Pillow's mode


def to_srgb(image: Image.Image, background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """`image` as opaque 8-bit RGB in sRGB, with `background` where it is transparent.

    A profile that is broken, or made for other colours than the image has, is left out of account, as browsers do; so
    are all of them where Pillow was built without littleCMS, which a cache's fingerprint tells.
    """
    opaque, alpha = _split_alpha(image)
    profile = image.info.get("icc_profile") or b""
    transform = _transform(profile, opaque.mode)
    if transform is not None:
        rgb = transform.apply(opaque)
    elif opaque.mode == "LAB":
        rgb = _lab_transform().apply(opaque)
    else:
        rgb = opaque.convert("RGB")
    if alpha is None:
        return rgb
    return Image.composite(rgb, Image.new("RGB", rgb.size, background), alpha)


def rgb_to_srgb(pixels: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    """`uint8[h, w, 3]` in sRGB: these pixels themselves where their profile asks for no conversion."""
    transform = _transform(profile, "RGB")
    return pixels if transform is None else np.array(transform.apply_in_place(Image.fromarray(pixels)))


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
    """Grey of 16 or 32 bits: integers are of the range 0..65535, floating point of the smallest of 1, 255, 65535."""
    values = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=65535.0, neginf=0.0)
    top = 65535.0
    if image.mode == "F":
        highest = values.max(initial=0.0)
        top = next((limit for limit in (1.0, 255.0) if highest <= limit), 65535.0)
    return Image.fromarray((np.clip(values / top, 0, 1) * 255 + 0.5).astype(np.uint8))


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
