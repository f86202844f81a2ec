"""The one decoder of presizing, training and serving, without torch, so that a process for one file starts quickly.

No decoder is lenient: where Pillow would take a damaged file for a whole one, the file is checked first, and what
libtiff warns of is refused. `benchmarks/mutations.py` holds this against the reference reader of every format.
"""

import io
import logging
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile

from ...errors import CutOffError, DecodeError, ResourceError, UsageError
from . import containers as structure
from . import jpeg, libtiff, png
from . import jpeg_entropy as entropy
from .colourspace import needs_conversion, rgb_to_srgb, to_srgb
from .cost import Cost, cost
from .orientation import turn, turn_back, upright_to_file

Pixels: TypeAlias = NDArray[np.uint8]
Matrix: TypeAlias = NDArray[np.float64]
Buffer: TypeAlias = bytes | bytearray | memoryview

logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it says is the reason of a refusal, or nothing

# Formats that begin with a mark of their own (not so TGA), and only decode (EPS starts another program).
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "AVIF", "MPO", "PPM", "JPEG2000", "ICO")


LIMITS = ("max_pixels", "max_bytes", "max_memory", "max_seconds")
"""The settings that decide which files are refused, and no pixel of the others."""


@dataclass(frozen=True)
class Decoding:
    """How files become pixels, and which are refused.

    `quality`: a JPEG that is scaled while it is decoded keeps at least this multiple of the target on its short side.
    The scaling is that of a box, not of the resize's triangle: with 3 it is hardly seen, with 2 in many photos.
    `background`: the colour that shows through transparent pixels. `truncated`: a file that ends too early, and a JPEG
    that its decoder warns of, is refused, or accepted with what there is of it. `max_pixels`, `max_bytes` (of the
    file), `max_memory` (bytes held while it is decoded) and `max_seconds` (of one processor) bound what one file may
    cost; they depend on nothing but the file.
    """

    quality: float = 3.0
    background: tuple[int, int, int] = (255, 255, 255)
    truncated: Literal["refuse", "accept"] = "refuse"
    max_pixels: int = 178_956_970  # as Pillow
    max_bytes: int = 1 << 28
    max_memory: int = 1 << 31
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.truncated not in ("refuse", "accept"):
            raise UsageError(f"truncated must be 'refuse' or 'accept', but got {self.truncated!r}")
        if self.quality < 1:
            raise UsageError(f"quality must be 1 or more times the target, but got {self.quality}")
        for name in LIMITS:
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be positive, but got {getattr(self, name)}")


@dataclass(frozen=True)
class Picture:
    """Pixels as they lie in the file, not yet turned upright.

    `raw` is `uint8[h, w, 3]` in the colours of an ICC `profile`, sRGB where that is empty; `size` the file's own
    (height, width); `orientation` EXIF 1 to 8; `scale` how many of the file's pixels one decoded pixel spans: the
    picture covers `size / scale` of the decoded pixels. `lacks` says what is missing of a file that was accepted
    although it is not whole.
    """

    raw: Pixels
    size: tuple[int, int]
    orientation: int
    scale: int = 1
    profile: bytes = b""
    lacks: str = ""

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


@contextmanager
def reasons(decoding: Decoding) -> Iterator[None]:
    """Whatever Pillow's plugins stumble over is the reason why a file is refused."""
    try:
        yield
    except (DecodeError, ResourceError, MemoryError):
        raise
    except TimeoutError:
        raise DecodeError(f"takes longer to decode than max_seconds, {decoding.max_seconds:g}") from None
    except Exception as error:
        raise DecodeError(f"cannot be decoded: {_reason(error)}") from error


@dataclass(frozen=True)
class OpenImage:
    """A file whose header was read and is within the limits: Pillow's plugin, its bytes, and what it will cost."""

    image: ImageFile.ImageFile
    data: Buffer
    cost: Cost


def open_image(data: Buffer, decoding: Decoding) -> OpenImage:
    """Read a file's header. Raises whatever Pillow's plugins do, and `DecodeError` where a limit forbids the file."""
    image = _open_header(data, decoding)
    _refuse_pixels(*image.size, decoding)
    expected = cost(image, data)
    if expected.memory > decoding.max_memory:
        raise DecodeError(
            f"takes up to {expected.memory:,} bytes of memory to decode, and max_memory is {decoding.max_memory:,}"
        )
    return OpenImage(image, data, expected)


