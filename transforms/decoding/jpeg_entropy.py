"""Whether the Huffman codes of a baseline JPEG are whole: for the few whose subsampling simplejpeg does not know.

Pillow decodes them and drops libjpeg's warnings, so the codes are walked here as ITU-T T.81, annex F, says, without
making coefficients of them: some ten microseconds a block.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...errors import DecodeError

Bytes = bytes | bytearray | memoryview


class _Component(NamedTuple):
    across: int
    down: int


class _Table(NamedTuple):
    """Of the next 16 bits: how many a code takes with what follows it (0: there is none), and how far it moves on."""

    bits: list[int]
    steps: list[int]


def check(data: Bytes, tick: Callable[[], None]) -> None:
    """Walk over every code of a file. `tick` is called for each row of blocks, and may raise.

    Raises `DecodeError` where one is damaged, and for files that are not baseline or have no known structure.
    """
    frame: tuple[int, int, dict[int, _Component]] | None = None
    tables: dict[int, _Table] = {}
    interval, scanned, view = 0, set[int](), bytes(data)
    for mark, body, place in _segments(view):
        if mark in (0xC0, 0xC1):
            frame = _frame(body)
        elif mark in (0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xD0)) and mark != 0xCC:
            raise DecodeError(
                "is a JPEG with an unusual chroma subsampling, and not baseline: its codes are not checked"
            )
        elif mark == 0xE0 and body[:5] == b"JFIF\0" and body[5:6] not in (b"\1", b"\2"):
            raise DecodeError("is a damaged JPEG: its version of JFIF is not known")
        elif mark == 0xC4:
            tables |= _tables(body)
        elif mark == 0xDD:
            interval = int.from_bytes(body, "big")
        elif mark == 0xDA:
            if frame is None:
                raise DecodeError("is a damaged JPEG: it has a scan before its header")
            blocks, rows, chosen = _scan(body, frame, tables)
            _walk(list(_codes(view, place)), blocks, rows, interval, tick)
            scanned |= chosen
    if frame is None or scanned != set(frame[2]):
        raise DecodeError("is a damaged JPEG: components are missing")


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Each marker with its body, and where the codes behind it begin."""
    place = 2
    while True:
        if data[place : place + 1] != b"\xff" or place + 2 > len(data):
            raise DecodeError("is a damaged JPEG: bytes stand between its segments")
        while data[place + 1 : place + 2] == b"\xff":
            place += 1
        mark = data[place + 1] if place + 1 < len(data) else 0
        if mark == 0xD9:
            return
        if place + 4 > len(data):
            raise DecodeError("is a damaged JPEG: it is cut off")
        (size,) = struct.unpack_from(">H", data, place + 2)
        if size < 2 or place + 2 + size > len(data):
            raise DecodeError("is a damaged JPEG: it is cut off")
        body = data[place + 4 : place + 2 + size]
        place += 2 + size
        yield mark, body, place
        if mark == 0xDA:
            place = _end_of_codes(data, place)


def _end_of_codes(data: bytes, place: int) -> int:
    while True:
        place = data.find(b"\xff", place)
        if place < 0 or place + 1 >= len(data):
            raise DecodeError("is a damaged JPEG: it is cut off")
        if data[place + 1] not in (0, *range(0xD0, 0xD8)):
            return place
        place += 2


def _codes(data: bytes, place: int) -> Iterator[bytes]:
    """The codes between restarts, without the zeros behind 255; the restarts count from 0 to 7."""
    end, number = _end_of_codes(data, place), 0
    while place < end:
        mark = place
        while (mark := data.find(b"\xff", mark, end)) >= 0 and data[mark + 1] == 0:
            mark += 2
        stop = end if mark < 0 else mark
        yield data[place:stop].replace(b"\xff\0", b"\xff")
        if mark >= 0 and data[mark + 1] != 0xD0 + number % 8:
            raise DecodeError("is a damaged JPEG: a restart is missing")
        place, number = stop + 2, number + 1


