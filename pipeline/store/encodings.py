"""How a row's pixels are kept: as they are, or as a JPEG, PNG or WebP file."""

import io
from typing import Literal, get_args

import numpy as np
import simplejpeg
from PIL import Image

from ...errors import UsageError
from ...transforms.decoding import Pixels

Encoding = Literal["raw", "jpeg", "png", "webp"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)

# bytes per pixel of photos at 460 px, measured, for an estimate of what a cache will take
_DENSITY = {"raw": 3.0, "jpeg": 0.27, "png": 1.35, "webp": 1.0}


def encode(pixels: Pixels, encoding: Encoding, quality: int = 95) -> bytes | memoryview:
    """The bytes of `pixels` `uint8[h, w, 3]`; `png` and `webp` lose nothing, `jpeg` is 4:2:0 at `quality`."""
    if encoding == "raw":
        return np.ascontiguousarray(pixels).data.cast("B")
    if encoding == "jpeg":
        data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", "420")
        return data
    stream = io.BytesIO()
    if encoding == "png":
        Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    elif encoding == "webp":
        Image.fromarray(pixels).save(stream, "WEBP", lossless=True, quality=0, method=0)
    else:
        raise UsageError(f"encoding must be one of {', '.join(ENCODINGS)}, but got {encoding!r}")
    return stream.getvalue()


def decode_row(data: bytes | memoryview, encoding: Encoding, height: int, width: int) -> Pixels:
    """The pixels `uint8[height, width, 3]` of a row's bytes; `ValueError` where they are of another size."""
    if encoding == "raw":
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)
    if encoding == "jpeg":
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB")
    else:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.array(image.convert("RGB"))
    if pixels.shape != (height, width, 3):
        raise ValueError(f"must be {height} x {width} pixels, but is {pixels.shape[0]} x {pixels.shape[1]}")
    return pixels


def expected_bytes(pixels: int, encoding: Encoding) -> int:
    """About how many bytes so many pixels of photos take."""
    return int(pixels * _DENSITY[encoding])
