"""How far a long job is: a bar on a terminal, plain lines elsewhere, always on stderr."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..cache.parts import Rejection

_EVERY = 10.0  # seconds between plain lines


class Reporter(Protocol):
    """What a long job reports its progress to."""

    def say(self, text: str) -> None:
        """Print one line for the user."""

    def advance(self, count: int) -> None:
        """Report that `count` more items are done."""


class NoProgress:
    """A reporter that prints nothing."""

    def say(self, text: str) -> None:
        """Print nothing of the line."""

    def advance(self, count: int) -> None:
        """Print nothing of the count."""


class Lines:
    """A line every ten seconds, with the speed and the time left."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._start = self._last = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line on stderr."""
        print(text, file=sys.stderr, flush=True)

    def advance(self, count: int) -> None:
        """Count, and print a line where ten seconds have passed since the last."""
        self._done += count
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            speed = self._done / (now - self._start)
            left = (self._total - self._done) / speed if speed else 0
            self.say(f"{self._done} of {self._total}, {speed:.0f} images/s, {left:.0f} s left")


class Bar:
    """A progress bar of rich."""

    def __init__(self, progress: Progress, total: int, activity: str) -> None:
        self._progress = progress
        self._task = progress.add_task(activity, total=total)

    def say(self, text: str) -> None:
        """Print one line above the bar."""
        self._progress.console.print(text, highlight=False, markup=False)

    def advance(self, count: int) -> None:
        """Move the bar on by `count`."""
        self._progress.advance(self._task, count)


def can_move_cursor(stream: TextIO) -> bool:
    """Whether a bar can move on a stream: it is a terminal, and one that moves a cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def reporter(total: int, activity: str, quiet: bool = False) -> Iterator[Reporter]:
    """A bar where stderr is a terminal, lines where it is not, nothing where `quiet`.

    The system says what is a terminal. FORCE_COLOR does not count: it colours text, and a bar would move in a log.
    """
    if quiet:
        yield NoProgress()
    elif not can_move_cursor(sys.stderr):
        yield Lines(total)
    else:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            yield Bar(progress, total, activity)


def print_notes(notes: Sequence[str], rejected: Sequence[Rejection], most: int = 5) -> None:
    """Print on stderr the notes of a data set, its first `most` rejections, and how many there are."""
    lines = [*notes, *(f"rejected {entry.key}: {entry.reason}" for entry in rejected[:most])]
    if len(rejected) > most:
        lines.append(f"rejected {len(rejected)} files in all")
    for line in lines:
        print(line, file=sys.stderr, flush=True)
