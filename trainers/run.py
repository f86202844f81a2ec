"""Train on a cache and leave a model, a checkpoint while it goes, and a report: what `onewarp train` does."""

import json
import math
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ..errors import UsageError
from ..pipeline.cache.open_cache import OpenCache
from ..pipeline.cache.recipe import differences
from ..pipeline.commands.transform_texts import read_fused
from ..pipeline.datablock.dataloaders import DataLoaders
from ..pipeline.service.remote_cache import open_cache
from ..transforms import Fused
from . import saving
from .checkpoint import Checkpoint
from .find import valley
from .interpret import ClassificationInterpretation
from .learner import Learner
from .metrics import accuracy_multi, error_rate
from .page import Page
from .recorder import clock
from .training_data import kind_of
from .vision import vision_learner

Say = Callable[[str], None]
MODEL, CHECKPOINT, MEMORY = "model.safetensors", "checkpoint.safetensors", "run.json"
"""The files of a run; the last two are there as long as it is not finished."""


@dataclass(frozen=True)
class Settings:
    """How to train; `lr=None` lets the finder choose, which is kept for a run that goes on after a stop."""

    model: str = "resnet34"
    epochs: int = 5
    lr: float | None = None
    pretrained: bool = True
    weights: str | None = None
    precision: str = "no"
    bs: int = 64
    seed: int = 0


@dataclass(frozen=True)
class TrainingRun:
    """The files that a run has written, its learning rate, and the last line of the table of epochs."""

    model: Path
    report: Path
    lr: float
    values: dict[str, float]


def loaders(cache: str | Path | OpenCache, transforms: Fused, bs: int = 64, seed: int = 0) -> DataLoaders:
    """The loaders of a cache that has labels and the splits `train` and `valid`.

    Raises `UsageError` where it has not.
    """
    stored = open_cache(cache)
    if stored.vocab is None:
        raise UsageError(f"{stored.place} must have labels to train for, but has none: presize with --label")
    return DataLoaders.of_cache(stored, transforms, targets=["label"], bs=bs, seed=seed)


