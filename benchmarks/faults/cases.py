"""All faults that are tried on a subject, in a known order, so that each can be chosen again by its title."""

import errno
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from .damage import harms
from .outcomes import Case
from .power import WAYS
from .subjects import Version
from .trials import Trials

OF_WRITING = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EINTR)
OF_READING = (errno.EIO, errno.EACCES, errno.EINTR, errno.EMFILE)
_SPREAD = 12
"""Calls of one name that change nothing are often alike: so many of them, evenly spaced, are failed."""

Run = tuple[str, Version | None, Version]
RUNS: tuple[Run, ...] = (("first run", None, "old"), ("run with changes", "old", "new"))


def cases(trials: Trials, each: int, seed: int) -> Iterator[Case]:
    """Every case; `each` bits are flipped in each class of bytes."""
    yield from byte_cases(trials, each, seed)
    for run in RUNS:
        calls = trials.calls(*run[1:])
        yield from call_cases(trials, run, Counter(call.name for call in calls), {c.name for c in calls if c.changes})
        yield from kill_cases(trials, run, sum(call.changes for call in calls))
    for reading in trials.subject.readings():
        yield from reading_cases(trials, reading)


def byte_cases(trials: Trials, each: int, seed: int) -> Iterator[Case]:
    """Bytes that change, files that are cut."""
    old = trials.baselines["old"]
    folder = old.home / trials.subject.folder.relative_to(trials.subject.home)
    for harm in harms(folder, list(old.files), each, seed):
        yield Case(harm.kind, trials.subject.name, harm.name, partial(trials.harm, harm.change))


def call_cases(trials: Trials, run: Run, counts: Counter[str], changing: set[str]) -> Iterator[Case]:
    """Each system call of a run failed at its turn."""
    word, before, version = run
    for name, count in counts.items():
        for nth in range(1, count + 1) if name in changing else spread(count):
            for error in OF_WRITING:
                title = f"{word}, {name} {nth} of {count}, {errno.errorcode[error]}"
                attempt = partial(trials.fail_call, [name], nth, error, before, version)
                yield Case("calls of a run failed", trials.subject.name, title, attempt)


def kill_cases(trials: Trials, run: Run, count: int) -> Iterator[Case]:
    """A run killed, or its power cut, before each change of the disk."""
    word, before, version = run
    for nth in range(1, count + 1):
        title = f"{word}, before change {nth} of {count}"
        yield Case("killed", trials.subject.name, title, partial(trials.kill, nth, before, version))
    for nth in range(1, count + 2):
        for way in WAYS:
            title = f"{word}, before change {nth} of {count}, {way}" if nth <= count else f"{word}, after all, {way}"
            yield Case("power cut", trials.subject.name, title, partial(trials.cut_power, nth, before, version, way))


def reading_cases(trials: Trials, reading: str) -> Iterator[Case]:
    """The system calls of a reader failed at their turn."""
    for name, count in Counter(call.name for call in trials.calls_of_reading(reading)).items():
        for nth in spread(count):
            for error in OF_READING:
                title = f"{reading}, {name} {nth} of {count}, {errno.errorcode[error]}"
                attempt = partial(trials.fail_reading, reading, [name], nth, error)
                yield Case("calls of a reader failed", trials.subject.name, title, attempt)


def spread(count: int) -> list[int]:
    """Numbers from 1 to `count`, all or evenly spaced."""
    step = max(1.0, (count - 1) / (_SPREAD - 1))
    return sorted({round(1 + i * step) for i in range(min(count, _SPREAD))})


def sample(every: Sequence[Case], most: int | None, seed: int) -> list[Case]:
    """At most so many of each kind of fault and subject, drawn by `seed`, in their order."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for number, case in enumerate(every):
        kinds.setdefault((case.subject, case.kind), []).append(number)
    picks: list[int] = []
    for (subject, kind), numbers in kinds.items():
        draws = random.Random(f"{seed} {subject} {kind}")
        picks += numbers if most is None else draws.sample(numbers, min(most, len(numbers)))
    return [every[number] for number in sorted(picks)]
