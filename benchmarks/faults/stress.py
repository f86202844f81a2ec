"""Readers beside a writer: whatever it commits or mends, each of them sees one whole cache or another."""

import json
import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .caches import SHARES, CacheSubject
from .children import Child, preload, run
from .damage import flip_pixels
from .outcomes import Case, Outcome
from .subjects import Reading, Version, read_here, restore

READERS = 2
_DAMAGED = 0.25
"""How many of the commits mend a part of which a byte was changed."""


class Event(NamedTuple):
    """Something between two instants of the clock: a commit of a state or a reading, or a time of damage."""

    what: str
    begin: float
    end: float
    state: str
    detail: str


def stress(
    scratch: Path, seed: int, minutes: float, commits: int | None, limit: float
) -> Iterator[tuple[Case, Outcome]]:
    """Readers beside a writer for so long, or for so many commits: each reading with what became of it."""
    subject = CacheSubject(scratch / "stress", "raw")
    states = {name: _build(subject, *state, limit) for name, state in _states().items()}
    logs = [scratch / f"log-{i}" for i in range(READERS + 1)]
    stop = scratch / "stop"
    children = [Child(partial(_write, subject, logs[0], stop, seed, minutes, commits))]
    children += [Child(partial(_read, subject, log, stop, seed + i)) for i, log in enumerate(logs[1:], 1)]
    ends = [child.end(60 * minutes + limit) for child in children]
    events = [Event(*json.loads(line)) for log in logs for line in log.read_text().splitlines()]
    damages = [event for event in events if event.what == "damage"]
    for i, end in enumerate(ends):
        if end.status != 0:
            word = "hang" if end.status is None else "signal" if end.status < 0 else "traceback"
            who = "the writer" if i == 0 else f"reader {i}"
            yield Case("beside a writer", subject.name, who, _never), Outcome(word, f"{who}: {end.err[-700:]}")  # type: ignore[arg-type]
    for number, event in enumerate(events):
        if event.what != "damage":
            case = Case(f"beside a writer: {event.what}", subject.name, str(number), _never)
            yield case, judge(event, states, damages)


def _states() -> dict[str, tuple[Version, float]]:
    versions: tuple[Version, ...] = ("old", "new")
    return {f"{version} {share}": (version, share) for version in versions for share in SHARES}


def _build(subject: CacheSubject, version: Version, share: float, limit: float) -> dict[str, Reading]:
    """What each reading of a state gives."""
    restore(subject, None)
    preload(partial(subject.presize, version, share), limit)
    preload(partial(read_here, subject, [*subject.readings()]), limit)
    end = run(partial(read_here, subject, [*subject.readings()]), limit)
    return {name: Reading(state, detail) for name, state, detail in map(json.loads, end.out.splitlines())}


def judge(event: Event, states: dict[str, dict[str, Reading]], damages: list[Event]) -> Outcome:
    """What became of a commit or a reading: it gives one of the `states`, or refuses while there was damage."""
    if event.what == "commit":
        return Outcome("whole") if event.state == "whole" else Outcome("traceback", f"the writer: {event.detail}")
    if event.state == "refused":
        if any(other.begin <= event.end and event.begin <= other.end for other in damages):
            return Outcome("refused")
        return Outcome("wrong", f"{event.what} refuses what was whole: {event.detail}")
    if event.state != "whole":
        return Outcome("traceback", f"{event.what}: {event.detail}")
    if all(readings[event.what].detail != event.detail for readings in states.values()):
        return Outcome("wrong", f"{event.what} gives no state that was ever committed, but a mixture")
    return Outcome("whole")


def _write(subject: CacheSubject, log: Path, stop: Path, seed: int, minutes: float, commits: int | None) -> None:
    """Commit one state after the other; sometimes change a byte of the pixels first, so that there is one to mend."""
    draws, until, number = random.Random(seed), time.monotonic() + 60 * minutes, 0
    state = "new 0.3"  # the last that was built
    try:
        while time.monotonic() < until and number != commits:
            begin, damaging = time.monotonic(), draws.random() < _DAMAGED
            if damaging:
                flip_pixels(subject.folder, draws)
            else:
                state = draws.choice([name for name in _states() if name != state])
            result = _commit(subject, state)
            if damaging:
                _note(log, "damage", begin, state, "")
            _note(log, "commit", begin, *result)
            number += 1
    finally:
        stop.touch()


def _commit(subject: CacheSubject, state: str) -> tuple[str, str]:
    end = run(partial(subject.presize, *_states()[state]))
    return ("whole", state) if end.status == 0 else ("failed", f"status {end.status}: {end.err[-700:]}")


def _read(subject: CacheSubject, log: Path, stop: Path, seed: int) -> None:
    """Read in one way after the other until the writer stops."""
    draws, readings = random.Random(seed), subject.readings()
    while not stop.exists():
        name = draws.choice([*readings])
        begin = time.monotonic()
        end = run(partial(read_here, subject, [name]))
        line = json.loads(end.out) if end.status == 0 else [name, "failed", f"status {end.status}: {end.err[-700:]}"]
        _note(log, name, begin, line[1], line[2])


def _note(log: Path, what: str, begin: float, state: str, detail: str) -> None:
    with log.open("a") as file:
        file.write(json.dumps([what, begin, time.monotonic(), state, detail]) + "\n")


def _never() -> Any:
    raise NotImplementedError("what happens beside a writer is not repeated alone")
