"""The commands of training: they parse, call and print."""

import json
import math
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..pipeline.commands.cache_argument import connection_options, connection_settings, opened
from ..pipeline.dataset.items import get_image_files
from ..pipeline.service.addresses import is_address
from ..pipeline.service.answers import Answer, Refusal
from ..pipeline.service.asking import predict as ask_servers
from ..pipeline.service.remote_cache import servers_at
from .demo import demo as run_demo
from .run import MODEL, Settings
from .run import train as run_train
from .serving import load_learner

DEFAULT = "Resize(460) | aug_transforms(size=224, min_scale=0.75)"


def _say(line: str) -> None:
    click.echo(line, err=True)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="A folder of photos; drawn ones if not given.")
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=14, show_default=True)
@click.option("--seed", default=0, show_default=True)
def demo(data: Path | None, out: Path, epochs: int, seed: int) -> None:
    """The main job, end to end: photos, a cache, one warp, a short training, and a report to look at."""
    click.echo(run_demo(data, out, epochs, seed, _say))


@click.command()
@click.argument("cache")
@connection_options
@click.option(
    "--augment",
    type=click.Choice(["client", "server"]),
    default="client",
    show_default=True,
    help="Who warps where CACHE is the address of a service: this machine, or that one if this has few cores.",
)
@click.option("--model", default="resnet34", show_default=True, help="A timm model, or small_resnet.")
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--lr", default="auto", show_default=True, help="A rate, or auto: the finder's valley.")
@click.option("--pretrained/--no-pretrained", default=True, show_default=True)
@click.option("--weights", type=click.Path(path_type=Path), help="A file of weights for the model's body.")
@click.option("--precision", type=click.Choice(["no", "bf16", "fp16"]), default="no", show_default=True)
@click.option("--bs", type=click.IntRange(1), default=64, show_default=True, help="Images in a batch.")
@click.option("--seed", default=0, show_default=True)
@click.option("--transforms", "-t", default=DEFAULT, show_default=True, help="A text like this, or a JSON file.")
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("run"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def train(
    cache: str,
    token_file: Path | None,
    roots: Path | None,
    augment: str,
    lr: str,
    weights: Path | None,
    transforms: str,
    out: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Train on CACHE, a folder or grpc://HOST:PORT/NAME: a model, and a report.

    Stopped at any point, the same command goes on.
    """
    settings = Settings(lr=_rate(lr), weights=None if weights is None else str(weights), **options)
    words = click.get_current_context().find_root().obj
    if augment == "server" and not is_address(cache):
        raise UsageError(f"augment must be client where no service is asked, but got server and the folder {cache}")
    served = {"augment": augment} if is_address(cache) else {}
    with opened(cache, token_file, roots, **served) as stored:
        done = run_train(stored, transforms, settings, out, _say, command=words and shlex.join(["onewarp", *words]))
    if as_json:
        facts = {"model": str(done.model), "report": str(done.report), "lr": done.lr, **done.values}
        click.echo(json.dumps(facts))
        return
    click.echo(done.model)
    click.echo(done.report)


@click.command()
@click.argument("model")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top-k", type=click.IntRange(1), help="Print the K most probable labels, each with its probability.")
@click.option("--bs", type=click.IntRange(1), default=64, show_default=True, help="Images in a batch.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@connection_options
def predict(
    model: str,
    files: tuple[Path, ...],
    top_k: int | None,
    bs: int,
    as_json: bool,
    token_file: Path | None,
    roots: Path | None,
) -> None:
    """What each of FILES shows, according to MODEL: path, label, probability, with tabs between them.

    MODEL is a file that `onewarp train` left, the folder in which it lies, or the address of a service that has a
    model, grpc://HOST:PORT; a folder among FILES stands for the images in it. A file that cannot be read is named on
    stderr, and the exit status is 1; the others are predicted.
    """
    connection = connection_settings(model, token_file, roots)
    images, refused = _images(files), 0
    answers, vocab = _ask_service(model, images, bs, connection) if is_address(model) else _ask(model, images, bs)
    for one in answers:
        if isinstance(one, Refusal):
            refused += 1
            click.echo(f"rejected {one.item}: {one.reason}", err=True)
            if as_json:
                click.echo(json.dumps({"file": str(one.item), "error": one.reason}))
        elif as_json:
            click.echo(json.dumps(_facts(one, vocab, top_k)))
        else:
            click.echo("\t".join(_words(one, vocab, top_k)))
    if refused:
        raise SystemExit(1)


def _ask(model: str, images: list[Path], bs: int) -> tuple[Iterable[Answer | Refusal], Sequence[Any] | None]:
    """What a model in a file says, and the names of its classes."""
    path = Path(model)
    learn = load_learner(path / MODEL if path.is_dir() else path)
    return learn.answers(images, bs), learn.dls.vocab


def _ask_service(
    address: str, images: list[Path], bs: int, connection: dict[str, Any]
) -> tuple[Iterable[Answer | Refusal], Sequence[Any] | None]:
    """What the model of a service says, and the names of its classes."""
    replies = ask_servers(servers_at(address, **connection), images, batch_size=bs)
    return replies, replies.vocab


def _images(files: tuple[Path, ...]) -> list[Path]:
    """The files, with all images of a folder in its place."""
    found = [(file, get_image_files(file) if file.is_dir() else [file]) for file in files]
    if empty := [file for file, images in found if not images]:
        raise UsageError(f"files must be images, or folders of them, but {empty[0]} holds none")
    return [image for _, images in found for image in images]


def _facts(answer: Answer, vocab: Sequence[Any] | None, top_k: int | None) -> dict[str, Any]:
    """An answer as plain values, for JSON."""
    label = answer.label if answer.is_class else answer.label.tolist()
    facts = {"file": str(answer.item), "label": label, "probability": answer.probability}
    if top_k is None or not answer.is_class:
        return facts
    return facts | {"top": [{"label": name, "probability": p} for name, p in _most_probable(answer, vocab, top_k)]}


def _words(answer: Answer, vocab: Sequence[Any] | None, top_k: int | None) -> list[str]:
    """An answer for people."""
    if not answer.is_class:
        return [str(answer.item), str(answer.label.tolist())]
    if top_k is not None:
        pairs = _most_probable(answer, vocab, top_k)
        return [str(answer.item), *(word for name, p in pairs for word in (str(name), f"{p:.4f}"))]
    several = isinstance(answer.label, list)
    labels, sure = answer.label if several else [answer.label], answer.probability
    sures = sure if isinstance(sure, list) else [sure]
    return [str(answer.item), ", ".join(map(str, labels)), ", ".join(f"{p:.4f}" for p in sures)]


def _most_probable(answer: Answer, vocab: Sequence[Any] | None, count: int) -> list[tuple[Any, float]]:
    found = answer.probabilities.topk(min(count, len(answer.probabilities)))
    return [(n if vocab is None else vocab[n], p) for p, n in zip(found[0].tolist(), found[1].tolist(), strict=True)]


def _rate(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise UsageError(f"lr must be a positive number or auto, but got {text!r}")
    return rate
