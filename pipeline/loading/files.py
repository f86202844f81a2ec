"""The files of a cache: whether they are still the same, and their bytes by `preadv`."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import CacheError
from .columns import distinct

_TRUSTED = 0.1  # seconds: asking for every row would cost as much as a twentieth of copying it


class FileStates:
    """What files were when they were opened: size, time of change, inode.

    Raises CacheError where a file is missing, or has another size than the cache's index says.
    """

    def __init__(self, paths: Sequence[Path], sizes: Sequence[int] | None = None) -> None:
        self.paths = list(paths)
        self._states = [_state(path) for path in self.paths]
        self.sizes: NDArray[np.int64] = np.array([state[0] for state in self._states], np.int64)
        self._checked = [-_TRUSTED] * len(self.paths)
        for path, state, size in zip(self.paths, self._states, sizes or (), strict=sizes is not None):
            if state[0] != size:
                raise CacheError(f"{path} must have {size} bytes as in the index, but has {state[0]}: build it again")

    def check(self, files: Iterable[int]) -> None:
        """Raise CacheError if one of these files is no longer the one that it was, a tenth of a second ago or now."""
        now = time.monotonic()
        for i in files:
            if now - self._checked[i] >= _TRUSTED:
                if _state(self.paths[i]) != self._states[i]:
                    raise CacheError(f"{self.paths[i]} was changed while it was read: open the cache again")
                self._checked[i] = now

    def warm_up(self) -> None:
        """Read every file from its beginning to its end."""
        buffer = bytearray(16 << 20)
        for path in self.paths:
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass


def _state(path: Path) -> tuple[int, int, int, int]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise _missing(path) from None
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino


def _missing(path: Path) -> CacheError:
    return CacheError(f"{path} is missing: it was removed, or the cache was built again")


class ReadFiles:
    """Bytes of files by `preadv`, with nothing mapped and no file left open.

    From a cold disk this is about twice as fast as a map, which stops at every page that is not there.
    """

    def __init__(self, paths: Sequence[Path], sizes: Sequence[int] | None = None) -> None:
        self.states = FileStates(paths, sizes)
        self.sizes = self.states.sizes

    def get(self, file: int, offset: int, length: int) -> NDArray[np.uint8]:
        """These bytes, `uint8[length]`."""
        out = np.empty(length, np.uint8)
        self.fill([out], np.array([file]), np.array([offset]))
        return out

    def fill(self, outs: Sequence[NDArray[np.uint8]], files: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        """Read bytes from these places into each of `outs` `uint8[length]`; each file is opened once."""
        for file in distinct(files):
            with self._opened(file) as number:
                for i in np.flatnonzero(files == file).tolist():
                    self._read(number, file, outs[i], int(offsets[i]))

    def _read(self, number: int, file: int, out: NDArray[np.uint8], offset: int) -> None:
        done = 0
        while done < len(out):  # one call reads 2 GB at most
            count = os.preadv(number, [out[done:].data], offset + done)
            if count == 0:
                path = self.states.paths[file]
                raise CacheError(f"{path} ends {len(out) - done} bytes too early: it was changed while it was read")
            done += count

    @contextmanager
    def _opened(self, file: int) -> Iterator[int]:
        try:
            number = os.open(self.states.paths[file], os.O_RDONLY)
        except FileNotFoundError:
            raise _missing(self.states.paths[file]) from None
        try:
            yield number
        finally:
            os.close(number)

    def warm_up(self) -> None:
        """Read all files once."""
        self.states.warm_up()

    def expect(self, files: NDArray[np.int64], offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Ask the system to read these ranges ahead."""
        for file in distinct(files):
            with self._opened(file) as number:
                for i in np.flatnonzero(files == file).tolist():
                    os.posix_fadvise(number, int(offsets[i]), int(lengths[i]), os.POSIX_FADV_WILLNEED)
