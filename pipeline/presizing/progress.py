"""How far a long job is: a bar on a terminal, plain lines elsewhere, always on stderr."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..cache.parts import Rejected

_EVERY = 10.0  # seconds between plain lines


class Reporter(Protocol):
    """Where a job says how far it is."""

    def say(self, text: str) -> None:
        """One line."""

    def advance(self, count: int) -> None:
        """So many more are done."""


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def advance(self, count: int) -> None:
        """Nothing."""


class Lines:
    """A line every ten seconds, with the speed and the time left."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._start = self._last = time.monotonic()

    def say(self, text: str) -> None:
        """One line on stderr."""
        print(text, file=sys.stderr, flush=True)

    def advance(self, count: int) -> None:
        """Count, and say so from time to time."""
        self._done += count
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            speed = self._done / (now - self._start)
            left = (self._total - self._done) / speed if speed else 0
            self.say(f"{self._done} of {self._total}, {speed:.0f} images/s, {left:.0f} s left")


class Bar:
    """A bar by rich."""

    def __init__(self, progress: Progress, total: int, doing: str) -> None:
        self._progress = progress
        self._task = progress.add_task(doing, total=total)

    def say(self, text: str) -> None:
        """One line above the bar."""
        self._progress.console.print(text, highlight=False, markup=False)

    def advance(self, count: int) -> None:
        """Move the bar."""
        self._progress.advance(self._task, count)


def moves(stream: TextIO) -> bool:
    """Whether a bar can move on a stream: it is a terminal, and one that moves a cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def reporter(total: int, doing: str, quiet: bool = False) -> Iterator[Reporter]:
    """A bar where stderr is a terminal, lines where it is not, nothing where `quiet`.

    What is a terminal the system says: FORCE_COLOR colours text, and would have a bar move in a log.
    """
    if quiet:
        yield Silent()
    elif not moves(sys.stderr):
        yield Lines(total)
    else:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            yield Bar(progress, total, doing)


def tell(notes: Sequence[str], rejected: Sequence[Rejected], most: int = 5) -> None:
    """Say on stderr what there is to know of a data set: its notes, how many files were set aside, and the first."""
    said = [*notes, *(f"rejected {entry.key}: {entry.reason}" for entry in rejected[:most])]
    if len(rejected) > most:
        said.append(f"rejected {len(rejected)} files in all")
    for line in said:
        print(line, file=sys.stderr, flush=True)
