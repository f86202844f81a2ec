"""Train on a cache and leave a model, a checkpoint while it goes, and a report: what `onewarp train` does."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import UsageError
from ..pipeline.cache import Cache
from ..pipeline.dataloaders import DataLoaders
from ..transforms import Fused
from .checkpoint import Checkpoint
from .find import valley
from .interpret import ClassificationInterpretation
from .learner import Learner
from .metrics import accuracy_multi, error_rate
from .page import Page
from .recorder import clock
from .vision import vision_learner

Say = Callable[[str], None]


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
class Trained:
    """What a run leaves: files, and the last line of the epoch table."""

    model: Path
    report: Path
    lr: float
    values: dict[str, float]


def loaders(cache: str | Path, transforms: Fused, bs: int = 64, seed: int = 0) -> DataLoaders:
    """The loaders of a cache that has labels and the splits `train` and `valid`.

    Raises `UsageError` where it has not.
    """
    stored = Cache.open(cache)
    if stored.vocab is None:
        raise UsageError(f"{cache} must have labels to train for, but has none: presize with --label")
    return DataLoaders.of_cache(stored, transforms, targets=["label"], bs=bs, seed=seed)


def train(
    cache: str | Path, transforms: Fused, settings: Settings, out: str | Path, say: Say = lambda line: None
) -> Trained:
    """Train, export the model to `out/model.safetensors` and write `out/report.html`.

    Killed, it goes on from `out/checkpoint.safetensors` when it is called again with the same settings.

    Raises `UsageError` where `out` holds a run with other settings.
    """
    out = Path(out)
    dls = loaders(cache, transforms, settings.bs, settings.seed)
    metrics = [error_rate] if dls.loss == "category" else [accuracy_multi]
    learn = vision_learner(
        dls,
        settings.model,
        settings.pretrained,
        settings.weights,
        metrics=metrics,
        precision=settings.precision,
    )
    lr = _rate(learn, settings, out, say)
    kept = out / "checkpoint.safetensors"
    if kept.exists():
        learn.resume(kept)
        say(f"going on from {kept}")
    learn.cbs.append(Checkpoint(kept))
    if settings.pretrained or settings.weights:
        learn.fine_tune(settings.epochs, lr)
    else:
        learn.fit_one_cycle(settings.epochs, lr)
    model = learn.export(out / "model.safetensors")
    report = _report(learn, settings, lr, cache).write(out / "report.html")
    kept.unlink(missing_ok=True)
    (out / "run.json").unlink()
    return Trained(model, report, lr, learn.recorder.rows[-1])


def _rate(learn: Learner, settings: Settings, out: Path, say: Say) -> float:
    """The learning rate: given, found, or the one found by the run that is being taken up."""
    out.mkdir(parents=True, exist_ok=True)
    memory = out / "run.json"
    if memory.exists():
        before = json.loads(memory.read_text())
        if before["settings"] != asdict(settings):
            raise UsageError(
                f"{out} holds an unfinished run with other settings: use them, another folder, or empty it"
            )
        return float(before["lr"])
    lr = settings.lr
    if lr is None:
        lr = float(learn.lr_find(suggest_funcs=(valley,)).valley)
        say(f"learning rate {lr:.2e}, found by valley")
    aside = memory.with_suffix(".part")
    aside.write_text(json.dumps({"settings": asdict(settings), "lr": lr}))
    os.replace(aside, memory)
    return lr


def _report(learn: Learner, settings: Settings, lr: float, cache: str | Path) -> Page:
    page = Page("onewarp train", f"{settings.model} on {Path(cache).name}, {settings.epochs} epochs at {lr:.2e}")
    rows = learn.recorder.rows
    names = list(rows[0])
    page.tiles([(n, clock(rows[-1][n]) if n == "time" else f"{rows[-1][n]:.4f}") for n in names])
    page.section("Training")
    page.figure(learn.recorder.plot_loss(), "training and validation loss")
    page.figure(learn.recorder.plot_lr(), "learning rate and momentum")
    page.table(
        ["epoch", *names], [[i, *(clock(r[n]) if n == "time" else r[n] for n in names)] for i, r in enumerate(rows)]
    )
    page.section("Results").figure(learn.show_results(12), "images with targets and predictions")
    if learn.dls.loss == "category":
        ClassificationInterpretation.from_learner(learn).add_to(page)
    return page
