"""fastai's Learner, with `resumable`."""

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

from torch import nn

from ...trainers.adapters import as_fastai, count_epochs, resumable
from . import data
from .traces import EPOCHS, Trace, is_alone

IDIOMS = ("fit_one_cycle", "ShortEpochCallback", "lr_find", "compiled")
ALONE = {"lr_find": "fastai reads back what lr_find has changed in the first process alone, for which the others wait"}


def run(idiom: str, folder: Path, start: Path | None, make: data.Make = data.loaders) -> Trace:
    """Train; `resumable` writes after each step and each epoch, and what it wrote is kept."""
    import fastai.callback.schedule  # noqa: F401 - it adds to the Learner
    from fastai.basics import Callback, Learner
    from fastai.callback.training import ShortEpochCallback

    folder.mkdir(parents=True, exist_ok=True)
    rank = int(os.environ.get("RANK", "0"))
    file, trace = folder / f"run-{rank}.ckpt", Trace()
    file.unlink(missing_ok=True)
    if start is not None:
        shutil.copy(start, file)

    class Watch(Callback):  # type: ignore[misc]
        """Notes batches and rates, when the schedule has set them."""

        order = 65

        def before_batch(self) -> None:
            """Note the batch and its rate."""
            if self.training:
                trace.train(self.x)
                trace.rates.append(float(self.opt.hypers[-1]["lr"]))

    class Keep(Callback):  # type: ignore[misc]
        """Keeps each checkpoint."""

        order = 71

        def after_batch(self) -> None:
            """Keep the checkpoint within an epoch."""
            if self.training:
                self.keep(f"{len(trace.batches)}-step")

        def after_epoch(self) -> None:
            """Keep the checkpoint at an epoch's end."""
            self.keep(f"{len(trace.batches)}-epoch")

        def keep(self, name: str) -> None:
            """Copy what was just written."""
            if rank == 0:
                shutil.copy(file, folder / name)
            trace.mark(name)

    dls = make(tail="ragged" if is_alone() else "pad")
    model = data.model(compiled=idiom == "compiled")
    learn = Learner(as_fastai(dls, "cpu"), model, nn.CrossEntropyLoss(), path=folder)  # where lr_find keeps weights
    callbacks = [Watch(), resumable(dls, file, every=1), *([Keep()] if start is None else [])]
    callbacks += [ShortEpochCallback(pct=0.5, short_valid=False)] if idiom == "ShortEpochCallback" else []
    with learn.no_bar(), learn.no_logging():
        if idiom == "lr_find":
            learn.add_cb(count_epochs())
            learn.lr_find(num_it=3, show_plot=False)
        with nullcontext() if is_alone() else learn.distrib_ctx(sync_bn=False):
            learn.fit_one_cycle(EPOCHS, 1e-2, cbs=callbacks)
    return trace.end(model)
