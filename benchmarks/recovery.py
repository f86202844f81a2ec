"""Presizing killed at random instants, resumed, and held byte for byte against a run that nothing interrupted.

`python -m onewarp.benchmarks.recovery SOURCE --kills 50`: a child process presizes, is killed by SIGKILL, another one
runs the same again, and the caches' files are compared. Most kills fall between the first part and the last.
"""

import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import distributed  # noqa: F401  (before the first fork, so that every child has it)

from ..pipeline.commands.transform_texts import read_block
from ..pipeline.presizing.presizer import presize
from .measuring import results


@dataclass(frozen=True)
class Kill:
    """One kill: how many parts were there, whether the footer was, and whether the resumed cache has the same bytes."""

    parts: int
    finished: bool
    same: bool


def study(source: Path, size: int, kills: int, seed: int = 0, **settings: Any) -> tuple[int, list[Kill]]:
    """Kill and resume `kills` times; the number of parts of the whole cache, and what became of each kill.

    Forks, so it must be called where no other thread runs.
    """
    draws = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole"
        begun = time.monotonic()
        _wait(_start(source, whole, size, settings))
        seconds = time.monotonic() - begun
        expected = _files(whole)
        parts = len(list(whole.glob("part-*")))
        done = []
        for i in range(kills):
            cache = Path(scratch) / f"killed-{i}"
            child = _start(source, cache, size, settings)
            _await_instant(cache, child, draws, parts, seconds, i)
            os.kill(child, signal.SIGKILL)
            _wait(child)
            there = len(list(cache.glob("part-*"))) if cache.exists() else 0
            finished = (cache / "_cache.json").exists()
            if _wait(_start(source, cache, size, settings)) != 0:
                raise RuntimeError(f"the run after kill {i} failed")
            done.append(Kill(there, finished, _files(cache) == expected))
            _remove(cache)
    return parts, done


def result(parts: int, done: Sequence[Kill], settings: dict[str, Any]) -> dict[str, Any]:
    """The study as a result, beside what was asked of 50 kills."""
    between = sum(0 < kill.parts < parts and not kill.finished for kill in done)
    same = sum(kill.same for kill in done)
    asked = [
        results.goal("of 50 kills, between the first part and the last", 40, 50 * between / len(done)),
        results.goal("of 50 kills, resumed to the same bytes", 50, 50 * same / len(done)),
    ]
    counts = {"parts": parts, "kills": len(done), "between": between, "same": same}
    about = results.about("recovery", "cpu", settings)
    return {**about, **counts, "rows": [], "each": [asdict(kill) for kill in done], "asked": asked}


def _start(source: Path, cache: Path, size: int, settings: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            presize(source, cache, size, **settings)
            code = 0
        finally:
            os._exit(code)
    return child


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _await_instant(cache: Path, child: int, draws: random.Random, parts: int, seconds: float, number: int) -> None:
    """Every eighth kill at any time at all, the others some time after a part that is not the last has appeared."""
    if number % 8 == 7:
        time.sleep(draws.uniform(0, seconds))
        return
    wanted = draws.randint(1, max(1, parts - 2))
    while len(list(cache.glob("part-*"))) < wanted and not (cache / "_cache.json").exists():
        time.sleep(0.0005)
    time.sleep(draws.uniform(0, 0.1 * seconds / parts))


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--size", default=128, show_default=True)
@click.option("--kills", default=50, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--block", type=click.Path(exists=True, path_type=Path), help="A DataBlock's JSON file.")
@click.option("--out", type=click.Path(path_type=Path), help="Write JSON there.")
def main(source: Path, size: int, kills: int, seed: int, block: Path | None, out: Path | None) -> None:
    """Kill presizing of SOURCE at random instants and resume it."""
    parts, done = study(source, size, kills, seed, block=None if block is None else read_block(block))
    text = json.dumps(result(parts, done, {"size": size, "seed": seed}))
    click.echo(text)
    if out is not None:
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
