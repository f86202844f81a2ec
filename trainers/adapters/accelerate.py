"""For a loop with accelerate: each process its share of every epoch, on its device.

```python
accelerator = Accelerator(gradient_accumulation_steps=2)
dls = prepare(dls, accelerator)             # in the place of accelerator.prepare(dataloader)
scheduler = OneCycleLR(optimizer, max_lr, total_steps=epochs * len(dls.train))
model, optimizer, scheduler = accelerator.prepare(model, optimizer, scheduler)
for x, y in dls.train:
    with accelerator.accumulate(model):     # steps at an epoch's end, too
        ...
for x, y in dls.valid:
    answers, labels = accelerator.gather_for_metrics((model(x), y))     # each sample once, in order
accelerator.save_state("checkpoint")        # the loaders' positions are in it
```
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from accelerate.data_loader import DataLoaderStateMixin
from accelerate.state import GradientState

from ...errors import UsageError
from ...pipeline import DataLoaders, Loader
from ...pipeline.loading.batch import Batch
from ...pipeline.loading.rows import RowNumbers
from ...pipeline.order.orders import Picks
from .torch import shared


def prepare(dls: DataLoaders, accelerator: Any) -> DataLoaders:
    """The loaders of this process, making batches on its device; `save_state` and `load_state` keep where they stand.

    `len(dls.train)` counts the steps of an epoch, and a scheduler that accelerate prepares steps once for each of them
    (`split_batches`, in accelerate's words). In evaluation every process has equally many batches, and
    `gather_for_metrics` leaves out the repeats. In training no sample is repeated: where the last batches of the
    processes differ in size or number, it is `tail="drop"` or `"pad"` that makes them equal, as DDP needs them.

    Raises `UsageError` where a scheduler was prepared before, which would step once for each process.
    """
    if accelerator.num_processes > 1:
        if any(not scheduler.split_batches for scheduler in accelerator._schedulers):
            raise UsageError(
                "prepare(dls, accelerator) must come before accelerator.prepare(scheduler), which would step "
                f"{accelerator.num_processes} times for each batch otherwise: change their order"
            )
        accelerator.dataloader_config.split_batches = True
    own_loaders = shared(dls, accelerator.process_index, accelerator.num_processes, device=accelerator.device)
    train, valid = AccelerateLoader(own_loaders.train), _evaluation(own_loaders, accelerator)
    accelerator.register_for_checkpointing(train)
    return replace(own_loaders, train=train, valid=valid)


class AccelerateLoader(DataLoaderStateMixin):  # type: ignore[misc]
    """A loader that tells accelerate when its last batch comes; all else is the loader's own."""

    def __init__(self, loader: Loader, rows: int | None = None) -> None:
        self.loader, self.gradient_state = loader, GradientState()
        self._rows = rows  # samples to be gathered for metrics, where batches are filled up with repeats
        self._state: dict[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        self.begin()
        stride = self.loader.batch_size * self.loader.world_size
        self.remainder = 0 if self._rows is None else self._rows % stride
        try:
            batches = iter(self.loader)
            following = next(batches, None)
            for step in range(1 << 62):
                if following is None:
                    return
                batch, self._state = following, self.loader.state_dict()
                following = next(batches, None)
                self.end_of_dataloader = following is None
                if self._rows is not None:
                    first = step * stride + self.loader.rank * self.loader.batch_size
                    batch.valid = first + torch.arange(len(batch[0])) < self._rows
                yield batch
        finally:
            self._state = None
            self.end()

    def state_dict(self) -> dict[str, Any]:
        """Where the loop stands: behind the batch that it has, though the next one has been taken already."""
        return self._state or self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next loop go on from there."""
        self.loader.load_state_dict(state)


def _evaluation(dls: DataLoaders, accelerator: Any) -> AccelerateLoader:
    """The validation batches; with several processes in the order in which accelerate gathers them."""
    plain = dls.valid
    if accelerator.num_processes == 1:
        return AccelerateLoader(plain, plain.total)
    blocks = Blocks(plain.total, plain.batch_size, plain.world_size)
    return AccelerateLoader(plain.with_settings(indices=blocks), plain.total)


@dataclass(frozen=True)
class Blocks:
    """Rows `0..rows-1` so that the batches of one step, that of each rank behind that of the one before, are in order.

    What is missing to whole batches is filled up from the beginning.

    >>> order = Blocks(rows=5, batch_size=2, world_size=2)
    >>> [order.at(np.arange(rank, 8, 2), 0, 0).rows.tolist() for rank in (0, 1)]
    [[0, 1, 4, 0], [2, 3, 1, 2]]
    """

    rows: int
    batch_size: int
    world_size: int

    @property
    def size(self) -> int:
        """The rows, and those that fill up the last step."""
        stride = self.batch_size * self.world_size
        return -(-self.rows // stride) * stride

    def at(self, positions: RowNumbers, seed: int, epoch: int) -> Picks:
        """The rows at these positions, of which rank r has those that are r modulo the number of ranks."""
        step, within = np.divmod(np.asarray(positions, np.int64), self.batch_size * self.world_size)
        slot, rank = np.divmod(within, self.world_size)
        rows = step * self.batch_size * self.world_size + rank * self.batch_size + slot
        return Picks(rows % self.rows, rows // self.rows)
