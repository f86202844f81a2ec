"""Damaged files of every format that is accepted: what is accepted must be what the format's reference reader reads.

`python -m onewarp.benchmarks.mutations`: seeded mutations of drawn pictures (bytes flipped, files cut, segments
repeated or left out, numbers changed, PNG chunks damaged under checksums that are right again) are decoded and held
against the format's own reader. A case is wrong where we accept what that reader refuses or warns of, or where a pixel
differs by more than 2 grey levels before it is resized. That we refuse more is right.
"""

import random
import struct
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ..errors import DecodeError, UsageError
from ..transforms.decoding.decode import decode_pixels
from . import references
from .originals import originals, png_of

TOLERANCE = 2  # grey levels


@dataclass
class Row:
    """What became of the cases of one kind of file; `wrong` says of each wrong one what is."""

    kind: str
    cases: int = 0
    accepted: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)


def study(count: int, seed: int, only: str = "", keep: Path | None = None) -> list[Row]:
    """So many cases of all kinds of files together, or of those whose name has `only` in it; a row for each kind.

    Wrong cases are written to the folder `keep`.
    """
    chosen = {kind: original for kind, original in originals().items() if only in kind}
    if not chosen:
        raise UsageError(f"only must be a part of one of {', '.join(originals())}, but got {only!r}")
    with ThreadPoolExecutor() as pool:  # most of the time goes to the commands of the reference readers
        return [
            _row(pool, kind, reader, list(_cases(data, -(-count // len(chosen)), f"{seed} {kind}")), keep)
            for kind, (reader, data) in chosen.items()
        ]


def judge(reader: str, data: bytes) -> tuple[str, str]:
    """`accepted`, `refused` or `wrong`, and why."""
    try:
        pixels = decode_pixels(data).pixels
    except DecodeError as error:
        return "refused", str(error)
    try:
        expected = _on_white(references.READERS[reader](data))
    except references.RefusalError as error:
        return "wrong", f"its reader refuses it: {error}"
    if pixels.shape != expected.shape:
        return "wrong", f"is {pixels.shape}, and {expected.shape} for its reader"
    most = int(np.abs(pixels.astype(int) - expected).max())
    return ("accepted", "") if most <= TOLERANCE else ("wrong", f"differs by {most} levels from its reader's pixels")


def _row(pool: ThreadPoolExecutor, kind: str, reader: str, cases: list[bytes], keep: Path | None) -> Row:
    row = Row(kind)
    for number, (verdict, why) in enumerate(pool.map(lambda case: judge(reader, case), cases)):
        row.cases += 1
        row.accepted += verdict == "accepted"
        row.refused += verdict == "refused"
        if verdict == "wrong":
            row.wrong.append(f"case {number} {why}")
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{kind.replace(' ', '_')}-{number}").write_bytes(cases[number])
    return row


def _on_white(pixels: NDArray[Any]) -> NDArray[Any]:
    """`[h, w, 3]` of 1 to 4 channels, of which the second or fourth is opacity."""
    channels = pixels.shape[2]
    colours = pixels[..., : 1 if channels < 3 else 3].astype(float)
    if channels in (2, 4):
        opacity = pixels[..., -1:] / 255
        colours = colours * opacity + 255 * (1 - opacity)
    return np.round(np.broadcast_to(colours, (*pixels.shape[:2], 3)))


def _cases(data: bytes, count: int, seed: str) -> Iterator[bytes]:
    """The whole file, and damaged copies of it."""
    yield data
    draws = random.Random(seed)
    ways: list[Callable[[bytearray, random.Random], bytes]] = [_flip, _flip, _cut, _repeat, _leave_out, _lie]
    if data.startswith(b"\x89PNG"):
        ways.append(_damage_chunk)
    for _ in range(count - 1):
        yield draws.choice(ways)(bytearray(data), draws)


def _flip(data: bytearray, draws: random.Random) -> bytes:
    for _ in range(draws.choice((1, 1, 1, 2, 8))):
        data[draws.randrange(len(data))] ^= draws.randrange(1, 256)
    return bytes(data)


def _cut(data: bytearray, draws: random.Random) -> bytes:
    return bytes(data[: draws.choice((draws.randrange(len(data)), len(data) - draws.randint(1, min(40, len(data)))))])


def _repeat(data: bytearray, draws: random.Random) -> bytes:
    begin = draws.randrange(len(data))
    return bytes(data[: begin + draws.choice((1, 4, 16, 64, 256))] + data[begin:])


def _leave_out(data: bytearray, draws: random.Random) -> bytes:
    begin = draws.randrange(len(data))
    return bytes(data[:begin] + data[begin + draws.choice((1, 2, 4, 16, 64)) :])


def _lie(data: bytearray, draws: random.Random) -> bytes:
    """A number of two or four bytes, most often in the header, becomes another one."""
    count = draws.choice((2, 4))
    place = draws.randrange(max(1, min(len(data) - count, draws.choice((64, 400, len(data))))))
    order: Any = draws.choice(("little", "big"))
    number = int.from_bytes(data[place : place + count], order)
    other = draws.choice((number + 1, number - 1, number * 2, number // 2, 0, (1 << 8 * count) - 1, number ^ 0x100))
    data[place : place + count] = (other % (1 << 8 * count)).to_bytes(count, order)
    return bytes(data)


def _damage_chunk(data: bytearray, draws: random.Random) -> bytes:
    """One chunk is damaged, or there twice, and every checksum is right."""
    chunks, place = [], 8
    while place < len(data):
        (size,) = struct.unpack_from(">I", data, place)
        chunks.append((bytes(data[place + 4 : place + 8]), bytes(data[place + 8 : place + 8 + size])))
        place += 12 + size
    chosen = draws.randrange(len(chunks))
    name, body = chunks[chosen]
    if body and draws.random() < 0.7:
        damage = draws.choice((_flip, _cut, _repeat, _leave_out, _lie))
        chunks[chosen] = (name, damage(bytearray(body), draws))
    else:
        chunks.insert(draws.randrange(len(chunks)), chunks[chosen])
    return png_of(chunks)


@click.command()
@click.option("--cases", "count", default=50_000, show_default=True, help="Of all kinds of files together.")
@click.option("--seed", default=0, show_default=True)
@click.option("--only", default="", help="Kinds of files whose name has this in it, such as 'PNG'.")
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for the wrong cases.")
def main(count: int, seed: int, only: str, keep: Path | None) -> None:
    """Damage files of every format, and hold what is accepted against the format's reference reader.

    Exits 1 where a case is wrong.
    """
    if references.missing_tools():
        raise click.UsageError(f"these commands must be installed first: {', '.join(references.missing_tools())}")
    rows = study(count, seed, only, keep)
    click.echo(f"{'format':24} {'cases':>7} {'accepted':>9} {'refused':>8} {'wrong':>6}")
    for row in rows:
        click.echo(f"{row.kind:24} {row.cases:7} {row.accepted:9} {row.refused:8} {len(row.wrong):6}")
        for why in row.wrong[:5]:
            click.echo(f"    {' '.join(why.split())[:200]}")
    sys.exit(any(row.wrong for row in rows))


if __name__ == "__main__":
    main()
