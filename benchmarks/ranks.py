"""The README's program, started by several ranks at once, cold and warm: how often all of them end well.

`python -m onewarp.benchmarks.ranks --count 20`: `torchrun` starts the first program of the README, as it stands on the
page, in a folder of a few photos; once without its cache, so that one rank makes it while the others wait, and once
with it. Weights are drawn at random in place of the pretrained ones. Prints each run and, as JSON, the counts; exit 1
where a run failed or hung.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Literal

import click
import torch

from ..errors import UsageError
from .measuring import photos

ROOT = Path(__file__).resolve().parents[1]
FOLDER, CACHE = "pets/images", "pets.cache"
"""The names on the page."""

WITHOUT_WEIGHTS = """\
import timm

_make = timm.create_model
timm.create_model = lambda name, pretrained, **settings: _make(name, pretrained=False, **settings)
"""

Outcome = Literal["well", "failed", "hung"]


def program() -> str:
    """The first program of the README, behind what draws its weights at random.

    Raises UsageError where the page has none, or one that reads another folder or cache.
    """
    found = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    if found is None or f'"{FOLDER}"' not in found[1] or f'"{CACHE}"' not in found[1]:
        raise UsageError(f"README.md must begin with a program on {FOLDER} and {CACHE}, but does not")
    return WITHOUT_WEIGHTS + found[1]


def lay_out(folder: Path, source: Path, classes: int = 4, each: int = 7) -> None:
    """The program and a few photos of `source`, under the names that it reads; whole classes, each as often."""
    (folder / "program.py").write_text(program())
    (folder / FOLDER).mkdir(parents=True)
    counts: Counter[str] = Counter()
    for photo in sorted(source.glob("*_*.jpg")):
        name = photo.name.rsplit("_", 1)[0]
        if (name in counts or len(counts) < classes) and counts[name] < each:
            counts[name] += 1
            shutil.copy(photo, folder / FOLDER)


def start(folder: Path, ranks: int, seconds: float) -> tuple[Outcome, str]:
    """Run the program once on so many ranks: how that ended, and what it said."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    calm = {"MPLBACKEND": "Agg", "ACCELERATE_USE_CPU": str(not torch.cuda.is_available()).lower()}
    with subprocess.Popen(
        [*command, "program.py"],
        cwd=folder,
        env={**os.environ, **calm},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        try:
            said, _ = run.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            run.terminate()  # torchrun ends its ranks
            return "hung", run.communicate()[0]
    return ("well" if run.returncode == 0 else "failed"), said


@click.command()
@click.option("--photos", "source", type=click.Path(exists=True, path_type=Path), default=photos.PETS)
@click.option("--ranks", multiple=True, type=int, default=(2, 4), show_default=True)
@click.option("--count", default=20, show_default=True, help="Starts of each kind.")
@click.option("--seconds", default=600.0, show_default=True, help="A run that takes longer hangs.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the counts there as well.")
def main(source: Path, ranks: tuple[int, ...], count: int, seconds: float, out: Path | None) -> None:
    """Start the README's program on several ranks at once, cold and warm."""
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        lay_out(folder, source)
        for number in range(count):
            for world in ranks:
                for way in ("cold", "warm"):
                    if way == "cold":
                        shutil.rmtree(folder / CACHE, ignore_errors=True)
                    outcome, said = start(folder, world, seconds)
                    counts.setdefault(f"{world} ranks, {way}", Counter())[outcome] += 1
                    click.echo(f"{number + 1} of {count}: {world} ranks, {way}: {outcome}", err=True)
                    if outcome != "well":
                        click.echo(said, err=True)
    text = json.dumps({kind: dict(found) for kind, found in counts.items()}, indent=1)
    click.echo(text)
    if out is not None:
        out.write_text(text + "\n")
    if any(set(found) != {"well"} for found in counts.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
