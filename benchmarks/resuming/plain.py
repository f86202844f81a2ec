"""A plain loop, under DDP where there are several processes."""

from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ...trainers.adapters import as_dataloader
from . import data
from .traces import EPOCHS, Trace, is_alone, world

IDIOMS = ("OneCycleLR", "as_dataloader, workers that live on", "compiled")


def run(idiom: str, folder: Path, start: Path | None, make: data.Make = data.loaders) -> Trace:
    """Train; a checkpoint after each batch."""
    if not is_alone() and not distributed.is_initialized():
        distributed.init_process_group("gloo")
    folder.mkdir(parents=True, exist_ok=True)
    loader = make(tail="ragged" if is_alone() else "pad").train
    batches = as_dataloader(loader, num_workers=1, persistent_workers=True) if "workers" in idiom else loader
    model = data.model(compiled=idiom == "compiled")
    network = model if is_alone() else DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, EPOCHS * len(batches))
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": batches}
    epoch, trace = 0, Trace()
    if start is not None:
        state = torch.load(start / f"{distributed.get_rank() if world() > 1 else 0}.pt", weights_only=False)
        for name, part in parts.items():
            part.load_state_dict(state[name])  # type: ignore[attr-defined]
        epoch = state["loader"]["epoch"]
    for _ in range(epoch, EPOCHS):
        for x, y in batches:
            trace.train(x)
            trace.rates.append(float(scheduler.get_last_lr()[0]))
            loss: torch.Tensor = nn.functional.cross_entropy(network(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step(), scheduler.step(), optimizer.zero_grad()  # type: ignore[func-returns-value]
            if start is None:
                name = str(len(trace.batches))
                (folder / name).mkdir(exist_ok=True)
                states = {part: of.state_dict() for part, of in parts.items()}  # type: ignore[attr-defined]
                torch.save(states, folder / name / f"{distributed.get_rank() if world() > 1 else 0}.pt")
                trace.mark(name)
    return trace.end(model)
