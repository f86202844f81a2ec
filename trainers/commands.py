"""The commands of training: they parse, call and print."""

import json
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..pipeline.recipes import fused_from
from .demo import demo as run_demo
from .run import Settings
from .run import train as run_train
from .serving import load_learner

DEFAULT = "Resize(460) | aug_transforms(size=224, min_scale=0.75)"


def _say(line: str) -> None:
    click.echo(line, err=True)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="A folder of photos; drawn ones if not given.")
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--epochs", default=14, show_default=True)
@click.option("--seed", default=0, show_default=True)
def demo(data: Path | None, out: Path, epochs: int, seed: int) -> None:
    """The main job, end to end: photos, a cache, one warp, a short training, and a report to look at."""
    click.echo(run_demo(data, out, epochs, seed, _say))


@click.command()
@click.argument("cache", type=click.Path(path_type=Path))
@click.option("--model", default="resnet34", show_default=True, help="A timm model, or small_resnet.")
@click.option("--epochs", default=5, show_default=True)
@click.option("--lr", default="auto", show_default=True, help="A rate, or auto: the finder's valley.")
@click.option("--pretrained/--no-pretrained", default=True, show_default=True)
@click.option("--weights", type=click.Path(path_type=Path), help="A file of weights for the model's body.")
@click.option("--precision", type=click.Choice(["no", "bf16", "fp16"]), default="no", show_default=True)
@click.option("--bs", default=64, show_default=True, help="Images in a batch.")
@click.option("--seed", default=0, show_default=True)
@click.option("--transforms", "-t", default=DEFAULT, show_default=True, help="A text like this, or a JSON file.")
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("run"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def train(
    cache: Path, lr: str, weights: Path | None, transforms: str, out: Path, as_json: bool, **options: Any
) -> None:
    """Train on CACHE: a model, and a report. Stopped at any point, the same command goes on."""
    settings = Settings(lr=_rate(lr), weights=None if weights is None else str(weights), **options)
    done = run_train(cache, fused_from(transforms), settings, out, _say)
    if as_json:
        facts = {"model": str(done.model), "report": str(done.report), "lr": done.lr, **done.values}
        click.echo(json.dumps(facts))
        return
    click.echo(done.model)
    click.echo(done.report)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def predict(model: Path, files: tuple[Path, ...], as_json: bool) -> None:
    """What each of FILES shows, according to MODEL, a file that `onewarp train` left: path, label, probability."""
    learn = load_learner(model)
    if missing := [file for file in files if not file.is_file()]:
        raise UsageError(f"files must exist, but {missing[0]} does not")
    predictions, _, decoded = learn.get_preds(learn.dls.test_dl(list(files)), with_decoded=True)
    assert predictions is not None
    assert decoded is not None
    for file, row, answer in zip(files, predictions, decoded, strict=True):
        label, sure = learn.label(answer), row.max().item() if answer.ndim == 0 else None
        label = label if isinstance(label, str | list) else answer.tolist()
        if as_json:
            click.echo(json.dumps({"file": str(file), "label": label, "probability": sure}))
        else:
            words = ", ".join(map(str, label)) if isinstance(label, list) else label
            click.echo(f"{file}\t{words}" + ("" if sure is None else f"\t{sure:.4f}"))


def _rate(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"lr must be a number or auto, but got {text!r}") from None
