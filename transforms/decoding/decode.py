"""From the bytes of a file to upright sRGB pixels.

Pillow reads the header, so the content says what a file is and not its name. The pixels of JPEG come from simplejpeg,
scaled down inside the inverse DCT as far as the target allows; all else comes from Pillow. Whatever is not decoded
whole within the limits is a `DecodeError` whose message is the reason.
"""

import os
import stat
from collections.abc import Callable

import numpy as np
import torch

from ...errors import DecodeError, UsageError
from ..types import TensorImage
from . import containers as structure
from .apart import decode_apart
from .cost import may_take_long
from .orientation import swaps_axes
from .picture import (
    FORMATS,
    LIMITS,
    Buffer,
    Decoding,
    Matrix,
    Picture,
    Pixels,
    decode_here,
    open_image,
    orientation_of,
    reasons,
)

__all__ = [
    "FORMATS",
    "LIMITS",
    "Decoding",
    "Matrix",
    "Picture",
    "Pixels",
    "decode",
    "decode_pixels",
    "read_image_file",
    "upright_size",
]


def decode(source: str | os.PathLike[str] | Buffer, target: int | None = None) -> TensorImage:
    """The picture in a file, or in its bytes, upright in sRGB: `uint8[3, h, w]`.

    With `target`, a JPEG may come smaller than it is, but with at least `target` pixels on the short side where it
    has them. Raises `DecodeError` with the reason where it is not a picture that may be used, `UsageError` where
    there is no file.
    """
    pixels = decode_pixels(source, target).upright
    return TensorImage(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1))


def decode_pixels(
    source: str | os.PathLike[str] | Buffer,
    target: int | None = None,
    decoding: Decoding | None = None,
    admit: Callable[[int], object] = lambda needed: None,
) -> Picture:
    """The pixels of a file, or of its bytes, with what it takes to find a pixel of the file again.

    `target` is the short side that the caller needs, in pixels. `admit` is called with the bytes of memory that it may
    take, before any is taken, and may wait. A file whose header says that it may take long is decoded in a process that
    can be ended. Raises as `decode`, and `ResourceError` where the machine, and not the file, is the reason.
    """
    decoding = decoding or Decoding()
    if target is not None and target < 1:
        raise UsageError(f"target must be a number of pixels from 1 up, but got {target}")
    data = _bytes_of(source, decoding)
    with reasons(decoding):
        file = open_image(data, decoding)
        admit(file.cost.memory)
        if may_take_long(file.cost, decoding.max_seconds):
            return decode_apart(data, target, decoding)
        try:
            return decode_here(file, target, decoding)
        except MemoryError:  # of the file, or of the machine? There the file has all that it may have.
            return decode_apart(data, target, decoding)


def upright_size(source: str | os.PathLike[str] | Buffer, decoding: Decoding | None = None) -> tuple[int, int]:
    """Height and width of the upright picture, from the header of a file or of its bytes; no pixel is decoded.

    Raises as `decode`, as far as the header tells.
    """
    decoding = decoding or Decoding()
    data = _bytes_of(source, decoding)
    with reasons(decoding):
        image = open_image(data, decoding).image
        turned = swaps_axes(orientation_of(image)) and image.format != "TIFF"  # of which Pillow tells the upright size
        return image.size if turned else image.size[::-1]


def read_image_file(path: str | os.PathLike[str], decoding: Decoding | None = None) -> bytes:
    """The bytes of an image file, of which there are no more than a limit of `decoding`.

    Raises `UsageError` where there is no file that can be read, and `DecodeError` where it is too large.
    """
    decoding = decoding or Decoding()
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):  # a pipe waits, a device never ends
            raise UsageError(f"image file {os.fspath(path)} must be a regular file, but is none")
        _refuse_bytes(found.st_size, decoding)
        with open(path, "rb") as file:
            return file.read(decoding.max_bytes + 1)  # a file may be longer than it says
    except OSError as error:
        raise UsageError(f"image file {os.fspath(path)} cannot be read: {error.strerror}") from error


def _bytes_of(source: str | os.PathLike[str] | Buffer, decoding: Decoding) -> Buffer:
    data: Buffer = read_image_file(source, decoding) if isinstance(source, (str, os.PathLike)) else source
    _refuse_bytes(memoryview(data).nbytes, decoding)
    return _picture_in(data)


def _picture_in(data: Buffer) -> Buffer:
    """The file itself, and of an icon the largest picture."""
    return structure.largest_in_icon(data) if bytes(data[:4]) == b"\0\0\1\0" else data


def _refuse_bytes(size: int, decoding: Decoding) -> None:
    if size > decoding.max_bytes:
        raise DecodeError(f"has {size:,} bytes, and max_bytes is {decoding.max_bytes:,}")
