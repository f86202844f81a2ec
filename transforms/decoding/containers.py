"""Whether the containers of GIF, WebP, BMP, PPM and JPEG 2000 are whole, as far as Pillow's decoders do not ask.

Each check walks over a file's blocks and decodes nothing; it raises `DecodeError` with what is wrong.
"""

import re
import struct
from collections.abc import Callable

import numpy as np

from ...errors import CutOffError, DecodeError
from . import png

Bytes = bytes | bytearray | memoryview


def check_gif(data: Bytes) -> int:
    """Every block to the end; how many colours the first picture has."""
    view = memoryview(data)
    width, height, flags, background = struct.unpack_from("<HHBB", _bytes_at(view, 0, 13, "GIF"), 6)
    place = 13
    shared = 2 << (flags & 7) if flags & 0x80 else 0
    place += 3 * shared
    if shared and background >= shared:
        raise DecodeError("is a damaged GIF: its palette lacks its background")
    colours = 0
    while True:
        mark = _bytes_at(view, place, 1, "GIF")[0]
        if mark == 0x3B:
            break
        if mark == 0x21:
            place = _sub_blocks(view, place + 2)
        elif mark == 0x2C:
            left, top, wide, tall, own = struct.unpack("<HHHHB", _bytes_at(view, place + 1, 9, "GIF"))
            palette = 2 << (own & 7) if own & 0x80 else 0
            if not colours and (left + wide > width or top + tall > height):
                raise DecodeError("is a damaged GIF: its picture lies outside its canvas")
            colours = colours or palette or shared
            place += 10 + 3 * palette
            if not 1 < _bytes_at(view, place, 1, "GIF")[0] < 9:
                raise DecodeError("is a damaged GIF: its codes have no width")
            place = _sub_blocks(view, place + 1)
        else:
            raise DecodeError(f"is a damaged GIF: it has a block of kind {mark}")
    if not colours:
        raise DecodeError("is a GIF without a picture, or without colours")
    return colours


def _sub_blocks(view: memoryview, place: int) -> int:
    """Where the sub-blocks that begin at `place` end."""
    while size := _bytes_at(view, place, 1, "GIF")[0]:
        place += 1 + size
    return place + 1


_WEBP_FLAGS = {b"ICCP": 0x20, b"ALPH": 0x10, b"EXIF": 0x08, b"XMP ": 0x04, b"ANIM": 0x02}


def check_webp(data: Bytes) -> None:
    """The chunks fill the container, and the container the file."""
    view = memoryview(data)
    size = struct.unpack_from("<I", _bytes_at(view, 0, 12, "WebP"), 4)[0]
    if size + 8 != len(view):
        raise DecodeError(f"is a damaged WebP: it says {size + 8:,} bytes, and has {len(view):,}")
    names = []
    flags, place = 0, 12
    while place < len(view):
        name, length = struct.unpack("<4sI", _bytes_at(view, place, 8, "WebP"))
        _bytes_at(view, place + 8, length + length % 2, "WebP")
        if name == b"VP8X":
            flags = view[place + 8]
        names.append(name)
        place += 8 + length + length % 2
    known = {b"VP8X", b"VP8 ", b"VP8L", b"ANMF", *_WEBP_FLAGS}
    if names[0] not in (b"VP8X", b"VP8 ", b"VP8L") or any(name not in known for name in names):
        raise DecodeError("is a damaged WebP: it has a chunk of no known kind")
    often = {name for name in names if names.count(name) > 1} - {b"ANMF"}
    if often or (names[0] != b"VP8X" and len(names) > 1):
        raise DecodeError("is a damaged WebP: a chunk is there twice")
    for name, flag in _WEBP_FLAGS.items():
        # A lossless picture has its opacity in itself, and an animation in its frames.
        agrees = bool(flags & flag) if name in names else not flags & flag or name == b"ALPH"
        if not agrees:
            raise DecodeError(f"is a damaged WebP: its header and its {name.decode().strip()} chunk disagree")


