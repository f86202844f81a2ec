"""From the bytes of a file to upright sRGB pixels: the one decoder of presizing, training and serving.

Pillow reads the header, so the content says what a file is and not its name. The pixels of JPEG come from simplejpeg,
scaled down inside the inverse DCT as far as the target allows; all else comes from Pillow. Whatever Pillow decodes
whole within the limits is decoded; whatever it does not is a `DecodeError` whose message is the reason.
"""

import io
import os
import struct
import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile

from ..errors import DecodeError, UsageError
from .colourspace import needs_conversion, rgb_to_srgb, to_srgb
from .orientation import swaps_axes, turn, turn_back, upright_to_file
from .types import TensorImage

Pixels: TypeAlias = NDArray[np.uint8]
Matrix: TypeAlias = NDArray[np.float64]
Buffer: TypeAlias = bytes | bytearray | memoryview

# Formats that begin with a mark of their own (not so TGA), and only decode (EPS starts another program).
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "AVIF", "MPO", "PPM", "JPEG2000", "ICO")


@dataclass(frozen=True)
class Decoding:
    """How files become pixels, and which are refused.

    `quality`: a JPEG that is scaled while it is decoded keeps at least this multiple of the target on its short side.
    The scaling is that of a box, not of the resize's triangle: with 3 it is hardly seen, with 2 in many photos.
    `background`: the colour that shows through transparent pixels. `truncated`: a file that ends too early is refused,
    or accepted with what there is of it. `max_pixels`, `max_bytes` and `max_seconds` bound what one file may cost.
    """

    quality: float = 3.0
    background: tuple[int, int, int] = (255, 255, 255)
    truncated: Literal["refuse", "accept"] = "refuse"
    max_pixels: int = 178_956_970  # as Pillow
    max_bytes: int = 1 << 28
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.truncated not in ("refuse", "accept"):
            raise UsageError(f"truncated must be 'refuse' or 'accept', but got {self.truncated!r}")
        if self.quality < 1:
            raise UsageError(f"quality must be 1 or more times the target, but got {self.quality}")
        if min(self.max_pixels, self.max_bytes, self.max_seconds) <= 0:
            raise UsageError("max_pixels, max_bytes and max_seconds must be positive")


@dataclass(frozen=True)
class Decoded:
    """Pixels as they lie in the file, not yet turned upright.

    `raw` is `uint8[h, w, 3]` in the colours of an ICC `profile`, sRGB where that is empty; `size` the file's own
    (height, width); `orientation` EXIF 1 to 8; `scale` how many of the file's pixels one decoded pixel spans: the
    picture covers `size / scale` of the decoded pixels.
    """

    raw: Pixels
    size: tuple[int, int]
    orientation: int
    scale: int = 1
    profile: bytes = b""

    @property
    def pixels(self) -> Pixels:
        """All of them in sRGB, `uint8[h, w, 3]`."""
        return self.part(0, 0, *self.raw.shape[:2])

    def part(self, top: int, left: int, height: int, width: int) -> Pixels:
        """A part of them in sRGB; colours that have to be converted cost more than all else, so no others are."""
        return rgb_to_srgb(self.raw[top : top + height, left : left + width], self.profile)

    @property
    def upright(self) -> Pixels:
        """The pixels turned upright, as a view."""
        return turn(self.pixels, self.orientation)

    @property
    def matrix(self) -> Matrix:
        """`float64[3, 3]` from continuous pixels of `upright` to continuous pixels of the file."""
        height, width = self.raw.shape[:2]
        return np.diag([self.scale, self.scale, 1.0]) @ upright_to_file(self.orientation, height, width)


def decode(source: str | os.PathLike[str] | Buffer, target: int | None = None) -> TensorImage:
    """The picture in a file, or in its bytes, upright in sRGB: `uint8[3, h, w]`.

    With `target`, a JPEG may come smaller than it is, but with at least `target` pixels on the short side where it
    has them. Raises `DecodeError` with the reason where it is not a picture that may be used, `UsageError` where
    there is no file.
    """
    pixels = decode_pixels(source, target).upright
    return TensorImage(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1))


def decode_pixels(
    source: str | os.PathLike[str] | Buffer, target: int | None = None, decoding: Decoding | None = None
) -> Decoded:
    """The pixels of a file, or of its bytes, with what it takes to find a pixel of the file again.

    `target` is the short side that the caller needs, in pixels. Raises as `decode`.
    """
    decoding = decoding or Decoding()
    if target is not None and target < 1:
        raise UsageError(f"target must be a number of pixels from 1 up, but got {target}")
    data = _bytes_of(source, decoding)
    try:
        return _decode(data, target, decoding)
    except DecodeError:
        raise
    except MemoryError:
        raise DecodeError("does not fit into memory") from None
    except TimeoutError:
        raise DecodeError(f"takes longer to decode than max_seconds, {decoding.max_seconds:g}") from None
    except Exception as error:  # Pillow's plugins raise whatever their parsers stumble over
        raise DecodeError(f"cannot be decoded: {_reason(error)}") from error


def upright_size(source: str | os.PathLike[str] | Buffer) -> tuple[int, int]:
    """Height and width of the upright picture, from the header of a file or of its bytes. Raises as `decode`."""
    decoding = Decoding()
    try:
        image = _open(io.BytesIO(_bytes_of(source, decoding)))
        turned = swaps_axes(_orientation(image)) and image.format != "TIFF"  # of which Pillow tells the upright size
    except (DecodeError, UsageError):
        raise
    except Exception as error:
        raise DecodeError(f"cannot be decoded: {_reason(error)}") from error
    return image.size if turned else image.size[::-1]


