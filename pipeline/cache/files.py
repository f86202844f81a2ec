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

_RECHECK = 0.1  # seconds between two checks of a file: a check for every row would cost a twentieth of copying it


class FileStates:
    """What files were when they were opened: size, time of change, inode.

    `is_mapped` says that a map holds the files, so that a name which leads to another file by now does no harm. Raises
    CacheError where a file is missing, or has another size than the cache says.
    """

    def __init__(self, paths: Sequence[Path], sizes: Sequence[int] | None = None) -> None:
        self.paths, self.is_mapped = list(paths), False
        self._states = [_state(path) for path in self.paths]
        self.sizes: NDArray[np.int64] = np.array([state[0] for state in self._states], np.int64)
        self._check_times = [-_RECHECK] * len(self.paths)
        for path, state, size in zip(self.paths, self._states, sizes or (), strict=sizes is not None):
            if state[0] != size:
                raise CacheError(
                    f"{path} has {state[0]:,} bytes, and the cache says {size:,}: run presize again, it makes anew "
                    "what is not whole"
                )

    def check(self, files: Iterable[int]) -> None:
        """Raise CacheError if one of these files was changed; a file is looked at every tenth of a second at most."""
        now = time.monotonic()
        for i in files:
            if now - self._check_times[i] >= _RECHECK:
                self._check(i)
                self._check_times[i] = now

    def _check(self, i: int) -> None:
        """Look at a file once: between two looks another cache may take its place."""
        try:
            state = _state(self.paths[i])
        except CacheError:
            if self.is_mapped:
                return
            raise
        if not self.is_mapped or state[2:] == self.identity(i):
            self.refuse_another(i, state)

    def identity(self, i: int) -> tuple[int, int]:
        """The device and the inode of a file."""
        return self._states[i][2:]

    def is_elsewhere(self, i: int) -> bool:
        """Whether the name of a file now leads to another file, or to none."""
        try:
            return _state(self.paths[i])[2:] != self.identity(i)
        except CacheError:
            return True

    def refuse_another(self, i: int, state: tuple[int, int, int, int]) -> None:
        """Raise CacheError unless `state` is that of the file that was opened."""
        if state != self._states[i]:
            raise CacheError(f"{self.paths[i]} was changed while it was read: open the cache again")

    def warm_up(self) -> None:
        """Read every file from its beginning to its end."""
        buffer = bytearray(16 << 20)
        for path in self.paths:
            with suppress(CacheError), open_regular(path) as file:
                while file.raw.readinto(buffer):  # type: ignore[attr-defined]
                    pass


def _read_into(descriptor: int, out: memoryview, offset: int) -> int:
    """Read bytes of a file from `offset` on into `out`; returns how many were read."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [out], offset)
    data = os.pread(descriptor, len(out), offset)  # without preadv, as on macOS: one copy more
    out[: len(data)] = data
    return len(data)


def state_of(status: os.stat_result) -> tuple[int, int, int, int]:
    """The size, the time of change and the identity of a file."""
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino


def _state(path: Path) -> tuple[int, int, int, int]:
    try:
        return state_of(os.stat(path))
    except OSError as error:
        problem = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise CacheError(f"{path} {problem}: it was removed, or the cache was built again") from None


class FileMap(Protocol):
    """Files that a map holds as they were."""

    states: FileStates

    def get(self, file: int, offset: int, length: int) -> NDArray[np.uint8]:
        """Bytes of a file: `uint8[length]` from `offset` on."""


class ReadFiles:
    """Bytes of files by `preadv`, with no file left open.

    From a cold disk this is about twice as fast as a map, which stops at every page that is not in memory. Where the
    name of a file now leads to another file, its bytes come from `file_map`, if there is one.
    """

    def __init__(
        self, paths: Sequence[Path], sizes: Sequence[int] | None = None, file_map: FileMap | None = None
    ) -> None:
        self.states = FileStates(paths, sizes) if file_map is None else file_map.states
        self.sizes, self._map = self.states.sizes, file_map

    def confirm(self) -> None:
        """Bytes that were read stay valid: there is nothing to confirm."""

    def get(self, file: int, offset: int, length: int) -> NDArray[np.uint8]:
        """Bytes of a file: `uint8[length]` from `offset` on."""
        out = np.empty(length, np.uint8)
        self.fill([out], np.array([file]), np.array([offset]))
        return out

    def get_all(
        self, files: NDArray[np.int64], offsets: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> list[NDArray[np.uint8]]:
        """Bytes of files, read from the places in turn; each file is opened once."""
        outs: list[NDArray[np.uint8]] = [np.empty(length, np.uint8) for length in lengths.tolist()]
        self.fill(outs, files, offsets)
        return outs

    def fill(self, outs: Sequence[NDArray[np.uint8]], files: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        """Read bytes from these places into each of `outs` `uint8[length]`; each file is opened once."""
        for file in distinct(files):
            with self._open(file) as descriptor:
                for i in np.flatnonzero(files == file).tolist():
                    if descriptor is None and self._map is not None:
                        np.copyto(outs[i], self._map.get(file, int(offsets[i]), len(outs[i])))
                    elif descriptor is not None:
                        self._read(descriptor, file, outs[i], int(offsets[i]))

    def _read(self, descriptor: int, file: int, out: NDArray[np.uint8], offset: int) -> None:
        done, path = 0, self.states.paths[file]
        while done < len(out):  # one call reads 2 GB at most
            try:
                count = _read_into(descriptor, out[done:].data, offset + done)
            except OSError as error:
                raise CacheError(f"{path} cannot be read at byte {offset + done} ({error.strerror})") from error
            if count == 0:
                raise CacheError(f"{path} ends {len(out) - done} bytes too early: it was changed while it was read")
            done += count

    @contextmanager
    def _open(self, file: int) -> Iterator[int | None]:
        """The descriptor of a file; None where a map holds the file and its name now leads to another one."""
        path = self.states.paths[file]
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            if self._map is None or not self.states.is_elsewhere(file):
                raise CacheError(f"{path} cannot be opened ({error.strerror}): open the cache again") from None
            yield None
            return
        try:
            try:
                is_other = self._map is not None and state_of(os.fstat(descriptor))[2:] != self.states.identity(file)
                yield None if is_other else descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            raise CacheError(f"{path} cannot be read ({error.strerror})") from None

    def warm_up(self) -> None:
        """Read all files once, so that they are in the page cache."""
        self.states.warm_up()

    def expect(self, files: NDArray[np.int64], offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Ask the system to read these ranges ahead."""
        for file in distinct(files):
            with self._open(file) as descriptor:
                if descriptor is not None and hasattr(os, "posix_fadvise"):
                    for i in np.flatnonzero(files == file).tolist():
                        with suppress(OSError):  # a hint alone: reading reports the error
                            os.posix_fadvise(descriptor, int(offsets[i]), int(lengths[i]), os.POSIX_FADV_WILLNEED)
