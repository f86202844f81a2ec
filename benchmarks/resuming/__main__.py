"""Every trainer resumed at every step: `python -m onewarp.benchmarks.resuming`.

Each trainer trains a linear model on 26 drawn pictures for two epochs, alone and in two processes, and writes a
checkpoint after each step. From each of them it is resumed; what the resumed run delivers, its steps, its rates and its
last weights are held, to the last bit, against the rest of the run that was never stopped. The same with the idioms of
each trainer. Then each trainer trains on 97 and on 392 samples in 1, 2 and 3 processes: each must come once an epoch.
Then a rank of two is killed in mid-epoch, of the Learner and of a loop with DDP, started by hand and by `torchrun`: the
other must end within 10 s, and resumed on 1 and on 3 ranks each sample of the epoch that was cut must come once.
Exit status 1 where anything differs.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..measuring import results
from . import kill, rank, shares, table
from .processes import launch_environments
from .processes import start as start_processes

WRONG = ("wrong", "failed")
COMPOSER = {"name": "Composer", "setting": "alone", "status": "not installed"}


@click.command()
@click.option("--of", "names", multiple=True, type=click.Choice(list(rank.NAMES)), help="Only these.  [default: all]")
@click.option("--processes", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--most", type=int, help="Resumptions of each run at most, spread over it.  [default: at every step]")
@click.option("--idioms", type=int, help="The first idioms of each trainer alone.  [default: all]")
@click.option("--ranks/--no-ranks", default=True, show_default=True, help="Count samples over ranks; kill one.")
@click.option("--limit", default=900.0, show_default=True, help="Seconds after which processes hang.")
@click.option("--out", type=click.Path(path_type=Path), help="Write JSON into this folder.")
def main(
    names: Sequence[str],
    processes: Sequence[int],
    most: int | None,
    idioms: int | None,
    ranks: bool,
    limit: float,
    out: Path | None,
) -> None:
    """Resume every trainer at every step; exit 1 where anything differs from a run that was never stopped."""
    trainers = list(names or rank.NAMES)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for count in processes:
            for group in [trainers] if count == 1 else [[name] for name in trainers]:
                folder = Path(scratch) / f"{count}-{group[0]}"
                folder.mkdir()
                found = together(start(group, count, folder, most, idioms, limit))
                wrong = sum(row["status"] in WRONG for row in found)
                click.echo(f"{', '.join(group)}, {count} processes: {len(found)} runs, {wrong} wrong", err=True)
                rows += found
    if ranks:
        rows += shares.rows(trainers)
    if not names:
        rows += [composer(), *(kill.rows() if ranks else [])]
    click.echo(table.table(rows))
    if out is not None:
        settings = {"pictures": 26, "batch": 4, "epochs": 2, "processes": list(processes), "most": most}
        result = {**results.about("resuming", "cpu", settings), "rows": rows, "asked": []}
        for package in set(rank.PACKAGES.values()):
            result["versions"][package] = results.version_of(package)
        click.echo(f"wrote {results.write(result, out)}", err=True)
    if any(row["status"] in WRONG for row in rows):
        raise SystemExit(1)


def composer() -> dict[str, Any]:
    """The row of Composer, which is not tried."""
    if results.version_of("mosaicml") is None:
        return {**COMPOSER, "reason": "beside our torch no mosaicml resolves but 0.3.1"}
    return {**COMPOSER, "status": "failed", "reason": "mosaicml is installed, but there is no run for it here"}


def start(
    trainers: Sequence[str], processes: int, folder: Path, most: int | None, idioms: int | None, limit: float
) -> list[list[dict[str, Any]]]:
    """Study trainers in so many processes of a group; gives the rows of each process.

    A process that leaves no rows is one row that says how it ended.
    """
    arguments = [",".join(trainers), str(folder), str(most or 0), str(idioms or 0)]
    command = [sys.executable, "-W", "ignore", "-m", rank.__name__, *arguments]
    found = []
    for number, child in enumerate(start_processes(command, launch_environments(processes), folder, "output")):
        try:
            child.wait(limit)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        written = folder / f"{trainers[0]}-{number}.json"
        if written.exists():
            found.append(json.loads(written.read_text()))
        else:
            told = (folder / f"output-{number}.out").read_text()[-2000:]
            reason = f"process {number} ended with {child.returncode}: {told}"
            setting = "alone" if processes == 1 else f"{processes} processes"
            found.append([{"name": ", ".join(trainers), "setting": setting, "status": "failed", "reason": reason}])
    return found


def together(found: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The rows of all processes as one: of each, that of the first process for which it is not right."""
    if len({len(rows) for rows in found}) > 1:
        return [dict(min(found, key=len)[0])]
    return [dict(next((row for row in same if row["status"] in WRONG), same[0])) for same in zip(*found, strict=True)]


if __name__ == "__main__":
    main()