def _bytes_of(source: str | os.PathLike[str] | Buffer, decoding: Decoding) -> Buffer:
    if isinstance(source, (str, os.PathLike)):
        try:
            size = os.stat(source).st_size
            if size > decoding.max_bytes:
                raise DecodeError(f"has {size:,} bytes, and max_bytes is {decoding.max_bytes:,}")
            with open(source, "rb") as file:
                return file.read()
        except OSError as error:
            raise UsageError(f"image file {os.fspath(source)} cannot be read: {error.strerror}") from error
    size = memoryview(source).nbytes
    if size > decoding.max_bytes:
        raise DecodeError(f"has {size:,} bytes, and max_bytes is {decoding.max_bytes:,}")
    return source


def _decode(data: Buffer, target: int | None, decoding: Decoding) -> Decoded:
    image = _open(io.BytesIO(data))
    width, height = image.size
    if width * height > decoding.max_pixels:
        raise DecodeError(
            f"has {width} x {height} = {width * height:,} pixels, and max_pixels is {decoding.max_pixels:,}"
        )
    if image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L"):
        _refuse_scans(data, image, decoding)
        picture = _decode_jpeg(data, image, target, decoding)
        if picture is not None:
            return picture
    return _decode_pillow(_open(_Deadline(data, decoding.max_seconds)), decoding)


def _open(stream: io.BytesIO) -> ImageFile.ImageFile:
    """Pillow's plugin for the content.

    `Image.open` does the same, and then checks the size against a global that belongs to all users of Pillow in the
    process; the limit here is the caller's.
    """
    prefix = stream.read(16)
    if not prefix:
        raise DecodeError("is empty")
    Image.init()
    reasons = []
    for name in FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or (accept is not None and accept(prefix) is not True):
            continue
        stream.seek(0)
        try:
            return factory(stream, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            reasons.append(f"{name}: {_reason(error)}")
    known = "is of no known image format" if not reasons else f"has a broken header ({'; '.join(reasons)})"
    raise DecodeError(f"{known}, it begins with {prefix[:8]!r}")


def _refuse_scans(data: Buffer, image: Image.Image, decoding: Decoding) -> None:
    """Refuse a progressive JPEG whose scans, each over all pixels, would take longer than `max_seconds`.

    The decoder cannot be stopped from outside; 20 million pixels a second and scan is slow for it.
    """
    if not image.info.get("progressive"):
        return
    scans = bytes(data).count(b"\xff\xda")
    seconds = scans * image.width * image.height / 20e6
    if seconds > decoding.max_seconds:
        raise DecodeError(f"has {scans} scans of {image.width} x {image.height} pixels, more than max_seconds allows")


def _decode_jpeg(data: Buffer, image: Image.Image, target: int | None, decoding: Decoding) -> Decoded | None:
    """The pixels by simplejpeg, or None where it is stricter than Pillow."""
    width, height = image.size
    convert = needs_conversion(image)
    if convert and image.mode == "L":
        return None
    scale = 1 if target is None else _dct_scale(min(height, width), target * decoding.quality)
    least = (-(-height // scale), -(-width // scale))
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=least[0], min_width=least[1])
    except ValueError:
        return None
    if pixels.shape[:2] != least:
        return None
    profile = image.info["icc_profile"] if convert else b""
    return Decoded(pixels, (height, width), _orientation(image), scale, profile)


def _dct_scale(short: int, wanted: float) -> int:
    """The largest of the scales that cost the decoder less and not more (3/8, 5/8, 6/8 are slow)."""
    return next((scale for scale in (8, 4, 2) if -(-short // scale) >= wanted), 1)


def _decode_pillow(image: ImageFile.ImageFile, decoding: Decoding) -> Decoded:
    before = _orientation(image)
    try:
        image.load()
    except TimeoutError:
        raise
    except OSError as error:
        if decoding.truncated == "refuse" or not _keep_what_there_is(image):
            raise DecodeError(f"cannot be decoded whole: {_reason(error)}") from error
    # Pillow turns TIFF by itself, and finds the EXIF block of a PNG only behind its pixels.
    after = _orientation(image)
    turned_already = before != 1 and after == 1
    pixels = np.array(to_srgb(image, decoding.background))  # a copy: torch wants to be able to write
    if turned_already:
        pixels = turn_back(pixels, before)
    height, width = pixels.shape[:2]
    return Decoded(pixels, (height, width), before if turned_already else after)


def _keep_what_there_is(image: ImageFile.ImageFile) -> bool:
    """Take the rows that were decoded before the file ended; False where there are none."""
    if image._im is None:
        return False
    image.tile = []
    image.load()
    return True


def _orientation(image: Image.Image) -> int:
    if image.format == "JPEG" and not image.info.keys() & {"exif", "xmp", "XML:com.adobe.xmp"}:
        return 1  # Told from what there is to tell it from, since Pillow takes its time to find nothing.
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a broken EXIF block says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _reason(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0]


class _Deadline(io.BytesIO):
    """Bytes that stop coming after some seconds: Pillow asks for them block by block."""

    def __init__(self, data: Buffer, seconds: float) -> None:
        super().__init__(data)
        self._end = time.monotonic() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._end:
            raise TimeoutError
        return super().read(size)
