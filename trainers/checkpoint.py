"""A training that can be killed at any moment: what it is, where it stands, and how it goes on from there.

A checkpoint is one safetensors file: weights, the optimiser's state and every process's random generators as tensors;
the place in the run, the loader's position and the history as JSON. It is written aside and renamed.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import SpecError, TrainingError, UsageError
from ..pipeline import Loader
from ..pipeline.loading.position import integer
from . import generators, saving
from .events import Callback, Run, Training
from .recorder import Recorder
from .training_data import FingerprintData, SerializableData, StatefulBatches, TrainingData
from .weights import load_weights, refuse_other_model, weights_of

FORMAT = 2
FORMATS = (1, FORMAT)  # 1 is without a digest


@dataclass(frozen=True)
class Position:
    """Where a checkpoint stands: so many steps into an epoch of a call of `fit`, with the loader's own position."""

    fit: int
    epoch: int
    step: int
    epochs: int
    steps: int
    loader: dict[str, Any] | None

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Position":
        """The position that a file's facts tell; raises `UsageError`, `KeyError` or `TypeError` where it is none."""
        epochs, steps = integer("epochs", facts["epochs"], 1), integer("steps", facts["steps"], 1)
        epoch, step = integer("epoch", facts["epoch"], 0, epochs), integer("step", facts["step"], 0, steps)
        loader = facts["loader"]
        return cls(integer("fit", facts["fit"], 0), epoch, step, epochs, steps, None if loader is None else {**loader})

    def check(self, run: Run, loader: Any) -> None:
        """Raise `TrainingError` unless `run` is the one that was interrupted.

        A loader of ours counts samples, so that its epochs may have another number of steps, as among other processes.
        """
        if run.epochs != self.epochs or (run.steps != self.steps and not self._counts(loader)):
            raise TrainingError(
                f"the checkpoint stands in a run of {self.epochs} epochs of {self.steps} steps, but this one has "
                f"{run.epochs} of {run.steps}: call fit as it was called then, with as many processes"
            )
        if self._counts(loader):
            loader.load_state_dict(self.loader)

    def samples_before(self, loader: Any) -> int:
        """Samples of the epoch that lie behind, over all processes, as a loader of ours counts them; else 0."""
        return int(self.loader["delivered"]) if self.step and self.loader and self._counts(loader) else 0

    def _counts(self, loader: Any) -> bool:
        return self.loader is not None and isinstance(loader, Loader)


