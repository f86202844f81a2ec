"""Two versions of onewarp as contenders of the same rounds: `onewarp bench augment|presize|load --against CHECKOUT`.

CHECKOUT is a folder with another version and its environment, as `make .venv/.onewarp` makes it there. Each piece of
work is done by three processes of their own, on one core: this version, the other, and this version once more. They
take turns in an order that differs from round to round, and are started anew, in another order, every few rounds: where
a process happens to lie in memory moves its times by hundredths for as long as it lives. A ratio is the other's
processor time over this version's in the same round: above 1, this version is faster. That of this version over itself
is the noise, and stands beside it.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..pipeline.presizing.progress import Reporter
from .measuring import results
from .measuring.photos import photo_files
from .measuring.timing import quartiles
from .peers import one_version

WORK = {
    "augment": ("the warp", "a batch's draws"),
    "presize": ("presize, raw", "presize, JPEG"),
    "load": ("an epoch, raw", "an epoch, JPEG", "an epoch, raw and augmented"),
}
"""The work of each suite, by its name in `peers/one_version.py`."""

ROUNDS, SECONDS, PHOTOS = 12, 0.4, 96
"""Rounds of a comparison, seconds of a turn at least, and photos that are presized and loaded."""

ROUNDS_OF_A_PROCESS = 3

LEAST = {"augment": 0.97, "presize": 0.95, "load": 0.95}
"""What a change of the house may cost."""


class Version:
    """A version at work in a process of its own."""

    def __init__(self, python: Path, folder: Path, name: str, seconds: float) -> None:
        self._name = name
        words = [str(python), "-W", "ignore", one_version.__file__, str(folder), name, str(seconds)]
        core = str(min(os.sched_getaffinity(0)))
        self._child = subprocess.Popen(
            ["taskset", "-c", core, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._answer()

    def _answer(self) -> Any:
        line = self._child.stdout.readline() if self._child.stdout else ""
        if not line:
            self.close()
            raise click.ClickException(f"the process for {self._name!r} ended with {self._child.returncode}")
        return json.loads(line)

    def round(self) -> float:
        """Seconds of processor time."""
        if self._child.stdin is None:
            raise ValueError("the process must read from a pipe")
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return float(self._answer()["seconds"])

    def close(self) -> None:
        """End the process, and wait until it has ended."""
        with self._child:  # closes the pipes, and waits
            pass


def python_of(checkout: Path) -> Path:
    """The Python of another version's environment. Raises `UsageError` where it is not that version's."""
    python = checkout.resolve() / ".venv" / "bin" / "python"
    if not python.exists():
        raise UsageError(
            f"--against must name a checkout with an environment, but {python} is not there: run make there"
        )
    words = [str(python), "-c", "import onewarp; print(*onewarp.__path__)"]
    found = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False).stdout.strip()
    if not found or checkout.resolve() not in (Path(found), Path(found).parent):
        raise UsageError(
            f"--against must name a checkout whose environment has its onewarp, but it has {found or 'none'}"
        )
    return python


def compare(python: Path, folder: Path, name: str, rounds: int, seconds: float, progress: Reporter) -> dict[str, Any]:
    """One piece of work by both versions: its row of the result."""
    interpreters = {"this": Path(sys.executable), "other": python, "again": Path(sys.executable)}
    order, draws = list(interpreters), random.Random(name)
    found: dict[str, list[float]] = {which: [] for which in interpreters}
    for number in range(rounds):
        if number % ROUNDS_OF_A_PROCESS == 0:
            draws.shuffle(order)
            running = {which: Version(interpreters[which], folder, name, seconds) for which in order}
        draws.shuffle(order)
        for which in order:
            found[which].append(running[which].round())
        progress.advance(1)
        if (number + 1) % ROUNDS_OF_A_PROCESS == 0 or number + 1 == rounds:
            for version in running.values():
                version.close()
    ratios = {
        which: quartiles([one / this for one, this in zip(found[which], found["this"], strict=True)], 3)
        for which in ("other", "again")
    }
    return {"name": name, "status": "measured", "ratio": ratios["other"], "noise": ratios["again"]}


def measure(
    suite: str, checkout: Path, photos: Path, rounds: int, seconds: float, progress: Reporter
) -> dict[str, Any]:
    """The result: a row for each piece of work of a suite."""
    python = python_of(checkout)
    version = results.commit(checkout)
    with tempfile.TemporaryDirectory() as scratch:
        for path in photo_files(photos)[:PHOTOS]:
            (Path(scratch) / path.name).write_bytes(path.read_bytes())
        rows = [compare(python, Path(scratch), name, rounds, seconds, progress) for name in WORK[suite]]
    settings = {"against": version, "of": suite, "rounds": rounds, "seconds": seconds, "photos": PHOTOS}
    asked = [results.goal(f"{row['name']}, times {version}", LEAST[suite], row["ratio"][1]) for row in rows]
    return {**results.about("versions", "cpu", settings), "rows": rows, "asked": asked}


def table(found: dict[str, Any]) -> list[tuple[str, str, float | None]]:
    """Name, words and bar of every row."""
    return [
        (row["name"], f"{words(row['ratio'])}; itself {words(row['noise'])}", row["ratio"][1]) for row in found["rows"]
    ]


def words(ratios: Sequence[float]) -> str:
    """Quartiles as a reader takes them: the middle first."""
    low, middle, high = ratios
    return f"{middle:.3f} ({low:.3f} .. {high:.3f})"
