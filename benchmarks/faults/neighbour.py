"""Presizing beside a neighbour that eats memory: the kernel kills what presizes, and the rows must not show it.

Both are put into a memory control group of their own (cgroups(7)), so that nothing else on the machine is short of
memory. The kernel is told to choose what presizes. Making such a group takes root, as a rule.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from .caches import CacheSubject
from .children import KILLED, Child, preload
from .outcomes import Case, Outcome
from .subjects import Files, clear, files

_MIB = 1 << 20
_LIMITS = {"threads": 1024 * _MIB, "processes": 3072 * _MIB}
"""Bytes that presizing and its neighbour have between them: presizing takes half at most, when it tries files too."""
_KILLS = 3
"""After so many the neighbour leaves, as neighbours do."""
_RUNS = 8
_PIECES = 32


class Group:
    """A memory control group that is made for the purpose, version 1 or 2."""

    def __init__(self, limit: int) -> None:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        places = {controllers: path.lstrip("/") for _, controllers, path in lines}
        first = "memory" in places
        top = Path("/sys/fs/cgroup/memory" if first else "/sys/fs/cgroup") / places["memory" if first else ""]
        self._path = top / f"onewarp-{os.getpid()}"
        self._path.mkdir()
        self._events = "memory.oom_control" if first else "memory.events"
        (self._path / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(limit))
        self.limit = limit

    def enter(self) -> None:
        """From now on what this process and its children allocate counts."""
        (self._path / "cgroup.procs").write_text(str(os.getpid()))

    @property
    def kills(self) -> int:
        """How many of its processes the kernel has killed for want of memory."""
        counts = dict(line.split() for line in (self._path / self._events).read_text().splitlines())
        return int(counts["oom_kill"])

    def members(self) -> list[int]:
        """The processes that are in it."""
        return [int(process) for process in (self._path / "cgroup.procs").read_text().split()]

    def close(self) -> None:
        """Remove the group; what is left in it is killed."""
        for _ in range(600):
            for process in self.members():
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            with suppress(OSError):
                self._path.rmdir()
                return
            time.sleep(0.05)


@contextmanager
def group(limit: int) -> Iterator[Group]:
    """A group, removed in the end; raises `OSError` where none can be made."""
    there = Group(limit)
    try:
        yield there
    finally:
        there.close()


def neighbours(scratch: Path, seed: int, runs: int, limit: float) -> Iterator[tuple[Case, Outcome]]:
    """Presizing in threads and in processes beside such a neighbour, `runs` times each."""
    subject = CacheSubject(scratch / "neighbour", "raw")
    clear(subject.home)
    preload(partial(subject.write, "old"), limit)
    whole = files(subject.folder)
    for scheduler, memory in _LIMITS.items():
        with group(memory) as alone:
            begin = time.monotonic()
            Child(partial(_presize, subject, alone, scheduler)).end(limit)
            seconds = time.monotonic() - begin
        for number in range(runs):
            draws = random.Random(f"{seed} {scheduler} {number}")
            attempt = partial(_attempt, subject, whole, scheduler, memory, draws, seconds, limit)
            case = Case("beside a neighbour that eats memory", subject.name, f"{scheduler}, {number}", attempt)
            yield case, attempt()


def _attempt(
    subject: CacheSubject,
    whole: Files,
    scheduler: str,
    memory: int,
    draws: random.Random,
    seconds: float,
    limit: float,
) -> Outcome:
    clear(subject.home)
    with group(memory) as shared:
        eater = Child(partial(_eat, shared, draws, seconds))
        for _ in range(_RUNS):
            end = Child(partial(_presize, subject, shared, scheduler)).end(limit)
            if end.status is None:
                return Outcome("hang", f"presizing did not end: {end.err[-700:]}")
            if end.status == 0:
                break
            if end.status not in (1, KILLED) or "Traceback" in end.err:
                return Outcome("traceback", f"status {end.status}: {end.err[-700:]}")
        kills = shared.kills
    eater.end(limit)
    if end.status != 0:
        return Outcome("wrong", f"none of {_RUNS} runs came to an end, though the neighbour left: {end.err[-700:]}")
    there = files(subject.folder)
    unlike = sorted(name for name in there.keys() | whole.keys() if there.get(name) != whole.get(name))
    if unlike:
        return Outcome("wrong", f"after {kills} kills there are other files than in peace: {unlike}: {end.err[-700:]}")
    return Outcome("mended" if kills else "whole", f"{kills} kills")


def _presize(subject: CacheSubject, shared: Group, scheduler: str) -> None:
    Path("/proc/self/oom_score_adj").write_text("1000")
    shared.enter()
    subject.presize("old", scheduler=scheduler, workers=2)


def _eat(shared: Group, draws: random.Random, seconds: float) -> None:
    """At some instant of a run take all memory, until the kernel has killed another process; then begin anew."""
    shared.enter()
    for kills in range(_KILLS):
        time.sleep(draws.uniform(0, seconds))
        _take_all(shared, kills)


def _take_all(shared: Group, kills: int) -> None:
    """Hold all memory until more processes than `kills` have been killed."""
    pieces: list[bytes] = []
    while shared.kills <= kills:
        if len(pieces) < _PIECES - 1:
            pieces.append(bytes([1]) * (shared.limit // _PIECES))
        else:
            time.sleep(0.001)
