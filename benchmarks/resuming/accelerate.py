"""A loop with accelerate."""

from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from ...trainers.adapters import prepare
from . import data
from .traces import EPOCHS, Trace, digest, is_alone

IDIOMS = ("prepare(scheduler)", "accumulate", "gather_for_metrics")


def run(idiom: str, folder: Path, start: Path | None, make: data.Make = data.loaders) -> Trace:
    """Train; `save_state` after each step of the optimiser."""
    accumulate = 3 if idiom == "accumulate" else 1
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
    dls = prepare(make(tail="ragged" if is_alone() else "pad"), accelerator)
    model = data.model()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    steps = EPOCHS * -(-len(dls.train) // accumulate)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, steps)
    model, optimizer, scheduler = accelerator.prepare(model, optimizer, scheduler)
    if start is not None:
        accelerator.load_state(str(start))
    trace = Trace()
    for _ in range(dls.train.epoch, EPOCHS):
        for x, y in dls.train:
            trace.train(x)
            with accelerator.accumulate(model):
                accelerator.backward(nn.functional.cross_entropy(model(x), y))
                if accelerator.sync_gradients:
                    trace.rates.append(scheduler.get_last_lr()[0])
                optimizer.step(), scheduler.step(), optimizer.zero_grad()
            if start is None and accelerator.sync_gradients:
                accelerator.save_state(str(folder / str(len(trace.batches))))
                trace.mark(str(len(trace.batches)))
        if idiom == "gather_for_metrics":
            trace.batches.append(_evaluate(accelerator, model, dls.valid))
    return trace.end(model)


def _evaluate(accelerator: Accelerator, model: nn.Module, batches: object) -> str:
    """The answers and labels of the validation set; raises `AssertionError` unless each came once, in order."""
    answers, labels = [], []
    with torch.no_grad():
        for x, y in batches:  # type: ignore[attr-defined]
            answer, label = accelerator.gather_for_metrics((model(x), y))
            answers.append(answer)
            labels.append(label)
    expected = torch.cat([y for _, y in data.loaders(rank=0, world_size=1).valid])
    if not torch.equal(torch.cat(labels), expected):
        raise AssertionError("gather_for_metrics must give each sample once, in order, but does not")
    return digest(answers)
