"""Every kind of fault tried on what onewarp keeps: `python -m onewarp.benchmarks.faults`.

Bytes are flipped and files cut, system calls fail one by one in the kernel's name, runs are killed and their power is
cut before each change of the disk, readers stand beside a writer. What becomes of each is counted: it is whole and
equal, mended by the next run, or refused by name; anything else is printed with the command that repeats it, and the
exit status is 1.
"""

import fnmatch
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ..measuring import results
from . import calls, outcomes
from .caches import CacheSubject
from .cases import cases, sample
from .children import LIMIT
from .learners import Checkpoints, Exports
from .neighbour import neighbours
from .outcomes import Case, Outcome
from .stress import stress
from .subjects import Subject, build
from .trials import Trials

SUBJECTS = ("cache-raw", "cache-png", "checkpoint", "save", "export", "stress", "neighbour")
BESIDE = ("stress", "neighbour")
SHORT, SHORT_COMMITS, NEIGHBOURS = 2, 3, 3


@click.command()
@click.option("--seed", default=0, show_default=True, help="Of the bytes that are harmed, and of what is drawn.")
@click.option("--each", default=4, show_default=True, help="Bits flipped in each class of bytes.")
@click.option("--most", type=int, help="Cases of each kind and subject at most, drawn by --seed.  [default: all]")
@click.option(
    "--short", is_flag=True, help=f"--each 1 --most {SHORT}, {SHORT_COMMITS} commits of --minutes, no neighbour."
)
@click.option("--of", "names", multiple=True, type=click.Choice(SUBJECTS), help="Only of these.  [default: all]")
@click.option("--case", "pattern", help="Only the cases of this title; * stands for anything.")
@click.option(
    "--minutes", default=1.0, show_default=True, help="Readers beside a writer for so long; 0 for not at all."
)
@click.option("--limit", default=LIMIT, show_default=True, help="Seconds after which a process hangs.")
@click.option("--scratch", type=click.Path(path_type=Path), help="An empty folder to work in.")
@click.option("--out", type=click.Path(path_type=Path), help="Write JSON into this folder.")
def main(
    seed: int,
    each: int,
    most: int | None,
    short: bool,
    names: Sequence[str],
    pattern: str | None,
    minutes: float,
    limit: float,
    scratch: Path | None,
    out: Path | None,
) -> None:
    """Try faults on caches, checkpoints and exported models; exit 1 where an outcome is a forbidden one."""
    calls.refuse_elsewhere()
    if short:
        each, most = 1, most or SHORT
    settings = {"seed": seed, "each": each, "most": most, "minutes": minutes}
    pairs: list[tuple[Case, Outcome]] = []
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for name in [name for name in names or SUBJECTS if name not in BESIDE]:
            subject = subject_of(name, Path(folder))
            trials = Trials(subject, build(subject, Path(folder), limit), limit)
            selection = sample(list(cases(trials, each, seed)), most if pattern is None else None, seed)
            pairs += attempt(
                [case for case in selection if fnmatch.fnmatchcase(case.title, pattern or "*")], each, seed
            )
        if minutes and "stress" in (names or SUBJECTS):
            for pair in stress(Path(folder), seed, minutes, SHORT_COMMITS if short else None, limit):
                say(*pair, ["--of", "stress", "--minutes", str(minutes), "--seed", str(seed)])
                pairs.append(pair)
        if "neighbour" in (names or SUBJECTS) and not short and not pattern:
            for pair in neighbours(Path(folder), seed, NEIGHBOURS, limit):
                say(*pair, ["--of", "neighbour", "--seed", str(seed)])
                pairs.append(pair)
    rows = outcomes.rows(outcomes.count(pairs))
    allowed = sum(outcome.state in outcomes.ALLOWED for _, outcome in pairs)
    asked = [results.goal(f"of {len(pairs):,} faults, mended, refused by name or without effect", len(pairs), allowed)]
    result = {**results.about("faults", "cpu", settings), "rows": rows, "asked": asked}
    click.echo(outcomes.table(rows))
    if out is not None:
        click.echo(f"wrote {results.write(result, out)}", err=True)
    if allowed < len(pairs) or not pairs:
        raise SystemExit(1)


def subject_of(name: str, scratch: Path) -> Subject:
    """The subject of a name, in a folder of its own."""
    word, _, encoding = name.partition("-")
    if word == "cache":
        return CacheSubject(scratch, encoding)
    return Exports(scratch) if word == "export" else Checkpoints(scratch, saved=word == "save")


def attempt(selection: Sequence[Case], each: int, seed: int) -> Iterator[tuple[Case, Outcome]]:
    """Try cases one by one; say how far this is, and what is forbidden as soon as it is seen."""
    for number, case in enumerate(selection, 1):
        outcome = case.attempt()
        say(case, outcome, ["--of", case.subject, "--case", case.title, "--seed", str(seed), "--each", str(each)])
        if number % 50 == 0 or number == len(selection):
            click.echo(f"{number} of {len(selection)} cases of {case.subject}", err=True)
        yield case, outcome


def say(case: Case, outcome: Outcome, again: Sequence[str]) -> None:
    """Print an outcome that is forbidden, and the command that repeats its case."""
    if outcome.state in outcomes.FORBIDDEN:
        click.echo(f"{outcome.state.upper()}: {case.title}\n  {outcome.detail}", err=True)
        click.echo(f"  python -m onewarp.benchmarks.faults {shlex.join(again)}", err=True)


if __name__ == "__main__":
    sys.exit(main())
