"""Presizing by several processes: dask beside a bare pool, two workers beside one, and their memory as files grow.

`python -m onewarp.benchmarks.workers PHOTOS --out RESULTS.json`. The same parts are made of the same photos, whose
files come again under other keys until there are as many as are asked for. Inside the clock is all from the first part
handed out to the last one on the disk; rows are kept as JPEG, so that the disk, which all share, does not decide.
Outside are the start of the workers and a few small parts, with which they import and warm up. Ways take turns, each
round in another order; ratios are of the same round.
"""

import json
import multiprocessing
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from ..pipeline.cache.recipe import Recipe
from ..pipeline.dataset.sources import FolderSource
from ..pipeline.presizing.catalogue import Catalogue
from ..pipeline.presizing.existing_parts import ExistingParts
from ..pipeline.presizing.file_hashes import HashMemo
from ..pipeline.presizing.part_plan import PartPlan
from ..pipeline.presizing.part_task import PartTask, make_part
from ..pipeline.presizing.workers import worker_pool
from ..transforms.decoding.resizing import Sizing
from .measuring import results
from .measuring.timing import quartiles

Way = Callable[[Sequence[PartTask]], object]


@dataclass(frozen=True)
class Peak:
    """The most memory that a worker has held so far, in bytes."""

    process: int
    memory: int


def tasks_of(photos: Path, folder: Path, files: int, size: int) -> list[PartTask]:
    """The parts of a cache in `folder`, of as many files as that, the photos again and again."""
    source = FolderSource(str(photos))
    there = source.items()
    items = [there[i % len(there)]._replace(key=f"{i:07d}") for i in range(files)]
    recipe = Recipe(Sizing(size, "crop"), encoding="jpeg")
    return list(PartPlan(Catalogue(source, items), folder, recipe, ExistingParts(), HashMemo(folder / "seen")).tasks())


def peak(task: PartTask) -> Peak:
    """Make a part, and say how much memory the process has had at the most."""
    make_part(task)
    return Peak(os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def by_dask(stack: ExitStack, workers: int) -> Way:
    """What `--scheduler processes` does."""
    workforce = stack.enter_context(worker_pool("processes", workers))
    return lambda tasks: _results(workforce.map(peak, iter_of(tasks)))


def by_pool(stack: ExitStack, workers: int) -> Way:
    """A bare pool of processes: no scheduler, no retries."""
    pool = stack.enter_context(ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")))
    return lambda tasks: list(pool.map(peak, tasks))


def iter_of(tasks: Sequence[PartTask]) -> Callable[[], PartTask | None]:
    """The next job, then None."""
    left = iter(tasks)
    return lambda: next(left, None)


def _results(done: Iterator[tuple[PartTask, Any]]) -> list[Peak]:
    found = []
    for _, result in done:
        if isinstance(result, Exception):
            raise result
        found.append(result)
    return found


def turns(ways: dict[str, Way], photos: Path, files: int, size: int, rounds: int) -> dict[str, list[float]]:
    """Files a second, by the clock, of each way in each round."""
    order, draws = list(ways), random.Random(0)
    rates: dict[str, list[float]] = {name: [] for name in order}
    for turn in range(-1, rounds):  # the first one warms up
        draws.shuffle(order)
        for name in order:
            with tempfile.TemporaryDirectory() as folder:
                tasks = tasks_of(photos, Path(folder), files, size)
                if turn < 0:
                    short = [replace(task, entries=task.entries[:16]) for task in tasks[:4]]
                    ways[name](short)
                    continue
                begun = time.perf_counter()
                ways[name](tasks)
                rates[name].append(files / (time.perf_counter() - begun))
    return rates


def memory(photos: Path, files: int, size: int) -> int:
    """Bytes that the larger of two workers has held at the most, over so many files."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        workforce = stack.enter_context(worker_pool("processes", 2))
        tasks = tasks_of(photos, Path(folder), files, size)
        return max(one.memory for one in _results(workforce.map(peak, iter_of(tasks))))


def measure(photos: Path, files: int, size: int, rounds: int, grown: Sequence[int]) -> dict[str, Any]:
    """Rates by the clock, their ratios round by round, and memory."""
    with ExitStack() as stack:
        ways = {
            "dask, 2 workers": by_dask(stack, 2),
            "bare pool, 2 workers": by_pool(stack, 2),
            "dask, 1 worker": by_dask(stack, 1),
            "bare pool, 1 worker": by_pool(stack, 1),  # beside 2, what the machine itself gives
        }
        rates = turns(ways, photos, files, size, rounds)
    held = {str(count): memory(photos, count, 128) for count in grown}
    two = rates["dask, 2 workers"]
    pool, one = (_ratio(two, rates[name]) for name in ("bare pool, 2 workers", "dask, 1 worker"))
    asked = [results.goal("presize: dask, 2 workers, times a bare pool", 0.85, pool)]
    asked.append(results.goal("presize: dask, 2 workers, times 1 worker", 1.8, one))
    if len(held) > 1:
        measure = f"presize: memory of a worker, {grown[0]:,} files and {grown[-1]:,}, less over more"
        asked.append(results.goal(measure, 0.87, min(held.values()) / max(held.values())))
    settings = {"files": files, "size": size, "rounds": rounds, "memory at size": 128}
    rows = [{"name": name, "status": "measured", "files_per_second": quartiles(found)} for name, found in rates.items()]
    return {**results.about("workers", "cpu", settings), "rows": rows, "peak_bytes": held, "asked": asked}


def _ratio(over: Sequence[float], under: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


@click.command()
@click.argument("photos", type=click.Path(exists=True, path_type=Path))
@click.option("--files", default=3000, show_default=True)
@click.option("--size", default=460, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--grown", multiple=True, type=int, default=(1_000, 20_000), show_default=True, help="For the memory.")
@click.option("--out", type=click.Path(path_type=Path), help="Write JSON there.")
def main(photos: Path, files: int, size: int, rounds: int, grown: tuple[int, ...], out: Path | None) -> None:
    """Make the parts of a cache of PHOTOS by several ways."""
    text = json.dumps(measure(photos, files, size, rounds, grown), indent=1)
    click.echo(text)
    if out is not None:
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
