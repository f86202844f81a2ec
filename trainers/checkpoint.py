"""A training that can be killed at any moment: what it is, where it stands, and how it goes on from there.

A checkpoint is one safetensors file: weights, the optimiser's state and every process's random generators as tensors;
the place in the run, the loader's position and the history as JSON. It is written aside and renamed.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import SpecError, TrainingError, UsageError
from . import generators, saving
from .events import Callback, Run, Training

FORMAT = 1


@dataclass(frozen=True)
class Place:
    """Where a checkpoint stands: so many steps into an epoch of a call of `fit`, with the loader's own position."""

    fit: int
    epoch: int
    step: int
    epochs: int
    steps: int
    loader: dict[str, Any] | None

    def check(self, run: Run) -> None:
        """Raise `TrainingError` unless `run` is the one that was interrupted."""
        if (run.epochs, run.steps) != (self.epochs, self.steps):
            raise TrainingError(
                f"the checkpoint stands in a run of {self.epochs} epochs of {self.steps} steps, but this one has "
                f"{run.epochs} of {run.steps}: call fit as it was called then"
            )


def save(learn: Any, path: Path) -> Path:
    """Write all that a learner needs to go on from here; every process must call it, and the main one writes."""
    run: Run = learn.run
    loader = learn.dls.train
    learn.recorder.flush(learn)
    facts = {
        "kind": "checkpoint",
        "format": FORMAT,
        "pipeline": pipeline_of(learn.dls),
        "place": {
            "fit": run.number,
            "epoch": run.epoch,
            "step": run.step,
            "epochs": run.epochs,
            "steps": run.steps,
            "loader": loader.state_dict() if run.step and hasattr(loader, "state_dict") else None,
        },
        "epochs": learn.epochs,
        "recorder": learn.recorder.state(),
        "groups": _settings(learn.opt),
        "scaler": None if learn.accelerator.scaler is None else learn.accelerator.scaler.state_dict(),
    }
    tensors = _tensors(learn) | generators.of_every_process(learn.accelerator)
    if learn.accelerator.is_main_process:
        saving.write(path, tensors, facts)
    learn.accelerator.wait_for_everyone()
    return path


def load(learn: Any, path: Path) -> Place:
    """Put a checkpoint's weights, optimiser, generators and history into a learner; returns where to go on.

    Each process gets its own generators back; one more than there were then keeps those that it has.
    """
    tensors, facts = saving.read(path)
    if facts.get("kind") != "checkpoint" or facts.get("format") != FORMAT:
        raise TrainingError(
            f"{path} must be a checkpoint of format {FORMAT}, but is {facts.get('kind')} {facts.get('format')}"
        )
    mine = pipeline_of(learn.dls)
    if facts["pipeline"] != mine:
        raise TrainingError(
            f"{path} must come from the same data pipeline, but it has {facts['pipeline']} and this learner {mine}"
        )
    load_weights(learn.model, {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}, path)
    _load_optimiser(learn.opt, tensors, facts["groups"], path)
    generators.restore(tensors, learn.accelerator.process_index)
    learn.recorder.load(facts["recorder"])
    learn.epochs = facts["epochs"]
    return Place(**facts["place"])


