"""JPEG by libjpeg-turbo, where every warning is an error: what a reader warns of has lost pixels.

Pillow drops the warnings, so it only reads the header.
"""

from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from ...errors import DecodeError

Bytes = bytes | bytearray | memoryview


class SubsamplingError(Exception):
    """A chroma subsampling that the decoder does not know."""


class Jpeg(NamedTuple):
    """`uint8[h, w, 3]` (RGB), or `[h, w, 4]` (CMYK as in the file), and what a file that is not whole lacks."""

    pixels: NDArray[np.uint8]
    lacks: str = ""


def decode(data: Bytes, colours: str, least: tuple[int, int], accept_cut: bool) -> Jpeg:
    """The pixels, scaled down as long as height and width stay at `least`.

    Raises `DecodeError` where libjpeg warns, but with `accept_cut`, and `SubsamplingError` where it does not know the
    subsampling.
    """
    try:
        return Jpeg(_decode(data, colours, least, strict=True))
    except ValueError as error:
        reason = str(error)
    if "subsampling" in reason:
        raise SubsamplingError(reason)
    if not accept_cut:
        raise DecodeError(f"is a damaged JPEG: {_plain(reason)}")
    try:
        pixels = _decode(data, colours, least, strict=False)
    except ValueError as error:
        raise DecodeError(f"is a damaged JPEG: {_plain(str(error))}") from error
    lacks = _what_lacks(data, colours, least, pixels) if _is_cut(reason) else _plain(reason)
    return Jpeg(pixels, lacks)


def scans(data: Bytes, progressive: bool, channels: int) -> int:
    """How many times the decoder goes over the picture, at most.

    A file that is not progressive, and has all its channels in the first scan, has no other.
    """
    place = 2
    while data[place : place + 1] == b"\xff" and place + 4 < len(data):
        mark = data[place + 1]
        if mark == 0xDA and not progressive and data[place + 4] >= channels:
            return 1
        if mark == 0xDA:
            break
        place += 1 if mark == 0xFF else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return _scans(data)


def can_scale(data: Bytes) -> bool:
    """Whether the decoder scales a picture down: of a lossless JPEG it writes all pixels, beyond the memory for fewer.

    True only where the header is read as the decoder reads it: a frame of DCT, and nothing odd before it.
    """
    place = 2
    while data[place : place + 1] == b"\xff" and place + 4 < len(data):
        mark = data[place + 1]
        if mark in _DCT_FRAMES:
            return True
        if mark in _OTHER_FRAMES or mark <= 0x01 or 0xD0 <= mark <= 0xDA:  # or marks that have no length, or a scan
            return False
        place += 1 if mark == 0xFF else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return False


_DCT_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF)


def _scans(data: Bytes) -> int:
    return bytes(data).count(b"\xff\xda")


def _decode(data: Bytes, colours: str, least: tuple[int, int], strict: bool) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data, colours, min_height=least[0], min_width=least[1], strict=strict
    )
    return pixels


def _is_cut(reason: str) -> bool:
    return "Premature end of JPEG file" in reason


def _plain(reason: str) -> str:
    return "it is cut off" if _is_cut(reason) else reason


def _what_lacks(data: Bytes, colours: str, least: tuple[int, int], pixels: NDArray[np.uint8]) -> str:
    """What is missing of a file that is cut off: found by where anything that might follow would change the picture."""
    other = _decode(bytes(data) + bytes(range(1, 255)) * 8, colours, least, strict=False)
    rows = np.flatnonzero((other != pixels).any((1, 2)))
    there = int(rows[0]) if len(rows) else len(pixels)
    share = 1 - there / len(pixels)
    if (scan := _scans(data)) > 1:
        return f"cut off in its scan {scan}: {share:.0%} of its rows lack the details of it, all those of later scans"
    if not there:
        raise DecodeError("is cut off before its first row")
    return f"cut off: {share:.0%} of its rows are missing"