def _refuse_pixels(width: int, height: int, decoding: Decoding) -> None:
    if width * height > decoding.max_pixels:
        raise DecodeError(
            f"has {width} x {height} = {width * height:,} pixels, and max_pixels is {decoding.max_pixels:,}"
        )


def decode_here(file: OpenImage, target: int | None, decoding: Decoding) -> Picture:
    """The pixels, in this thread, whatever it takes. Raises whatever Pillow's plugins do."""
    image, data = file.image, file.data
    if image.format in ("JPEG", "MPO"):
        return _decode_jpeg(data, image, target, decoding)
    if image.format == "PNG":
        return _decode_png(data, decoding)
    if image.format == "TIFF":
        _check_tiff(image, data, decoding)
    whole, colours, lacks = _check_whole(image.format or "", data, decoding)
    if whole is not data:
        image = _open_header(whole, decoding)
    return replace(_load(image, decoding, colours), lacks=lacks)


def _open_header(data: Buffer, decoding: Decoding) -> ImageFile.ImageFile:
    """Pillow's plugin for the content, which has read the header and no pixel.

    `Image.open` does the same, and then checks the size against a global that belongs to all users of Pillow in the
    process; the limit here is the caller's.
    """
    prefix = bytes(memoryview(data)[:16])
    if not prefix:
        raise DecodeError("is empty")
    Image.init()
    reasons = []
    for name in FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or (accept is not None and accept(prefix.ljust(16, b"\0")) is not True):
            continue
        try:
            image: ImageFile.ImageFile = factory(_header(name, data, decoding), "")
            return image
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            reasons.append(f"{name}: {_reason(error)}")
    known = "is of no known image format" if not reasons else f"has a broken header ({'; '.join(reasons)})"
    raise DecodeError(f"{known}, it begins with {prefix[:8]!r}")


def _header(name: str, data: Buffer, decoding: Decoding) -> io.BytesIO:
    """The bytes that Pillow reads a header from. What it would do before it tells the size is done here."""
    if name == "PNG":
        return png.head(data, decoding.truncated == "accept")
    if name == "WEBP":  # for which Pillow takes memory at once
        _refuse_pixels(*structure.webp_size(data), decoding)
    return _Deadline(data, decoding.max_seconds)


def _check_tiff(image: Image.Image, data: Buffer, decoding: Decoding) -> None:
    # The other codecs say by an error what these warn of.
    pixels = image.info.get("compression") not in ("raw", *_SOUND_TIFF)
    wrong = libtiff.check(data, pixels, decoding.max_memory)
    if wrong is not None:
        raise DecodeError(f"is a damaged TIFF: {wrong}")


_SOUND_TIFF = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "zstd")


def _check_whole(name: str, data: Buffer, decoding: Decoding) -> tuple[Buffer, int, str]:
    """The bytes of a whole file, and how many colours its palette has; of one that is cut off, filled up, and what it
    lacks.
    """
    check = structure.CHECKS.get(name)
    try:
        return data, check(data) or 0 if check is not None else 0, ""
    except CutOffError as cut:
        if decoding.truncated == "refuse":
            raise
        if not cut.share:
            raise DecodeError(f"{cut}; of a {name} no part can be read") from cut
        whole = bytes(data) + bytes(cut.missing)
        return whole, 0, f"cut off: {cut.share:.0%} of its rows are missing"


