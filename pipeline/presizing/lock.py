"""One writer at a time: a lock on a cache, which ends with its process, and for which other processes wait.

The lock is a file that its holder keeps locked (`flock`), and in which its host, its process and a count that goes up
every few seconds stand. Within one machine `flock` alone tells a dead holder from a living one, at once. On a shared
file system a lock may not reach other machines, and some file systems, and systems other than Linux and macOS, have
none: there a holder counts as living as long as its count goes up. No clock is compared with another's.
"""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Thread
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not a POSIX system: the count alone tells
    fcntl = None

LOCK = ".lock"
_BEAT, _POLL, _REPEAT = 5.0, 0.25, 60.0  # seconds between counts, between looks, and between lines while waiting
_SILENCE = 60.0  # seconds without a count after which a holder elsewhere counts as dead: some file servers cache for 30


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: host, process, `machine` (the same for all processes that share its locks), since when."""

    host: str
    process: int
    machine: str
    since: float
    count: int = 0

    @classmethod
    def this_process(cls) -> "Holder":
        """This process as a holder, from now on."""
        return cls(socket.gethostname(), os.getpid(), _machine(), time.time())

    @property
    def name(self) -> str:
        """The process and its host."""
        return f"process {self.process} on {self.host}"

    @property
    def seconds(self) -> float:
        """For how many seconds the holder has had the lock, as far as the clocks of machines agree."""
        return max(0.0, time.time() - self.since)


@contextmanager
def write_lock(folder: Path, say: Callable[[str], None], silence: float = _SILENCE) -> Iterator[None]:
    """Hold the lock of the cache in `folder`; wait while another process holds it, and `say` which one.

    A holder that this process cannot ask, as on another machine, counts as dead after `silence` seconds without a sign.
    """
    path, me, done = folder / LOCK, Holder.this_process(), Event()
    descriptor = _acquire(path, me, say, silence)
    beat = Thread(target=_keep_counting, args=(descriptor, me, done), name="onewarp-lock", daemon=True)
    try:
        beat.start()
        yield
    finally:
        done.set()
        beat.join()
        _release(path, descriptor, me)


def _acquire(path: Path, me: Holder, say: Callable[[str], None], silence: float) -> int:
    """The descriptor of the lock file, in which `me` is written now."""
    wait = _Wait(say, silence)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if wait.is_over(descriptor) and _is_file(path, descriptor) and _take(descriptor, me):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # held, or just removed by the one who held it
        time.sleep(_POLL)


class _Wait:
    """Watches a lock file: whether its holder is gone, and what to say until then."""

    def __init__(self, say: Callable[[str], None], silence: float) -> None:
        self._say, self._silence = say, silence
        self._holder: Holder | None = None
        self._last_sign = time.monotonic()
        self._last_message = -_REPEAT

    def is_over(self, descriptor: int) -> bool:
        """Whether nobody holds the lock any more; then this process has locked the file, where files can be locked."""
        locked, holder, now = _lock(descriptor), _read(descriptor), time.monotonic()
        if holder != self._holder:
            self._holder, self._last_sign = holder, now
        if holder is None:
            return locked is not False
        if locked and holder.machine == _machine():
            return True
        if locked is not False and now - self._last_sign > self._silence:
            self._say(f"there has been no sign of {holder.name} for {self._silence:.0f} s: going on from what it left")
            return True
        if now - self._last_message >= _REPEAT:
            self._last_message = now
            self._say(f"waiting for {holder.name}, which has been writing the cache for {holder.seconds:.0f} s")
        return False


def _take(descriptor: int, me: Holder) -> bool:
    """Write `me` into the file; false where another process did so at the same moment."""
    _write(descriptor, me)
    if _lock(descriptor) is None:
        time.sleep(4 * _POLL)
    return _read(descriptor) == me


def _release(path: Path, descriptor: int, me: Holder) -> None:
    holder = _read(descriptor)
    if holder is None or replace(holder, count=me.count) == me:  # else another process has taken the lock over
        path.unlink(missing_ok=True)
    os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Whether the file is locked by this process now; None where the system cannot lock it at all."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _keep_counting(descriptor: int, me: Holder, done: Event) -> None:
    while not done.wait(_BEAT):
        me = replace(me, count=me.count + 1)
        try:
            _write(descriptor, me)
        except OSError:  # the disk is full or gone: the writer of the cache fails too, and reports it
            return


def _write(descriptor: int, holder: Holder) -> None:
    os.pwrite(descriptor, json.dumps(asdict(holder)).encode().ljust(512), 0)  # in one piece, over the one before
    os.fsync(descriptor)


def _read(descriptor: int) -> Holder | None:
    """The holder in the lock file; None where there is none that can be read."""
    try:
        return Holder(**json.loads(os.pread(descriptor, 512, 0)))
    except (ValueError, TypeError):
        return None


def _machine() -> str:
    """An identifier of the running system: that of its boot, or the host name where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


def _is_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