def _frame(body: bytes) -> tuple[int, int, dict[int, _Component]]:
    depth, height, width, count = struct.unpack(">BHHB", body[:6].ljust(6, b"\0"))
    if depth != 8 or not height or not width or len(body) != 6 + 3 * count:
        raise DecodeError("is a damaged JPEG: its header is broken")
    found = {body[i]: _Component(body[i + 1] >> 4, body[i + 1] & 15) for i in range(6, len(body), 3)}
    if any(not 0 < factor < 5 for component in found.values() for factor in component):
        raise DecodeError("is a damaged JPEG: its header is broken")
    return height, width, found


def _tables(body: bytes) -> dict[int, _Table]:
    """By class and number: 0x00 to 0x03 for DC, 0x10 to 0x13 for AC."""
    found, place = {}, 0
    while place < len(body):
        name, counts = body[place], body[place + 1 : place + 17]
        symbols = body[place + 17 : place + 17 + sum(counts)]
        place += 17 + sum(counts)
        bits, steps = [0] * 65536, [0] * 65536
        code = taken = 0
        for length, count in enumerate(counts, 1):
            for symbol in symbols[taken : taken + count]:
                begin, span = code << (16 - length), 1 << (16 - length)
                if begin + span > 65536:
                    raise DecodeError("is a damaged JPEG: a table has more codes than there are")
                run, size = (0, symbol) if name < 16 else (symbol >> 4, symbol & 15)
                step = 16 if symbol == 0xF0 else 64 if size == 0 else run + 1
                bits[begin : begin + span], steps[begin : begin + span] = [length + size] * span, [step] * span
                code += 1
            taken += count
            code <<= 1
        found[name] = _Table(bits, steps)
    return found


def _scan(
    body: bytes, frame: tuple[int, int, dict[int, _Component]], tables: dict[int, _Table]
) -> tuple[list[tuple[_Table, _Table]], tuple[int, int], set[int]]:
    """The tables of each block of a unit, how many rows of how many units there are, and the scan's components."""
    height, width, components = frame
    try:
        chosen = {body[1 + 2 * i]: body[2 + 2 * i] for i in range(body[0])}
        pairs = {name: (tables[pair >> 4], tables[0x10 | (pair & 15)]) for name, pair in chosen.items()}
        parts = {name: components[name] for name in chosen}
    except (IndexError, KeyError):
        raise DecodeError("is a damaged JPEG: a scan asks for what there is not") from None
    across, down = (max(part[i] for part in components.values()) for i in (0, 1))
    if len(parts) == 1:
        (name, part), *_ = parts.items()
        wide, tall = -(-width * part.across // across), -(-height * part.down // down)
        return [pairs[name]], (-(-tall // 8), -(-wide // 8)), set(parts)
    blocks = [pairs[name] for name, part in parts.items() for _ in range(part.across * part.down)]
    return blocks, (-(-height // (8 * down)), -(-width // (8 * across))), set(parts)


def _walk(
    codes: list[bytes],
    blocks: list[tuple[_Table, _Table]],
    rows: tuple[int, int],
    interval: int,
    tick: Callable[[], None],
) -> None:
    units = rows[0] * rows[1]
    interval = interval or units
    if len(codes) != -(-units // interval):
        raise DecodeError("is a damaged JPEG: it has restarts where none belong, or lacks some")
    for number, segment in enumerate(codes):
        place, padded = 0, segment + bytes(8)
        for unit in range(min(interval, units - number * interval)):
            if unit % rows[1] == 0:
                tick()
            for dc, ac in blocks:
                place = _block(padded, place, dc, ac)
            if place > 8 * len(segment):
                raise DecodeError("is a damaged JPEG: premature end of its codes")
        if 8 * len(segment) - place >= 8:
            raise DecodeError("is a damaged JPEG: bytes follow its codes")


def _block(data: bytes, place: int, dc: _Table, ac: _Table) -> int:
    """Where a block ends that begins at the bit `place`."""
    step, table = 0, dc
    while step < 64:
        byte = place >> 3
        if byte + 3 > len(data):
            raise DecodeError("is a damaged JPEG: premature end of its codes")
        window = (data[byte] << 16 | data[byte + 1] << 8 | data[byte + 2]) >> (8 - (place & 7)) & 0xFFFF
        taken = table.bits[window]
        if not taken:
            raise DecodeError("is a damaged JPEG: it has a code that its table has not")
        place += taken
        step += 1 if table is dc and not step else table.steps[window]
        table = ac
    return place