def _decode_jpeg(data: Buffer, image: ImageFile.ImageFile, target: int | None, decoding: Decoding) -> Picture:
    width, height = image.size
    convert = needs_conversion(image)
    scalable = image.mode == "RGB" or (image.mode == "L" and not convert)
    scaled = target is not None and scalable and jpeg.can_scale(data)
    scale = _dct_scale(min(height, width), (target or 1) * decoding.quality) if scaled else 1
    least = (-(-height // scale), -(-width // scale))
    colours = "RGB" if scalable else {"L": "GRAY", "CMYK": "CMYK"}[image.mode]
    try:
        pixels, lacks = jpeg.decode(data, colours, least, decoding.truncated == "accept")
    except jpeg.SubsamplingError:
        entropy.check(data, _Deadline(b"", decoding.max_seconds).tick)
        return _load(image, decoding)
    if pixels.shape[:2] != least:
        raise DecodeError(f"is a damaged JPEG: it says {height} x {width} pixels, and has {pixels.shape[:2]}")
    profile = image.info["icc_profile"] if convert and scalable else b""
    if not scalable:
        pixels = to_srgb(_as_pillow(pixels, image))
    return Picture(pixels, (height, width), orientation_of(image), scale, profile, lacks)


def _as_pillow(pixels: Pixels, like: Image.Image) -> Image.Image:
    """Grey or CMYK as Pillow would have read it, which takes inks as Adobe keeps them: the other way round."""
    if like.mode == "CMYK":
        np.subtract(255, pixels, out=pixels)
    image = Image.frombuffer(like.mode, like.size, pixels, "raw", like.mode, 0, 1)
    image.info = like.info
    return image


def _dct_scale(short: int, wanted: float) -> int:
    """The largest of the scales that cost the decoder less and not more (3/8, 5/8, 6/8 are slow)."""
    return next((scale for scale in (8, 4, 2) if -(-short // scale) >= wanted), 1)


def _decode_png(data: Buffer, decoding: Decoding) -> Picture:
    stream = _Deadline(b"", decoding.max_seconds)
    checked = png.check(data, decoding.truncated == "accept", stream.tick, stream)
    image = Image.OPEN["PNG"][0](stream, "")
    picture = _load(image, decoding, checked.palette if checked.header.colours == 3 else 0)
    return replace(picture, lacks=f"cut off: {checked.missing:.0%} of its stream is missing" if checked.missing else "")


def open_whole(data: Buffer, decoding: Decoding) -> ImageFile.ImageFile:
    """Pillow's plugin for a file that was read through, of which no pixel is decoded, for who wants its own numbers.

    Raises `DecodeError` for what is not whole, as `decode` does, as far as can be told without decoding.
    """
    with reasons(decoding):
        image = open_image(data, decoding).image
        if image.format == "PNG":
            stream = _Deadline(b"", decoding.max_seconds)
            png.check(data, False, stream.tick, stream)
            whole: ImageFile.ImageFile = Image.OPEN["PNG"][0](stream, "")
            return whole
        if image.format == "TIFF":
            _check_tiff(image, data, decoding)
        return _open_header(_check_whole(image.format or "", data, decoding)[0], decoding)


def _load(image: ImageFile.ImageFile, decoding: Decoding, colours: int = 0) -> Picture:
    """The pixels by Pillow; `colours`, where it is known, is how many the palette has."""
    before = orientation_of(image)
    with libtiff.listening() as said:
        try:
            image.load()
        except TimeoutError:
            raise
        except OSError as error:
            raise DecodeError(f"cannot be decoded whole: {said[0] if said else _reason(error)}") from error
    if colours and image.mode in ("P", "L") and (most := int(np.asarray(image.getextrema())[1])) >= colours:
        raise DecodeError(f"has a pixel of colour {most}, and its palette has {colours}")
    after = orientation_of(image)
    turned_already = before != 1 and after == 1  # as Pillow does with TIFF
    pixels = to_srgb(image, decoding.background)
    if turned_already:
        pixels = turn_back(pixels, before)
    height, width = pixels.shape[:2]
    return Picture(pixels, (height, width), before if turned_already else after)


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8, told without reading a pixel; 1 where there is none, or a broken one."""
    if image.format in ("JPEG", "PNG") and not image.info.keys() & _TELL_ORIENTATION:
        return 1  # Pillow takes its time to find nothing, and decodes a PNG whole for it.
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (*_BROKEN_EXIF,):  # it says nothing about the pixels, and none are read for it
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


_TELL_ORIENTATION = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
_BROKEN_EXIF = (ValueError, TypeError, LookupError, AttributeError, SyntaxError, OSError, struct.error)


def _reason(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0]


class _Deadline(io.BytesIO):
    """Bytes that stop coming after some seconds of this thread: Pillow asks for them block by block."""

    def __init__(self, data: Buffer, seconds: float) -> None:
        super().__init__(data)
        self._end = time.thread_time() + seconds
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads % 16 == 1:  # to ask for the time takes longer than most reads
            self.tick()
        return super().read(size)

    def tick(self) -> None:
        """Raise `TimeoutError` where the time is over."""
        if time.thread_time() > self._end:
            raise TimeoutError
