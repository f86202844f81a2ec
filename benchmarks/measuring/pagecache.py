"""The page cache put into a stated state: its history alone moves any reader by a factor of two.

- `sequential`: dropped, then every file read from its beginning to its end (the system makes large pages);
- `scattered`: dropped, then read in 64 kB pieces in random order (small pages all over the memory);
- `written`: as it is when the files were just written;
- `dropped`: nothing in it.
"""

import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

State = Literal["sequential", "scattered", "written", "dropped"]
STATES: tuple[State, ...] = get_args(State)

_PIECE = 64 << 10


def put(files: Iterable[Path], state: State) -> None:
    """Put the pages of `files` into `state`; no process may have them mapped."""
    paths = sorted(files)
    if state == "written":
        for path in paths:
            _rewrite(path)
        return
    for path in paths:
        _drop(path)
    if state == "sequential":
        for path in paths:
            _read(path, range(0, path.stat().st_size, 16 << 20), 16 << 20)
    elif state == "scattered":
        pieces = [(path, start) for path in paths for start in range(0, path.stat().st_size, _PIECE)]
        random.Random(0).shuffle(pieces)
        _read_scattered(pieces)


def _rewrite(path: Path) -> None:
    aside = path.with_name(path.name + ".new")
    aside.write_bytes(path.read_bytes())
    os.replace(aside, path)


def _drop(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    os.fsync(number)
    os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(number)


def _read(path: Path, starts: Iterable[int], length: int) -> None:
    number = os.open(path, os.O_RDONLY)
    for start in starts:
        os.pread(number, length, start)
    os.close(number)


def _read_scattered(pieces: list[tuple[Path, int]]) -> None:
    numbers: dict[Path, int] = {}
    for path, start in pieces:
        if path not in numbers:
            if len(numbers) == 256:
                os.close(numbers.pop(next(iter(numbers))))
            numbers[path] = os.open(path, os.O_RDONLY)
            os.posix_fadvise(numbers[path], 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(numbers[path], _PIECE, start)
    for number in numbers.values():
        os.close(number)
