"""For a plain PyTorch loop, and for whoever insists on a `DataLoader` of its own.

A loop needs nothing: a `Loader` is an iterable of batches with a length.

```python
for epoch in range(3):                      # the loader goes on to the next epoch by itself
    for x, y in dls.train:
        loss = criterion(model(x), y)
        ...
    torch.save({"loader": dls.train.state_dict(), ...}, "checkpoint.pt")
```

Trainers that build their own `DataLoader` get a dataset of positions in the epoch's order, and a collator that makes
the batch of them; they must not shuffle, for the order is the loader's.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ...errors import UsageError
from ...pipeline import DataLoaders, Loader

Position = tuple[int, int]
"""Epoch, and position in its order."""


def shared(dls: DataLoaders, rank: int, world_size: int, **settings: Any) -> DataLoaders:
    """The same loaders for one of several processes; `settings` (`device`, `tail`, ...) replace their own."""
    new = dls.settings | {"rank": rank, "world_size": world_size} | settings
    return DataLoaders.of(dls.rows, dls.samples, dls.transforms, sizing=dls.sizing, **new)


class Positions(Dataset[Position]):
    """The positions of a loader's epochs: item `i` stands for the `i`-th sample of the epoch that `set_epoch` says.

    The epoch lies in memory that worker processes share, so that it reaches those that live on from epoch to epoch.
    An index that has its epoch with it, `(epoch, position)`, stands for itself.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self._epoch: Tensor = torch.tensor(loader.epoch).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def epoch(self) -> int:
        """The epoch of the positions."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """From now on, positions of this epoch."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return self.loader.total

    def __getitem__(self, index: int | Position) -> Position:
        return index if isinstance(index, tuple) else (self.epoch, index)


class Epochs(Sampler[Position]):
    """The positions of an epoch, each with its epoch, in the loader's order; every pass is over the next one."""

    def __init__(self, positions: Positions) -> None:
        self.positions = positions

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Position]:
        epoch = self.positions.epoch
        self.positions.set_epoch(epoch + 1)
        return ((epoch, position) for position in range(len(self.positions)))


class Collate:
    """Makes the batch of some positions; `form` gives it the shape that a trainer wants, as a dictionary."""

    def __init__(self, loader: Loader, form: Callable[[Any], Any] = tuple) -> None:
        self.loader, self.form = loader, form

    def __call__(self, positions: Sequence[Position]) -> Any:
        """Read, augment and collate, by the one warp."""
        epochs = {epoch for epoch, _ in positions}
        if len(epochs) != 1:
            raise ValueError(f"a batch must lie in one epoch, but got positions of {sorted(epochs)}")
        return self.form(self.loader.batch_at([position for _, position in positions], epochs.pop()))


def as_dataloader(loader: Loader, form: Callable[[Any], Any] = tuple, **settings: Any) -> DataLoader[Any]:
    """A `torch.utils.data.DataLoader` of the same batches in the same order, by any number of workers.

    Every loop is over the next epoch, as with the loader itself; `dataset.set_epoch` picks one. `settings` are those
    of `DataLoader`. Raises UsageError for `shuffle=True`: the order is the loader's.
    """
    if settings.pop("shuffle", False):
        raise UsageError("shuffle must be left out, but got True: the order of the batches is the loader's")
    positions = Positions(loader)
    own: dict[str, Any] = (
        {} if "batch_sampler" in settings else {"batch_size": loader.batch_size, "sampler": Epochs(positions)}
    )
    return DataLoader(positions, collate_fn=Collate(loader, form), **(own | settings))
