"""The final error of a real fastai Learner beside ours: EfficientNet-Lite0 on the pets, over several seeds.

Needs what `pets.py` needs, and fastai. `python -m onewarp.benchmarks.learners PHOTOS` trains both with every seed, each
from the same weights, on the same batches of our loader (fastai's through the adapter), along the same schedule, and
writes one JSON. `train.py` compares the two step by step, on a small network.
"""

import copy
import statistics
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from ..pipeline import DataLoaders
from ..trainers import Learner
from ..trainers.adapters import as_fastai
from ..trainers.optimiser import default_groups
from . import pets
from .measuring import results

COLUMNS = ("train_loss", "valid_loss", "error_rate")
Table = list[dict[str, float]]


def both(learn: Learner[DataLoaders], recipe: pets.Recipe, seed: int) -> dict[str, Table]:
    """Train fastai's Learner and ours from one start on the same batches; gives the epoch table of each."""
    twin = copy.deepcopy(learn.model)
    torch.manual_seed(seed)  # the dropout's
    theirs = fastai_table(learn.dls, twin, recipe)
    torch.manual_seed(seed)
    learn.fine_tune(recipe.epochs, recipe.base_lr, recipe.freeze_epochs)
    return {"fastai": theirs, "onewarp": [{name: row[name] for name in COLUMNS} for row in learn.recorder.rows]}


def fastai_table(dls: DataLoaders, model: nn.Module, recipe: pets.Recipe) -> Table:
    """Train with fastai's Learner, as a user of it does."""
    from fastai.basics import Learner as TheirLearner
    from fastai.basics import error_rate
    from fastai.callback.schedule import Learner as _Scheduled  # noqa: F401 - it adds fine_tune to their Learner

    learn = TheirLearner(as_fastai(dls, "cpu"), model, splitter=default_groups, metrics=error_rate, train_bn=False)
    table: Table = []
    with learn.no_bar():
        learn.logger = lambda line: table.append(dict(zip(COLUMNS, map(float, line[1:4]), strict=True)))
        learn.fine_tune(recipe.epochs, recipe.base_lr, recipe.freeze_epochs)
    return table


def rows_of(tables: Mapping[str, Table], seed: int) -> list[dict[str, Any]]:
    """A row of the result for each learner."""
    return [
        {"name": name, "seed": seed, "status": "measured", "error_rate": table[-1]["error_rate"], "epochs": table}
        for name, table in tables.items()
    ]


def table(found: Mapping[str, Any]) -> str:
    """Markdown: the error of each learner with each seed, the mean, the spread; and how far apart they are."""
    rows = found["rows"]
    seeds = sorted({row["seed"] for row in rows})
    rates = {(row["name"], row["seed"]): row["error_rate"] for row in rows}
    lines = [f"| learner | {' | '.join(f'seed {seed}' for seed in seeds)} | mean | spread (sd) |"]
    lines.append("|---|" + "--:|" * (len(seeds) + 2))
    for name in dict.fromkeys(row["name"] for row in rows):
        each = [rates[name, seed] for seed in seeds]
        cells = [f"{rate:.1%}" for rate in (*each, statistics.mean(each))]
        lines.append(f"| {name} | {' | '.join(cells)} | {statistics.stdev(each):.1%} |")
    apart = [rates["onewarp", seed] - rates["fastai", seed] for seed in seeds]
    cells = [f"{gap:+.1%}" for gap in (*apart, statistics.mean(apart))]
    lines.append(f"| onewarp less fastai | {' | '.join(cells)} | {statistics.stdev(apart):.1%} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("photos", type=click.Path(path_type=Path))
@click.option("--size", default=128, show_default=True)
@click.option("--seeds", default=3, show_default=True, help="How many, two at least.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keep the presized photos here.")
@click.option("--out", type=click.Path(path_type=Path), default=results.RESULTS, help="A folder for the JSON.")
def main(photos: Path, size: int, seeds: int, cache: Path | None, out: Path) -> None:
    """Fine-tune on PHOTOS with both learners, every seed."""
    recipe = pets.Recipe(size=size)
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        learn = pets.learner(pets.loaders(photos, size, "one warp", cache, seed, recipe.bs), seed)
        rows += rows_of(both(learn, recipe, seed), seed)
        click.echo(f"seed {seed}: " + ", ".join(f"{r['name']} {r['error_rate']:.1%}" for r in rows[-2:]), err=True)
    counts = {name: len(numbers) for name in ("train", "valid") if (numbers := learn.dls.rows.select(name)) is not None}
    found = {**results.about("learners", "cpu", {**asdict(recipe), **counts}), "rows": rows, "asked": []}
    click.echo(results.write(found, out))
    click.echo(table(found))


if __name__ == "__main__":
    main()
