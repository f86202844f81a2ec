"""The class of each pixel, out of a file of an image.

| file | labels |
|---|---|
| grey, of 1, 2, 4, 8 or 16 bits, PGM of any depth | its levels as the file counts them: to 1, 3, 15, 255, 65535 |
| with a palette | the indices, whatever colours they stand for |
| coloured | its level where the channels are alike and nothing is transparent; else none: two colours may be one grey |
| of floats | whole numbers, where all are |
| JPEG, JPEG 2000, WebP, AVIF | none: compression changes numbers |
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import LabelError
from ...transforms.decoding.picture import Decoding, open_whole, reasons

_LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF")
_CURE = "save the number of each pixel's class as one channel, or as an index into a palette, in a PNG"


def numbers_in(data: bytes) -> NDArray[np.uint8 | np.int32]:
    """The numbers `[h, w]` of a file. `DecodeError` where it is damaged, `LabelError` where it holds no labels."""
    decoding = Decoding()
    image = open_whole(data, decoding)
    with reasons(decoding):
        return mask_numbers(image)


def mask_numbers(image: Image.Image) -> NDArray[np.uint8 | np.int32]:
    """The numbers `[h, w]` of an image, none merged with another; `LabelError` where the image holds no labels.

    >>> mask_numbers(Image.new("1", (2, 1), 1)).tolist()
    [[1, 1]]
    """
    compression = str(image.info.get("compression"))
    if image.format in _LOSSY or "jpeg" in compression or "webp" in compression:
        raise LabelError(f"is a {image.format}, whose compression changes numbers: {_CURE}")
    levels, raw_mode = _levels(image), _raw_mode(image)
    numbers = np.array(image)
    if image.mode in ("1", "P", "L", "I") or image.mode.startswith("I;16"):
        numbers = numbers.astype(np.uint8 if image.mode in ("1", "P", "L") else np.int32)
    elif image.mode in ("RGB", "RGBA", "LA", "RGBX"):
        deep = "16" in raw_mode or (levels is not None and levels[0] > 255)
        numbers = _one_channel(numbers, image.mode, deep)
    elif image.mode == "F" and np.isfinite(numbers).all() and (numbers == numbers.astype(np.int32)).all():
        numbers = numbers.astype(np.int32)
    else:
        raise LabelError(f"has pixels of mode {image.mode}, which are no labels: {_CURE}")
    return numbers if levels is None else np.round(numbers * (levels[0] / levels[1])).astype(numbers.dtype)


def _one_channel(pixels: NDArray[np.uint8], mode: str, deep: bool) -> NDArray[np.uint8]:
    """The level of a coloured picture that is a grey one."""
    colours = pixels[..., :1] if mode == "LA" else pixels[..., :3]
    alpha = pixels[..., -1] if mode in ("LA", "RGBA") else np.uint8(255)
    if deep:
        raise LabelError(f"has several channels of 16 bits, of which 8 can be read: {_CURE}")
    if (colours != colours[..., :1]).any() or (alpha != 255).any():
        raise LabelError(f"has colours, which are no labels: {_CURE}")
    return np.ascontiguousarray(colours[..., 0])


def _levels(image: Image.Image) -> tuple[int, int] | None:
    """The highest level that a file can hold, where Pillow stretches that to another, and that other."""
    full = 65535 if image.mode == "I" else 255
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else None
    if image.format == "PPM" and isinstance(arguments, tuple) and arguments[1] != full:
        return int(arguments[1]), full
    few = {"L;2": 3, "L;4": 15}.get(_raw_mode(image)[:3])
    return None if few is None else (few, full)


def _raw_mode(image: Image.Image) -> str:
    """How the pixels stand in the file, in Pillow's words; empty for an image that is in memory."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)
