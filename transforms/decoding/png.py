"""PNG, checked as its specification says: every chunk, every checksum, and exactly the pixels that the header promises.

Pillow skips the checksums of pixels, and takes a stream that is too short for black. So the stream is unpacked here,
where its length and its checksum are held against the header, and Pillow is given the same picture with a stream that
needs no unpacking: together they take no longer than Pillow alone (PNG specification, third edition, W3C 2025).
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ...errors import DecodeError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
"""The last chunk, which is the same in all files."""

# Of colour type: samples per pixel, and the depths that there are.
_COLOURS = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16))}
# The passes of an interlaced picture: first row and column, and steps between rows and columns.
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_OFTEN = {b"IDAT", b"tEXt", b"zTXt", b"iTXt", b"sPLT", b"fcTL", b"fdAT"}  # chunks that may come more than once
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7, b"IEND": 0}
_BEFORE_PIXELS = {b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"hIST", b"pHYs", b"sPLT"}
_BEFORE_PALETTE = {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT"}
_KEPT = {b"PLTE", b"tRNS", b"iCCP", b"eXIf"}  # what the upright pixels depend on
_KEPT_TEXTS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_PIECE = 65535  # bytes, of which a stored block of deflate holds no more


class Chunk(NamedTuple):
    """A chunk of a PNG file, whose checksum is right."""

    name: bytes
    body: memoryview


@dataclass(frozen=True)
class Header:
    """What IHDR says; `colours` is 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha."""

    width: int
    height: int
    depth: int
    colours: int
    interlaced: bool

    @property
    def bits(self) -> int:
        """How many bits one pixel has, over all its samples."""
        return self.depth * _COLOURS[self.colours][0]

    @property
    def row_bytes(self) -> int:
        """The bytes of a row that is not interlaced, without its filter."""
        return self._row_bytes(self.width)

    @property
    def stream_bytes(self) -> int:
        """The bytes of the whole unpacked stream."""
        if not self.interlaced:
            return self.height * (1 + self.row_bytes)
        total = 0
        for top, left, down, right in _ADAM7:
            tall, wide = -(-(self.height - top) // down), -(-(self.width - left) // right)
            total += max(0, tall) * (1 + self._row_bytes(wide)) if wide > 0 else 0
        return total

    def _row_bytes(self, width: int) -> int:
        return -(-width * self.depth * _COLOURS[self.colours][0] // 8)


@dataclass(frozen=True)
class Contents:
    """A PNG file that was read through: its header, how many colours its palette has, the share that is missing."""

    header: Header
    palette: int
    missing: float


def check(
    data: bytes | bytearray | memoryview, accept_cut: bool, tick: Callable[[], None], into: io.BytesIO
) -> Contents:
    """Read a PNG file through, and write the same picture for Pillow `into` a stream.

    With `accept_cut`, a file that ends too early is filled up with zeros, and what is damaged behind the pixels does
    not count. `tick` is called now and then, and may raise. Raises `DecodeError` where anything is not as it should be.
    """
    chunks = _ChunkOrder(data, accept_cut)
    _write_head(into, chunks)
    missing = _write_pixels(into, chunks.header, chunks.pixels, accept_cut, tick)
    _write(into, b"IEND", b"")
    into.seek(0)
    return Contents(chunks.header, chunks.palette, missing)


def head(data: bytes | bytearray | memoryview, accept_cut: bool) -> io.BytesIO:
    """A PNG file without pixels, for Pillow to read its header, and its EXIF block wherever that stands.

    Raises as `check`, for all chunks.
    """
    into = io.BytesIO()
    _write_head(into, _ChunkOrder(data, accept_cut))
    for name in (b"IDAT", b"IEND"):
        _write(into, name, b"")
    into.seek(0)
    return into


def header_of(data: bytes | bytearray | memoryview) -> Header:
    """What the first chunk says. Raises `DecodeError` where it is none that may be."""
    first = next(_chunks(memoryview(data)), None)
    if first is None or first.name != b"IHDR" or len(first.body) != 13:
        raise DecodeError("is a PNG that does not begin with its header")
    width, height, depth, colours, packing, filtering, interlaced = struct.unpack(">IIBBBBB", first.body)
    if colours not in _COLOURS or depth not in _COLOURS[colours][1]:
        raise DecodeError(f"is a PNG of colour type {colours} with {depth} bits, which there is not")
    if packing or filtering or interlaced > 1 or not 0 < width < 1 << 31 or not 0 < height < 1 << 31:
        raise DecodeError("is a PNG with a broken header")
    return Header(width, height, depth, colours, bool(interlaced))


def _chunks(data: memoryview) -> Iterator[Chunk]:
    """Each chunk in turn, to IEND; `DecodeError` where one is damaged, or the file ends before."""
    place = len(SIGNATURE)
    while True:
        if len(data) - place < 12:
            raise DecodeError("is cut off: the PNG has no end")
        size, name = struct.unpack_from(">I4s", data, place)
        if not name.isalpha() or size >= 1 << 31:
            raise DecodeError(f"is a damaged PNG: a chunk is called {name!r}")
        end = place + 8 + size
        if end + 4 > len(data):
            if name == b"IDAT":
                yield Chunk(b"IDAT", data[place + 8 :])
            raise DecodeError(f"is cut off in a {name.decode()} chunk")
        if zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise DecodeError(f"is damaged: the checksum of a {name.decode()} chunk is wrong")
        yield Chunk(name, data[place + 8 : end])
        place = end + 4
        if name == b"IEND":  # what follows is no part of the picture
            return


class _ChunkOrder:
    """The chunks of a file in the order and number that they may have."""

    def __init__(self, data: bytes | bytearray | memoryview, accept_cut: bool) -> None:
        self.header = header_of(data)
        self.kept: list[Chunk] = []
        self.pixels: list[memoryview] = []
        self.palette = 0
        self._before = b""
        self._met: set[bytes] = set()
        try:
            for chunk in _chunks(memoryview(data)):
                self._take(chunk)
        except DecodeError:
            if not (accept_cut and self.pixels):
                raise
        if not self.pixels:
            raise DecodeError("is a PNG without pixels")
        if self.header.colours == 3 and not self.palette:
            raise DecodeError("is a PNG that lacks its palette")

    def _take(self, chunk: Chunk) -> None:
        name, body = chunk
        reason = self._wrong(name, body)
        if reason:
            raise DecodeError(f"is a damaged PNG: {name.decode()} {reason}")
        self._met.add(name)
        self._before = name
        if name == b"PLTE":
            self.palette = len(body) // 3
        if name == b"IDAT":
            self.pixels.append(body)
        elif name == b"IHDR":
            self.kept.insert(0, chunk)
        elif name in _KEPT or (name in (b"tEXt", b"zTXt", b"iTXt") and bytes(body[:22]).startswith(_KEPT_TEXTS)):
            self.kept.append(chunk)

    def _wrong(self, name: bytes, body: memoryview) -> str:
        """What is wrong with a chunk where it stands; nothing, as a rule."""
        if name in self._met and name not in _OFTEN:
            return "is there twice"
        if name == b"IDAT" and name in self._met and self._before != name:
            return "is not in one piece"
        if len(body) != _LENGTHS.get(name, len(body)):
            return f"has {len(body)} bytes"
        if (name in _BEFORE_PIXELS and self.pixels) or (name in _BEFORE_PALETTE and self.palette):
            return "comes too late"
        if name == b"PLTE":
            return self._wrong_palette(body)
        if name == b"tRNS":
            return self._wrong_transparency(body)
        if name[0] & 0x20 == 0 and name not in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            return "is a chunk that no reader knows"
        return ""

    def _wrong_palette(self, body: memoryview) -> str:
        most = 1 << self.header.depth if self.header.colours == 3 else 256
        if self.header.colours in (0, 4):
            return "is there though the picture is grey"
        return f"has {len(body)} bytes" if len(body) % 3 or not 0 < len(body) // 3 <= most else ""

    def _wrong_transparency(self, body: memoryview) -> str:
        if self.header.colours in (4, 6):
            return "is there though the picture has alpha"
        fits = (
            0 < len(body) <= self.palette if self.header.colours == 3 else len(body) == (2, 0, 6)[self.header.colours]
        )
        return "" if fits else f"has {len(body)} bytes"


def _write_head(into: io.BytesIO, chunks: "_ChunkOrder") -> None:
    into.write(SIGNATURE)
    for chunk in chunks.kept:
        _write(into, chunk.name, chunk.body)


def _write(into: io.BytesIO, name: bytes, body: bytes | memoryview) -> None:
    into.write(struct.pack(">I4s", len(body), name))
    into.write(body)
    into.write(struct.pack(">I", zlib.crc32(body, zlib.crc32(name))))


def _write_pixels(
    into: io.BytesIO, header: Header, pixels: list[memoryview], accept_cut: bool, tick: Callable[[], None]
) -> float:
    """The stream unpacked, as one IDAT chunk of stored blocks; the share of it that is missing."""
    expected = header.stream_bytes
    blocks = -(-expected // _PIECE)
    into.write(struct.pack(">I4s", 2 + expected + 5 * blocks + 4, b"IDAT"))
    into.write(b"\x78\x01")
    checksum, there, pieces = 1, 0, _pieces(pixels, expected, accept_cut, tick)
    for start in range(0, expected, _PIECE):
        piece = next(pieces, b"")
        there += len(piece)
        block = piece.ljust(min(_PIECE, expected - start), b"\0")
        into.write(_block(block, start + len(block) == expected))
        checksum = zlib.adler32(block, checksum)
    next(pieces, None)  # which looks at the end of the stream
    into.write(struct.pack(">I", checksum) + bytes(4))  # of whose own checksum Pillow takes no note
    return (expected - there) / expected


def _block(piece: bytes, last: bool) -> bytes:
    return struct.pack("<BHH", last, len(piece), len(piece) ^ 0xFFFF) + piece


def _pieces(pixels: list[memoryview], expected: int, accept_cut: bool, tick: Callable[[], None]) -> Iterator[bytes]:
    """The unpacked stream, in pieces as long as a block; `DecodeError` where it is damaged, too short or too long."""
    unpack = zlib.decompressobj(wbits=0)  # 0: as far back as the stream's own header says
    there, rest = 0, bytearray()
    try:
        for number, body in enumerate(pixels):
            source: bytes | memoryview = body
            while source and not unpack.eof:
                tick()
                rest += unpack.decompress(source, 16 * _PIECE)
                source = unpack.unconsumed_tail
                if there + len(rest) > expected:
                    raise DecodeError("is a damaged PNG: its stream holds more than its pixels")
                while len(rest) >= _PIECE:
                    yield bytes(rest[:_PIECE])
                    del rest[:_PIECE]
                    there += _PIECE
            if unpack.eof and (unpack.unused_data or any(map(len, pixels[number + 1 :]))):
                raise DecodeError("is a damaged PNG: bytes follow the end of its stream")
    except zlib.error as error:
        if not accept_cut:
            raise DecodeError(f"is a damaged PNG: {error}") from error
    whole = unpack.eof and there + len(rest) == expected
    if not whole and not accept_cut:
        raise DecodeError("is a damaged PNG: its stream ends before its pixels do")
    if rest:
        yield bytes(rest)