def load_weights(model: torch.nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load weights that must fit one by one; raises `TrainingError` naming what does not."""
    own = model.state_dict()
    wrong = [name for name in own.keys() | weights.keys() if _shape(own, name) != _shape(weights, name)]
    if wrong:
        name = min(wrong)
        raise TrainingError(
            f"{path} is of another model: {len(wrong)} tensors differ, such as {name!r}, which must be "
            f"{_shape(own, name)}, but is {_shape(weights, name)} there"
        )
    model.load_state_dict(weights)


def pipeline_of(dls: Any) -> str | None:
    """A name for the data's pipeline: its own fingerprint, or the hash of its JSON; None where it has neither."""
    found = getattr(dls, "fingerprint", None)
    if found is None and hasattr(dls, "to_json"):
        try:
            return hashlib.blake2b(dls.to_json().encode(), digest_size=8).hexdigest()
        except SpecError:  # a lambda among the transforms: it cannot be told from another
            return None
    return None if found is None else str(found() if callable(found) else found)


def _shape(tensors: dict[str, Tensor], name: str) -> list[int] | str:
    return list(tensors[name].shape) if name in tensors else "missing"


def _settings(opt: Any) -> list[dict[str, Any]]:
    """The optimiser's groups without their parameters: rates, betas."""
    return [{k: v for k, v in g.items() if k in ("lr", "betas", "weight_decay")} for g in opt.param_groups]


def _tensors(learn: Any) -> dict[str, Tensor]:
    tensors = {f"model.{name}": value for name, value in learn.model.state_dict().items()}
    for index, state in learn.opt.state_dict()["state"].items():
        tensors |= {f"opt.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    return tensors


def _load_optimiser(opt: Any, tensors: dict[str, Tensor], groups: list[dict[str, Any]], path: Path) -> None:
    if len(groups) != len(opt.param_groups):
        raise TrainingError(
            f"{path} must have {len(opt.param_groups)} groups of parameters, but has {len(groups)}: "
            "were groups= or wd_bn_bias= others then?"
        )
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("opt."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    whole = opt.state_dict()
    for mine, saved in zip(whole["param_groups"], groups, strict=True):
        mine |= saved | {"betas": tuple(saved["betas"])}
    opt.load_state_dict({"state": state, "param_groups": whole["param_groups"]})


class Checkpoint(Callback):
    """Writes a checkpoint every `every` steps and after each epoch, over the one before."""

    order = 90

    def __init__(self, path: str | Path, every: int = 100) -> None:
        if every < 1:
            raise UsageError(f"every must be at least 1, but got {every}")
        self.path, self.every = Path(path), every

    def after_batch(self, learn: Training) -> None:
        """Write one, if it is time."""
        if learn.run.step % self.every == 0:
            save(learn, self.path)

    def after_epoch(self, learn: Training) -> None:
        """Write one that stands at the next epoch's beginning."""
        run = learn.run
        epoch, step = run.epoch, run.step
        run.epoch, run.step = epoch + 1, 0
        try:
            save(learn, self.path)
        finally:
            run.epoch, run.step = epoch, step


class SaveBest(Callback):
    """Keeps the weights of the best epoch in a file, and puts them into the model when the run ends.

    `monitor` is a column of the epoch table; `largest` whether more of it is better (told from its name if not given).
    """

    order = 80

    def __init__(self, path: str | Path, monitor: str = "valid_loss", largest: bool | None = None) -> None:
        self.path, self.monitor = Path(path), monitor
        small = any(word in monitor for word in ("loss", "error", "distance"))
        self.largest = not small if largest is None else largest
        self.best = -math.inf if self.largest else math.inf

    def before_fit(self, learn: Training) -> None:
        """After a resumption, know the best epoch of those before it, whose weights the file has."""
        rows = [row[self.monitor] for row in learn.recorder.rows if self.monitor in row]
        if rows and not math.isfinite(self.best) and self.path.exists():
            facts = saving.read(self.path)[1]
            best = max(rows) if self.largest else min(rows)
            if (facts.get("kind"), facts.get("monitor"), facts.get("value")) == ("weights", self.monitor, best):
                self.best = best

    def after_validate(self, learn: Training) -> None:
        """Write the weights if they are the best so far."""
        values = learn.run.values
        if self.monitor not in values:
            raise UsageError(f"monitor must be one of {', '.join(values)}, but got {self.monitor!r}")
        value = values[self.monitor]
        if (value > self.best) if self.largest else (value < self.best):
            self.best = value
            facts = {"kind": "weights", "format": FORMAT, "monitor": self.monitor, "value": value}
            if learn.accelerator.is_main_process:
                saving.write(self.path, learn.model.state_dict(), facts)
            learn.accelerator.wait_for_everyone()

    def after_fit(self, learn: Training) -> None:
        """Put the best weights into the model."""
        if math.isfinite(self.best):
            load_weights(learn.model, saving.read(self.path)[0], self.path)
