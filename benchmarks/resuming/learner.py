"""onewarp's own Learner."""

import shutil
from pathlib import Path

from accelerate import PartialState

from ...trainers import Callback, Checkpoint, Learner
from ...trainers.events import Training
from . import data
from .traces import EPOCHS, Trace, is_alone

IDIOMS = ("fit_one_cycle", "fine_tune", "accumulate", "lr_find", "compiled")


class Watch(Callback):
    """Notes batches and rates."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def before_batch(self, learn: Training) -> None:
        """Note the batch that is trained on."""
        self.trace.train(learn.run.batch[0])

    def after_step(self, learn: Training) -> None:
        """Note the rate of a step."""
        self.trace.rates.append(learn.opt.param_groups[-1]["lr"])


class Keep(Callback):
    """Keeps each checkpoint that is written."""

    order = 95

    def __init__(self, trace: Trace, file: Path) -> None:
        self.trace, self.file = trace, file

    def after_batch(self, learn: Training) -> None:
        """Keep the checkpoint within an epoch."""
        self.keep(f"{len(self.trace.batches)}-step")

    def after_epoch(self, learn: Training) -> None:
        """Keep the checkpoint at an epoch's end."""
        self.keep(f"{len(self.trace.batches)}-epoch")

    def keep(self, name: str) -> None:
        """Move what was just written, if anything was."""
        processes = PartialState()
        if written := self.file.exists():
            self.trace.mark(name)
        processes.wait_for_everyone()
        if written and processes.is_main_process:
            shutil.move(self.file, self.file.parent / name)
        processes.wait_for_everyone()


def run(idiom: str, folder: Path, start: Path | None, make: data.Make = data.loaders) -> Trace:
    """Train; `Checkpoint` writes after each step and each epoch, and what it wrote is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    trace, file = Trace(), folder / "run.safetensors"
    dls = make(tail="ragged" if is_alone() else "pad")
    accumulate = 3 if idiom == "accumulate" else 1
    model = data.model(compiled=idiom == "compiled")
    learn = Learner(dls, model, lr=1e-2, accumulate=accumulate, table=False)
    if idiom == "lr_find":
        learn.lr_find(num_it=20)
    learn.cbs += [Watch(trace), *([Checkpoint(file, every=1), Keep(trace, file)] if start is None else [])]
    if start is not None:
        learn.resume(start)
    if idiom == "fine_tune":
        learn.fine_tune(EPOCHS - 1)
    else:
        learn.fit_one_cycle(EPOCHS)
    return trace.end(model)
