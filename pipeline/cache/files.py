"""The files of a cache: whether they are still the same, and their bytes by `preadv`."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import CacheError
from .columns import distinct
from .regular_files import open_regular

_TRUSTED = 0.1  # seconds: asking for every row would cost as much as a twentieth of copying it


class FileStates:
    """What files were when they were opened: size, time of change, inode.

    `held` says that a map keeps them as they were, wherever their names lead by now. Raises CacheError where a file is
    missing, or has another size than the cache says.
    """

    def __init__(self, paths: Sequence[Path], sizes: Sequence[int] | None = None) -> None:
        self.paths, self.held = list(paths), False
        self._states = [_state(path) for path in self.paths]
        self.sizes: NDArray[np.int64] = np.array([state[0] for state in self._states], np.int64)
        self._checked = [-_TRUSTED] * len(self.paths)
        for path, state, size in zip(self.paths, self._states, sizes or (), strict=sizes is not None):
            if state[0] != size:
                raise CacheError(
                    f"{path} has {state[0]:,} bytes, and the cache says {size:,}: run presize again, it makes anew "
                    "what is not whole"
                )

    def check(self, files: Iterable[int]) -> None:
        """Raise CacheError if one of these files is no longer what it was, a tenth of a second ago or now."""
        now = time.monotonic()
        for i in files:
            if now - self._checked[i] >= _TRUSTED:
                if not (self.held and self.is_elsewhere(i)):
                    self.refuse_another(i, _state(self.paths[i]))
                self._checked[i] = now

    def identity(self, i: int) -> tuple[int, int]:
        """The device and the inode of a file."""
        return self._states[i][2:]

    def is_elsewhere(self, i: int) -> bool:
        """Whether the name of a file leads to another one by now, or to none."""
        try:
            return _state(self.paths[i])[2:] != self.identity(i)
        except CacheError:
            return True

    def refuse_another(self, i: int, state: tuple[int, int, int, int]) -> None:
        """Raise CacheError unless this is the state of the file that was opened."""
        if state != self._states[i]:
            raise CacheError(f"{self.paths[i]} was changed while it was read: open the cache again")

    def warm_up(self) -> None:
        """Read every file from its beginning to its end."""
        buffer = bytearray(16 << 20)
        for path in self.paths:
            with suppress(CacheError), open_regular(path) as file:
                while file.raw.readinto(buffer):  # type: ignore[attr-defined]
                    pass


def _read_into(number: int, out: memoryview, offset: int) -> int:
    """Read bytes of a file from `offset` on; how many came."""
    if hasattr(os, "preadv"):
        return os.preadv(number, [out], offset)
    data = os.pread(number, len(out), offset)  # as on macOS: a copy more
    out[: len(data)] = data
    return len(data)


def state_of(status: os.stat_result) -> tuple[int, int, int, int]:
    """The size, the time of change and the identity of a file."""
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino


def _state(path: Path) -> tuple[int, int, int, int]:
    try:
        return state_of(os.stat(path))
    except OSError as error:
        seen = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise CacheError(f"{path} {seen}: it was removed, or the cache was built again") from None


class Held(Protocol):
    """Files that stay what they were."""

    states: FileStates

    def get(self, file: int, offset: int, length: int) -> NDArray[np.uint8]:
        """Bytes of a file."""


class ReadFiles:
    """Bytes of files by `preadv`, with no file left open.

    From a cold disk this is about twice as fast as a map, which stops at every page that is not there. A file whose
    name leads elsewhere by now is read from the map that has `held` it, if there is one.
    """

    def __init__(self, paths: Sequence[Path], sizes: Sequence[int] | None = None, held: Held | None = None) -> None:
        self.states = FileStates(paths, sizes) if held is None else held.states
        self.sizes, self._held = self.states.sizes, held

    def confirm(self) -> None:
        """What was read was there."""

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
                    if number is None and self._held is not None:
                        np.copyto(outs[i], self._held.get(file, int(offsets[i]), len(outs[i])))
                    elif number is not None:
                        self._read(number, file, outs[i], int(offsets[i]))

    def _read(self, number: int, file: int, out: NDArray[np.uint8], offset: int) -> None:
        done, path = 0, self.states.paths[file]
        while done < len(out):  # one call reads 2 GB at most
            try:
                count = _read_into(number, out[done:].data, offset + done)
            except OSError as error:
                raise CacheError(f"{path} cannot be read at byte {offset + done} ({error.strerror})") from error
            if count == 0:
                raise CacheError(f"{path} ends {len(out) - done} bytes too early: it was changed while it was read")
            done += count

    @contextmanager
    def _opened(self, file: int) -> Iterator[int | None]:
        """The file's descriptor; None where a map holds it and its name leads elsewhere by now."""
        path = self.states.paths[file]
        try:
            number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            if self._held is None or not self.states.is_elsewhere(file):
                raise CacheError(f"{path} cannot be opened ({error.strerror}): open the cache again") from None
            yield None
            return
        try:
            try:
                moved = self._held is not None and state_of(os.fstat(number))[2:] != self.states.identity(file)
                yield None if moved else number
            finally:
                os.close(number)
        except OSError as error:
            raise CacheError(f"{path} cannot be read ({error.strerror})") from None

    def warm_up(self) -> None:
        """Read all files once."""
        self.states.warm_up()

    def expect(self, files: NDArray[np.int64], offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Ask the system to read these ranges ahead."""
        for file in distinct(files):
            with self._opened(file) as number:
                if number is not None and hasattr(os, "posix_fadvise"):
                    for i in np.flatnonzero(files == file).tolist():
                        with suppress(OSError):  # advice alone: whether they can be read will be seen
                            os.posix_fadvise(number, int(offsets[i]), int(lengths[i]), os.POSIX_FADV_WILLNEED)
