"""How a row's pixels are kept: as they are, or as a JPEG, PNG or WebP file."""

import io
from typing import Any, Literal, get_args

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from ...errors import DecodeError, LabelError, UsageError
from ...transforms.decoding.decode import Pixels
from .checksums import Bytes

Encoding = Literal["raw", "jpeg", "png", "webp"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)

# bytes per pixel of photos at 460 px, measured, for an estimate of what a cache will take
_DENSITY = {"raw": 3.0, "jpeg": 0.27, "png": 1.35, "webp": 1.0}


_LONGEST = {"jpeg": 65_500, "webp": 16_383}  # pixels on a side, of libjpeg and of the format


def encode(pixels: Pixels, encoding: Encoding, quality: int = 95) -> bytes | memoryview:
    """The bytes of `pixels` `uint8[h, w, 3]`; `png` and `webp` lose nothing, `jpeg` is 4:2:0 at `quality`.

    Raises `DecodeError` where a side is longer than the encoding can be.
    """
    longest = max(pixels.shape[:2])
    if longest > _LONGEST.get(encoding, longest):
        raise DecodeError(
            f"becomes {pixels.shape[0]} x {pixels.shape[1]} pixels, and {encoding} holds {_LONGEST[encoding]:,} on a "
            "side: keep it as png or raw, make it smaller, or make it square"
        )
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


def decode_row(data: Bytes, encoding: str, out: Pixels) -> None:
    """Decode a row's bytes into `out` `uint8[h, w, 3]`; `ValueError` where the pixels are of another size."""
    if encoding == "raw":
        np.copyto(out.reshape(-1), np.frombuffer(data, np.uint8))
        return
    if encoding == "jpeg":
        pixels = simplejpeg.decode_jpeg(data, "RGB", buffer=out)
    else:
        with Image.open(io.BytesIO(memoryview(data))) as image:
            pixels = np.asarray(image.convert("RGB"))
    if pixels.shape != out.shape:
        raise ValueError(f"{pixels.shape[0]}x{pixels.shape[1]} pixels instead of {out.shape[0]}x{out.shape[1]}")
    if encoding != "jpeg":
        np.copyto(out, pixels)


def encode_mask(mask: NDArray[Any]) -> bytes:
    """A mask `[h, w]` of whole numbers from 0 to 65535 as a PNG file of one channel, of 8 bits where that is enough.

    >>> decode_mask(encode_mask(np.array([[0, 300]]))).tolist()
    [[0, 300]]
    """
    low, high = (int(mask.min()), int(mask.max())) if mask.size else (0, 0)
    if mask.dtype.kind not in "biu" or low < 0 or high > 65535:
        raise LabelError(f"a mask must hold whole numbers from 0 to 65535, but has {mask.dtype} from {low} to {high}")
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8 if high < 256 else np.uint16)).save(stream, "PNG")
    return stream.getvalue()


def decode_mask(data: Bytes) -> NDArray[Any]:
    """The mask in a PNG file that `encode_mask` made: uint8 or int32 `[h, w]`."""
    with Image.open(io.BytesIO(memoryview(data))) as image:
        mask = np.array(image)
    return mask if mask.dtype == np.uint8 else mask.astype(np.int32)


def estimate_bytes(pixels: int, encoding: Encoding) -> int:
    """About how many bytes so many pixels of photos take."""
    return int(pixels * _DENSITY[encoding])