def webp_size(data: Bytes) -> tuple[int, int]:
    """Width and height of the canvas, as the first chunk says."""
    head = bytes(_bytes_at(memoryview(data), 0, 30, "WebP"))
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise DecodeError(f"is a damaged WebP: it begins with a chunk called {kind!r}")


def check_bmp(data: Bytes) -> int:
    """The rows fill what follows the header; how many colours the palette has, 0 where there is none."""
    view = memoryview(data)
    start = 14 if bytes(view[:2]) == b"BM" else 0
    offset = struct.unpack_from("<I", _bytes_at(view, 0, 14, "BMP"), 10)[0] if start else 0
    (size,) = struct.unpack("<I", _bytes_at(view, start, 4, "BMP"))
    if size == 12:
        width, height, planes, bits = struct.unpack("<HHHH", _bytes_at(view, start + 4, 8, "BMP"))
        packing, colours, entry = 0, 0, 3
    else:
        width, height, planes, bits, packing, _, _, _, colours = struct.unpack(
            "<iiHHIIiiI", _bytes_at(view, start + 4, 32, "BMP")
        )
        entry = 4
    height = abs(height)
    if width <= 0 or not height or planes != 1:
        raise DecodeError(f"is a damaged BMP of {width} x {height} pixels in {planes} planes")
    if bits > 8 and colours and not start:
        raise DecodeError("is a DIB in true colours with a palette, behind which its rows are not found")
    most = 1 << bits if bits <= 8 else 0
    colours = (colours or most) if most else 0
    if colours > most:
        raise DecodeError(f"is a damaged BMP: {colours} colours of {bits} bits")
    rows = start + size + entry * colours
    if start and offset < rows:
        raise DecodeError("is a damaged BMP: its rows begin within its header")
    offset = offset or rows
    if packing in (1, 2):
        if bits != (8, 4)[packing - 1]:
            raise DecodeError(f"is a damaged BMP: its runs are not of {bits} bits")
        _check_runs(view[offset:], width, height, half=packing == 2)
    else:
        _whole_rows(view, offset, height * (-(-width * bits // 32) * 4), "BMP")
    return colours


def _whole_rows(view: memoryview, offset: int, size: int, kind: str) -> None:
    missing = offset + size - len(view)
    if missing > 0:
        raise CutOffError(f"is cut off: {missing:,} bytes of the {kind} are missing", missing, min(1, missing / size))


def _check_runs(view: memoryview, width: int, height: int, half: bool) -> None:
    """Runs that fill each row, but where the file jumps, to the mark of the end."""
    place, x, y, jumped = 0, 0, 0, False
    while True:
        count, value = _bytes_at(view, place, 2, "BMP")
        place += 2
        if count or value > 2:
            x += count or value
            place += 0 if count else -(-(-(-value // 2) if half else value) // 2) * 2
            if x > width or y >= height:
                raise DecodeError("is a damaged BMP: a run goes over the end of its row")
        elif value == 2:
            right, up = _bytes_at(view, place, 2, "BMP")
            x, y, place, jumped = x + right, y + up, place + 2, True
        else:
            if x != width and not jumped and not (x == 0 and y == height):
                raise DecodeError("is a damaged BMP: a row is not full")
            x, y = 0, y + (x > 0 or value == 0)
            if value == 1:
                break
    if y < height and not jumped:
        raise DecodeError("is a damaged BMP: rows are missing")


def largest_in_icon(data: Bytes) -> Bytes:
    """The largest picture of an icon, of the deepest colours: a PNG file, or an icon of this one bitmap alone.

    The headers of all pictures are checked. How deep the colours are, each picture says itself: Pillow believes the
    list, so that of the bitmap alone says the same.
    """
    view = memoryview(data)
    (count,) = struct.unpack_from("<H", _bytes_at(view, 0, 6, "ICO"), 4)
    best: tuple[tuple[int, int], memoryview] | None = None
    for i in range(count):
        width, height, _, reserved, size, place = struct.unpack("<BBBB4xII", _bytes_at(view, 6 + 16 * i, 16, "ICO"))
        entry = _bytes_at(view, place, size, "ICO")
        *found, bits = _size_of_entry(entry)
        if reserved or found != [width or 256, height or 256]:
            raise DecodeError("is a damaged icon: a picture is not what the list of them says")
        rank = (found[0] * found[1], bits)
        if best is None or rank > best[0]:
            best = rank, entry
    if best is None:
        raise DecodeError("is an icon without a picture")
    entry = best[1]
    if bytes(entry[:8]) == png.SIGNATURE:
        return entry
    width, height, bits, _ = _check_entry(entry)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, width % 256, height % 256, 0, 0, 1, bits, len(entry), 22) + entry


def _size_of_entry(entry: memoryview) -> tuple[int, int, int]:
    """Width, height and bits a pixel of a picture that fills its part of the file."""
    if bytes(entry[:8]) != png.SIGNATURE:
        width, height, bits, _ = _check_entry(entry)
        return width, height, bits
    png.head(entry, accept_cut=False)
    if not bytes(entry).endswith(png.END):
        raise DecodeError("is a damaged icon: a picture does not end where it says")
    header = png.header_of(entry)
    return header.width, header.height, header.bits


def _check_entry(entry: memoryview) -> tuple[int, int, int, int]:
    """The rows of a bitmap, and those of its mask, fill their part of the file; width, height, bits a pixel, and how
    many colours it has.
    """
    size, width, height, planes, bits, packing = struct.unpack_from("<IiiHHI", _bytes_at(entry, 0, 40, "ICO"))
    colours, important = struct.unpack_from("<II", entry, 32)
    colours = colours or (1 << bits if bits <= 8 else 0)
    rows = -(-width * bits // 32) * 4 + -(-width // 32) * 4
    if (size, planes, packing, important, height % 2) != (40, 1, 0, 0, 0) or bits not in (1, 4, 8, 24, 32):
        raise DecodeError("is a damaged icon: a picture has a broken header")
    if (bits <= 8 and colours > 1 << bits) or size + 4 * colours + rows * (height // 2) != len(entry):
        raise DecodeError("is a damaged icon: a picture does not end where it says")
    return width, height // 2, bits, colours


def check_ico(data: Bytes) -> int:
    """An icon as `largest_in_icon` makes it: how many colours its bitmap has."""
    return _check_entry(memoryview(data)[22:])[3]


def check_pnm(data: Bytes) -> None:
    """The raster of a binary PBM, PGM or PPM file is as long, and its values are as high, as its header allows."""
    head = bytes(data[:1000])
    match = _BITMAP.match(head) or _PIXMAP.match(head)
    if match is None and head[1:2] in b"456":
        raise DecodeError("is a PNM with a broken header")
    if match is None:  # in plain text
        return
    width, height, *top = (int(number) for number in match.groups())
    row = width * (3 if head[:2] == b"P6" else 1) * (2 if top[0] > 255 else 1) if top else -(-width // 8)
    _whole_rows(memoryview(data), match.end(), row * height, "PNM")
    if len(data) > match.end() + row * height:
        raise DecodeError("is a damaged PNM: bytes follow its last row")
    if top and np.frombuffer(data, ">u2" if top[0] > 255 else "u1", offset=match.end()).max(initial=0) > top[0]:
        raise DecodeError(f"is a damaged PNM: a value is higher than {top[0]}, the highest that its header allows")


_NUMBER = rb"(?:[ \t\n\r]|#[^\n\r]*[\n\r])+(\d+)"
_BITMAP = re.compile(rb"P4" + 2 * _NUMBER + rb"\s")
_PIXMAP = re.compile(rb"P[56]" + 3 * _NUMBER + rb"\s")


def check_jpeg2000(data: Bytes) -> None:
    """The boxes fill the file; the codestream has a main header, whole tile parts, and an end."""
    view = memoryview(data)
    place, end = 0, len(view)
    if bytes(view[:4]) != b"\xff\x4f\xff\x51":
        place, end = _codestream(view)
    _check_components(view, place)
    place += 2
    while (mark := _marker(view, place)) != 0xFFD9:
        if mark == 0xFF90:  # a tile part, as long as it says; 0: to the end
            length = struct.unpack(">I", _bytes_at(view, place + 6, 4, "JPEG 2000"))[0]
            place = place + length if length else end - 2
            if length and length < 14:
                raise DecodeError("is a damaged JPEG 2000: a tile part has no length")
        else:
            if mark == 0xFF52 and _bytes_at(view, place, 13, "JPEG 2000")[12] & 0x30:
                raise DecodeError("is a JPEG 2000 with marks of termination, of which the decoder only warns")
            place += 2 + struct.unpack(">H", _bytes_at(view, place + 2, 2, "JPEG 2000"))[0]
    if place + 2 != end:
        raise DecodeError("is a damaged JPEG 2000: its codestream does not end where it says")


def _check_components(view: memoryview, place: int) -> None:
    mark, _, _, *numbers, count = struct.unpack(">HHH8IH", _bytes_at(view, place + 2, 40, "JPEG 2000"))
    width, height, left, top, wide, tall, _, _ = numbers
    components = bytes(_bytes_at(view, place + 42, 3 * count, "JPEG 2000"))
    depths, steps = set(components[::3]), [components[i + 1 : i + 3] for i in range(0, 3 * count, 3)]
    if mark != 0xFF51 or not left < width or not top < height or not 0 < wide < 1 << 31 or not 0 < tall < 1 << 31:
        raise DecodeError("is a damaged JPEG 2000: its header is broken")
    if len(depths) != 1:
        raise DecodeError("is a JPEG 2000 whose components have different depths, which is not read")
    if steps[0] != b"\1\1" or len({*steps[1:3]}) > 1 or not set(b"".join(steps)) <= {1, 2}:
        raise DecodeError("is a JPEG 2000 whose components are sampled in a way that is not read")


def _marker(view: memoryview, place: int) -> int:
    mark: int = struct.unpack(">H", _bytes_at(view, place, 2, "JPEG 2000"))[0]
    if mark < 0xFF00:
        raise DecodeError("is a damaged JPEG 2000: a tile part does not end where it says")
    return mark


def _codestream(view: memoryview) -> tuple[int, int]:
    """Where the codestream begins and ends among the boxes."""
    place, found = 0, None
    while place < len(view):
        size, name = struct.unpack(">I4s", _bytes_at(view, place, 8, "JPEG 2000"))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", _bytes_at(view, place + 8, 8, "JPEG 2000"))[0], 16
        size = size or len(view) - place
        if size < head:
            raise DecodeError("is a damaged JPEG 2000: a box has no length")
        _bytes_at(view, place, size, "JPEG 2000")
        if name == b"jp2c":
            found = found or (place + head, place + size)
        place += size
    if found is None:
        raise DecodeError("is a JPEG 2000 without a codestream")
    return found


def _bytes_at(view: memoryview, place: int, size: int, kind: str) -> memoryview:
    part = view[place : place + size]
    if len(part) < size:
        raise CutOffError(f"is cut off: the {kind} goes on behind its {len(view):,} bytes")
    return part


CHECKS: dict[str, Callable[[Bytes], int | None]] = {
    "GIF": check_gif,
    "WEBP": check_webp,
    "BMP": check_bmp,
    "DIB": check_bmp,
    "ICO": check_ico,
    "PPM": check_pnm,
    "JPEG2000": check_jpeg2000,
}