def train(
    cache: str | Path | OpenCache,
    transforms: str | Fused,
    settings: Settings,
    out: str | Path,
    say: Say = lambda line: None,
    command: str | None = None,
) -> TrainingRun:
    """Train, export the model to `out/model.safetensors` and write `out/report.html`.

    `cache` is a folder, the address of a service, or opened. `transforms` may be a text
    (`transform_texts.read_transforms`). The report shows it, and `command`. The same settings give the same weights:
    torch's generators are seeded, and left as they were. Killed, it goes on from `out/checkpoint.safetensors` when it
    is called again with the same settings.

    Raises `UsageError` where `out` holds a run with other settings.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"out must be a folder, but {out} is a file")
    fused = read_fused(transforms) if isinstance(transforms, str) else transforms
    stored = open_cache(cache)
    dls = loaders(stored, fused, settings.bs, settings.seed)
    out.mkdir(parents=True, exist_ok=True)  # before anything that takes long
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        learn, lr = _train(dls, settings, out, say)
    model = learn.export(out / MODEL)
    recipe = transforms if isinstance(transforms, str) else " | ".join(map(repr, fused.transforms))
    report = _report(learn, _origin(learn, settings, lr, stored, recipe, command)).write(out / "report.html")
    (out / CHECKPOINT).unlink(missing_ok=True)
    (out / MEMORY).unlink()
    return TrainingRun(model, report, lr, learn.recorder.rows[-1])


def _train(dls: DataLoaders, settings: Settings, out: Path, say: Say) -> tuple[Learner[DataLoaders], float]:
    """A learner that has been trained, and its learning rate."""
    metrics = [error_rate] if dls.loss == "category" else [accuracy_multi]
    pretrained = settings.pretrained or settings.weights is not None
    learn = vision_learner(
        dls, settings.model, settings.pretrained, settings.weights, metrics=metrics, precision=settings.precision
    )
    lr = _rate(learn, settings, out, say)
    checkpoint = out / CHECKPOINT
    if checkpoint.exists():
        learn.resume(checkpoint)
        say(f"going on from {checkpoint}")
    learn.cbs.append(Checkpoint(checkpoint))
    if pretrained:
        learn.fine_tune(settings.epochs, lr)
    else:
        learn.fit_one_cycle(settings.epochs, lr)
    return learn, lr


def _rate(learn: Learner, settings: Settings, out: Path, say: Say) -> float:
    """The learning rate: given, found, or the one found by the run that is being taken up."""
    memory = out / MEMORY
    if memory.exists():
        with saving.parsing(memory):
            memo = json.loads(memory.read_text(encoding="utf-8"))
            stored, rate = dict(memo["settings"]), float(memo["lr"])
        if changes := "; ".join(differences(stored, asdict(settings))):
            raise UsageError(
                f"{out} holds an unfinished run with other settings ({changes}): give the same settings, or another "
                "folder, or empty this one"
            )
        return rate
    lr = settings.lr
    if lr is None:
        lr = float(learn.lr_find(suggest_funcs=(valley,)).valley)
        say(f"learning rate {lr:.2e}, found by valley")
    aside = memory.with_suffix(".part")
    aside.write_text(json.dumps({"settings": asdict(settings), "lr": lr}), encoding="utf-8")
    os.replace(aside, memory)
    return lr


# The report ---------------------------------------------------------------------------------------------------------


def _origin(
    learn: Learner, settings: Settings, lr: float, stored: OpenCache, recipe: str, command: str | None
) -> list[tuple[str, str]]:
    """What the model was made of, by name: enough to make it again."""
    splits = ", ".join(f"{name} {count}" for name, count in stored.splits.items())
    weights = settings.weights or ("pretrained" if settings.pretrained else "none, from nothing")
    return [
        *([("command", command)] if command else []),
        ("cache", f"{stored.place}: {len(stored)} rows ({splits}), pixels {stored.fingerprint}"),
        ("transforms", recipe),
        ("model", f"{settings.model}, weights: {weights}"),
        ("learning rate", f"{lr:.3e}{'' if settings.lr else ', found by valley'}"),
        ("batch size", str(settings.bs)),
        ("precision", settings.precision),
        ("seed", str(settings.seed)),
        ("device", str(learn.accelerator.device)),
        ("versions", ", ".join(f"{name} {found}" for name, found in _versions())),
    ]


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    for name in ("onewarp", "torch", "timm", "accelerate"):
        with suppress(PackageNotFoundError):
            yield name, version(name)


def _report(learn: Learner, origin: list[tuple[str, str]]) -> Page:
    rows, names = learn.recorder.rows, list(learn.recorder.rows[0])
    best = min(range(len(rows)), key=lambda i: rows[i].get("valid_loss", math.inf))
    page = Page("onewarp train", f"{len(rows)} epochs")
    page.tiles([(n, clock(rows[-1][n]) if n == "time" else f"{rows[-1][n]:.4f}") for n in names])
    page.section("How it was made").table(["", ""], origin)
    page.section(
        "Training",
        f"Epoch {best} has the lowest validation loss, {rows[best].get('valid_loss', math.nan):.4f}; the model is that "
        f"of the last epoch, {len(rows) - 1}. Above are its numbers.",
    )
    page.figure(learn.recorder.plot_loss(), "training and validation loss")
    page.figure(learn.recorder.plot_lr(), "learning rate and momentum")
    page.table(
        ["epoch", *names], [[i, *(clock(r[n]) if n == "time" else r[n] for n in names)] for i, r in enumerate(rows)]
    )
    page.section(
        "Results",
        "Images spread evenly over the validation set: above what each is, below what is predicted; green where that "
        "is right, red where it is wrong.",
    )
    page.figure(learn.show_results(12), "images with targets and predictions")
    if kind_of(learn.dls) == "category":
        ClassificationInterpretation.from_learner(learn).add_to(page)
    return page
