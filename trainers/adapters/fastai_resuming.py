"""A fastai training that may be killed at any moment: a callback that writes where it stands, and goes on from there.

```python
learn = vision_learner(as_fastai(dls), resnet34)
learn.fine_tune(5, cbs=resumable(dls, "run.ckpt"))      # killed, the same script goes on at the next batch
```

Where a script calls `fit` several times, all calls get the same callback.
"""

from pathlib import Path
from typing import Any

from accelerate import PartialState
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ...errors import TrainingError, UsageError
from ...pipeline import DataLoaders
from ...pipeline.loading.position import integer
from .. import generators, saving
from ..checkpoint import FORMAT, data_of, pipeline_of, refuse_other_data
from ..weights import load_weights, refuse_other_model, weights_of
from .libraries import require

KIND = "fastai checkpoint"


def resumable(dls: DataLoaders, path: str | Path, every: int = 100) -> Any:
    """A fastai callback that writes a checkpoint every `every` steps and after each epoch, and goes on from it.

    Weights, optimiser, generators and the loader's position are as they were; the averages that fastai prints are not.
    Raises `MissingDependencyError` where fastai is not installed or too old, `TrainingError` where the checkpoint is
    not of this model and data.
    """
    require("fastai", "resumable")
    from fastai.basics import Callback, CancelEpochException, CancelFitException

    if every < 1:
        raise UsageError(f"every must be at least 1, but got {every}")
    file = Path(path)

    class Resumable(Callback):  # type: ignore[misc]
        """Counts calls of `fit`, epochs over all of them, and steps in the epoch."""

        order = 70  # after all that sets up a fit, or measures an epoch

        def __init__(self) -> None:
            self.fits_done = self.epochs_done = self.steps_done = 0
            self.trained = False
            self.place: dict[str, Any] | None = read_place(file) if file.exists() else None

        def before_fit(self) -> None:
            """Skip a fit that lies behind; go into the one in which the checkpoint stands."""
            if self.place is not None and self.fits_done < self.place["fit"]:
                raise CancelFitException
            if self.place is not None and self.fits_done == self.place["fit"]:
                load(self.learn, dls, file)
            else:
                self.place = None

        def before_epoch(self) -> None:
            """Skip an epoch that lies behind."""
            if self.place is not None and self.fits_done == self.place["fit"] and self.epoch < self.place["epoch"]:
                raise CancelEpochException

        def before_train(self) -> None:
            """Put the loader, and fastai's count of what is done, where they stood."""
            dls.train.set_epoch(self.epochs_done + self.epoch)
            self.steps_done, self.trained = 0, True
            if self.place is not None and self.place["step"]:
                dls.train.load_state_dict(self.place["loader"])
                self.steps_done = self.place["step"]
                for _ in range(self.steps_done):  # as fastai adds it up, for rates that are equal to the last bit
                    self.learn.pct_train += 1 / (len(dls.train) * self.n_epoch)
            self.place = None

        def before_batch(self) -> None:
            """Count the batches of an epoch as if it had not been stopped, for whoever ends an epoch early."""
            if self.training:
                self.learn.iter = self.steps_done

        def after_batch(self) -> None:
            """Write, if it is time."""
            if self.training:
                self.steps_done += 1
                if self.steps_done % every == 0:
                    self.write(self.epoch, self.steps_done)

        def after_epoch(self) -> None:
            """Write that the next epoch begins."""
            if self.trained:
                self.write(self.epoch + 1, 0)
            self.trained = False

        def after_fit(self) -> None:
            """Count the call of `fit`."""
            self.fits_done, self.epochs_done = self.fits_done + 1, self.epochs_done + self.n_epoch

        def write(self, epoch: int, step: int) -> None:
            """Write where it stands."""
            place = {"fit": self.fits_done, "epoch": epoch, "step": step, "loader": dls.train.state_dict()}
            save(self.learn, dls, file, place)

    return Resumable()


def save(learn: Any, dls: DataLoaders, path: Path, place: dict[str, Any]) -> None:
    """Write a fastai learner's weights and optimiser, and every process's generators; every process must call it."""
    tensors = {f"model.{name}": value for name, value in weights_of(unwrap(learn.model)).items()}
    state = learn.opt.state_dict()
    for number, one in enumerate(state["state"]):
        tensors |= {f"opt.{number}.{name}": value for name, value in one.items() if isinstance(value, Tensor)}
    plain = [{name: value for name, value in one.items() if not isinstance(value, Tensor)} for one in state["state"]]
    facts = {
        "kind": KIND,
        "format": FORMAT,
        "pipeline": pipeline_of(dls),
        "data": data_of(dls),
        "place": place,
        "optimiser": plain,
        "hypers": [{name: float(value) for name, value in group.items()} for group in state["hypers"]],
    }
    processes = PartialState()
    tensors |= generators.of_every_process(processes)
    if processes.is_main_process:
        saving.write(path, tensors, facts)
    processes.wait_for_everyone()


def read_place(path: Path) -> dict[str, Any]:
    """Where a checkpoint stands: which `fit`, `epoch` and `step`, and the loader's own state."""
    facts = saving.read(path)[1]
    with saving.parsing(path):
        place = {name: integer(name, facts["place"][name], 0) for name in ("fit", "epoch", "step")}
        return place | {"loader": dict(facts["place"]["loader"])}


def load(learn: Any, dls: DataLoaders, path: Path) -> None:
    """Put a checkpoint's weights, optimiser and generators into a fastai learner."""
    tensors, facts = saving.read(path)
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    refuse_other_model(unwrap(learn.model), weights, path)
    with saving.parsing(path):
        if facts.get("kind") != KIND:
            raise TrainingError(f"{path} must be a {KIND}, but is a {facts.get('kind')}")
        refuse_other_data(path, facts["pipeline"], facts.get("data"), dls)
        state = _optimiser_state(learn, tensors, facts["optimiser"])
        hypers = [{name: float(value) for name, value in group.items()} for group in facts["hypers"]]
        if len(hypers) != len(learn.opt.hypers):
            raise ValueError(f"there are settings for {len(hypers)} groups, not {len(learn.opt.hypers)}")
        generators.check(tensors)
    load_weights(unwrap(learn.model), weights, path)
    learn.opt.load_state_dict({"state": state, "hypers": hypers})
    generators.restore(tensors, PartialState().process_index)


def _optimiser_state(learn: Any, tensors: dict[str, Tensor], plain: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each parameter's means are; raises `ValueError` where one has another shape than its parameter."""
    state: list[dict[str, Any]] = [dict(one) for one in plain]
    parameters = [entry[0] for entry in learn.opt.all_params()]
    if len(state) != len(parameters):
        raise ValueError(f"there are means for {len(state)} parameters, not {len(parameters)}")
    device = next(learn.model.parameters()).device
    for name, value in tensors.items():
        if name.startswith("opt."):
            _, number, key = name.split(".", 2)
            if value.ndim and value.shape != parameters[int(number)].shape:
                raise ValueError(f"{name} is {list(value.shape)} for {list(parameters[int(number)].shape)}")
            state[int(number)][key] = value.to(device)
    return state


def unwrap(model: nn.Module) -> nn.Module:
    """The model itself, without the wrapper of DDP."""
    inner: nn.Module = model.module if isinstance(model, DistributedDataParallel) else model
    return inner