def save(learn: Any, path: Path) -> Path:
    """Write all that a learner needs to go on from here; every process must call it, and the main one writes."""
    run: Run = learn.run
    loader = learn.dls.train
    learn.recorder.flush(learn)
    facts = {
        "kind": "checkpoint",
        "format": FORMAT,
        "pipeline": pipeline_of(learn.dls),
        "data": data_of(learn.dls),
        "place": {
            "fit": run.fit_index,
            "epoch": run.epoch,
            "step": run.step,
            "epochs": run.epochs,
            "steps": run.steps,
            "loader": loader.state_dict() if isinstance(loader, StatefulBatches) else None,
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


def load(learn: Any, path: Path) -> Position:
    """Put a checkpoint's weights, optimiser, generators and history into a learner; returns where to go on.

    Each process gets its own generators back; one more than there were then keeps those that it has.
    """
    tensors, facts = saving.read(path)
    if facts.get("kind") != "checkpoint" or facts.get("format") not in FORMATS:
        raise TrainingError(
            f"{path} must be a checkpoint of format {FORMAT}, but is {facts.get('kind')} {facts.get('format')}"
        )
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    refuse_other_model(learn.model, weights, path)
    with saving.parsing(path):
        refuse_other_data(path, facts["pipeline"], facts.get("data"), learn.dls)
        place, epochs = Position.from_facts(facts["place"]), integer("epochs", facts["epochs"], 0)
        state = _optimiser_state(learn.opt, tensors, facts["groups"], path)
        Recorder().load(facts["recorder"])
        generators.check(tensors)
    load_weights(learn.model, weights, path)
    learn.opt.load_state_dict(state)
    if learn.accelerator.scaler is not None and facts["scaler"] is not None:
        learn.accelerator.scaler.load_state_dict(facts["scaler"])
    generators.restore(tensors, learn.accelerator.process_index)
    learn.recorder.load(facts["recorder"])
    learn.epochs = epochs
    return place


def refuse_other_data(path: Path, pipeline: str | None, data: str | None, dls: TrainingData) -> None:
    """Raise `TrainingError`, naming what differs, where a file is of another data pipeline; `data` is its JSON."""
    mine = pipeline_of(dls)
    if pipeline == mine:
        return
    here = data_of(dls)
    told = f"it has {pipeline} and this learner {mine}"
    if data is not None and here is not None:
        told = "; ".join(islice(_differences(json.loads(data), json.loads(here), ()), 3)) or told
    raise TrainingError(f"{path} must come from the same data pipeline, but {told}")


def pipeline_of(dls: TrainingData) -> str | None:
    """A name for the data's pipeline: its own fingerprint, or the hash of its JSON; None where it has neither."""
    if isinstance(dls, FingerprintData) and (name := dls.fingerprint) is not None:
        return str(name() if callable(name) else name)
    data = data_of(dls)
    return None if data is None else hashlib.blake2b(data.encode(), digest_size=8).hexdigest()


def data_of(dls: TrainingData) -> str | None:
    """The data's pipeline as JSON; None where it cannot be written, as a lambda among the transforms."""
    try:
        return str(dls.to_json()) if isinstance(dls, SerializableData) else None
    except SpecError:
        return None


def _settings(opt: Any) -> list[dict[str, Any]]:
    """The optimiser's groups without their parameters: rates, betas."""
    return [{k: v for k, v in g.items() if k in ("lr", "betas", "weight_decay")} for g in opt.param_groups]


def _tensors(learn: Any) -> dict[str, Tensor]:
    tensors = {f"model.{name}": value for name, value in weights_of(learn.model).items()}
    for index, state in learn.opt.state_dict()["state"].items():
        tensors |= {f"opt.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    return tensors


def _optimiser_state(opt: Any, tensors: dict[str, Tensor], groups: list[dict[str, Any]], path: Path) -> dict[str, Any]:
    """What `opt.load_state_dict` takes, once it fits the parameters."""
    if len(groups) != len(opt.param_groups):
        raise TrainingError(
            f"{path} must have {len(opt.param_groups)} groups of parameters, but has {len(groups)}: "
            "were groups= or wd_bn_bias= others then?"
        )
    parameters = [parameter for group in opt.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("opt."):
            _, index, key = name.split(".", 2)
            expected = [] if key == "step" else list(parameters[int(index)].shape)
            if list(value.shape) != expected:
                raise TrainingError(f"{path} must have {name!r} of shape {expected}, but has {list(value.shape)}")
            state.setdefault(int(index), {})[key] = value
    if len({frozenset(entry) for entry in state.values()}) > 1:
        raise TrainingError(f"{path} must have the same means for every parameter, but some lack one")
    whole = opt.state_dict()
    for mine, saved in zip(whole["param_groups"], groups, strict=True):
        first, second = saved["betas"]
        numbers = {"lr": saved["lr"], "weight_decay": saved["weight_decay"]}
        mine |= {name: float(value) for name, value in numbers.items()} | {"betas": (float(first), float(second))}
    return {"state": state, "param_groups": whole["param_groups"]}


def _differences(there: Any, here: Any, place: tuple[str, ...]) -> Iterator[str]:
    """In words, where two values of JSON differ."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name in sorted(there.keys() | here.keys()):
            yield from _differences(there.get(name), here.get(name), (*place, name))
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, pair in enumerate(zip(there, here, strict=True)):
            yield from _differences(*pair, (*place, str(number)))
    elif there != here:
        yield f"{'.'.join(place)} was {_short(there)} there, and is {_short(here)} here"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."


class Checkpoint(Callback):
    """Writes a checkpoint every `every` batches and after each epoch, over the one before.

    Gradients that accumulate are in no checkpoint: it is written at the next step of the optimiser.
    """

    order = 90

    def __init__(self, path: str | Path, every: int = 100) -> None:
        if every < 1:
            raise UsageError(f"every must be at least 1, but got {every}")
        self.path, self.every = Path(path), every
        self._steps = 0  # batches of the epoch at the optimiser's last step
        self._stepped = False

    def before_epoch(self, learn: Training) -> None:
        """Count from where the epoch begins."""
        self._steps = learn.run.step

    def after_step(self, learn: Training) -> None:
        """Know that no gradients wait."""
        self._stepped = True

    def after_batch(self, learn: Training) -> None:
        """Write one, if it is time, and the optimiser has stepped."""
        if not self._stepped:
            return
        before, self._steps, self._stepped = self._steps, learn.run.step, False
        if self._steps // self.every > before // self.every:
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
                saving.write(self.path, weights_of(learn.model), facts)
            learn.accelerator.wait_for_everyone()

    def after_fit(self, learn: Training) -> None:
        """Put the best weights into the model."""
        if math.isfinite(self.best):
            load_weights(learn.model, saving.read(self.path)[0], self.path)
