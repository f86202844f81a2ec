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

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Unpack, overload

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ...errors import UsageError
from ...pipeline import DataLoaders
from ...pipeline.datablock.dataloaders import DataLoadersSettings
from ...pipeline.loading.loader import AnyLoader
from ...pipeline.order.ranks import Share
from .epochs import EpochNumber

Position = tuple[int, int]
"""Epoch, and position in its order."""


def shared(dls: DataLoaders, rank: int, world_size: int, /, **settings: Unpack[DataLoadersSettings]) -> DataLoaders:
    """The same loaders for one of several processes; `settings` (`device`, `tail`, ...) replace their own."""
    new: DataLoadersSettings = {**dls.settings, "rank": rank, "world_size": world_size, **settings}
    return DataLoaders.of(dls.rows, dls.samples, dls.transforms, sizing=dls.sizing, **new)


class Positions(EpochNumber, Dataset[Position]):
    """The positions of a loader's epochs: item `i` stands for the `i`-th sample of the epoch that `set_epoch` says.

    An index that has its epoch with it, `(epoch, position)`, stands for itself.
    """

    def __init__(self, loader: AnyLoader) -> None:
        super().__init__(loader.epoch)
        self.loader = loader

    def __len__(self) -> int:
        return self.loader.total

    def __getitem__(self, index: int | Position) -> Position:
        return index if isinstance(index, tuple) else (self.epoch, index)


class Epochs(Sampler[Position]):
    """The positions of an epoch that are this rank's, each with its epoch, in the loader's order; `size` make a batch.

    Every pass is over the next epoch; the next one leaves out the first `start` samples, counted over all ranks.
    """

    def __init__(self, positions: Positions, size: int) -> None:
        self.positions, self.size, self.start = positions, size, 0

    def share(self, start: int) -> Share:
        """This rank's part of an epoch."""
        loader = self.positions.loader
        return Share(loader.total, self.size, loader.rank, loader.world_size, loader.tail, start)

    def __len__(self) -> int:
        share = self.share(0)
        return sum(len(share.slice(batch).positions) for batch in range(len(share)))

    def __iter__(self) -> Iterator[Position]:
        epoch, share = self.positions.epoch, self.share(self.start)
        self.positions.set_epoch(epoch + 1)
        self.start = 0
        return ((epoch, int(one)) for batch in range(len(share)) for one in share.slice(batch).positions)


class Collate:
    """Makes the batch of some positions; `form` gives it the shape that a trainer wants, as a dictionary."""

    def __init__(self, loader: AnyLoader, form: Callable[[Any], Any] = tuple) -> None:
        self.loader, self.form = loader, form

    def __call__(self, positions: Sequence[Position]) -> Any:
        """Read, augment and collate, by the one warp."""
        epochs = {epoch for epoch, _ in positions}
        if len(epochs) != 1:
            raise ValueError(f"a batch must lie in one epoch, but got positions of {sorted(epochs)}")
        return self.form(self.loader.batch_at([position for _, position in positions], epochs.pop()))


class ResumableDataLoader(DataLoader[Any]):
    """A `DataLoader` of positions that can stop and go on, also in the middle of an epoch, with any number of workers.

    Its states are those of the `Loader` that it stands for, and fit that as well.
    """

    dataset: Positions
    sampler: Epochs
    _state: dict[str, Any] | None = None  # of the last loop, where that was left early

    def __iter__(self) -> Any:
        first_state, share = self._next(), self.sampler.share(self.sampler.start)
        self._state = first_state
        for count, batch in enumerate(super().__iter__(), 1):
            self._state = first_state | {"delivered": share.position_after(count)}
            yield batch
        self._state = None

    def _next(self) -> dict[str, Any]:
        """Where the next loop begins."""
        return self.dataset.loader.state_dict() | {"epoch": self.dataset.epoch, "delivered": self.sampler.start}

    def state_dict(self) -> dict[str, Any]:
        """What the last loop has delivered, not what its workers have read ahead."""
        following = self._next()
        left = self._state is not None and (self._state["epoch"] + 1, 0) == (following["epoch"], following["delivered"])
        return self._state if left and self._state is not None else following

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next loop go on where `state` was taken. Raises `UsageError` for the state of another loader."""
        self.dataset.loader.load_state_dict(state)
        self.dataset.set_epoch(state["epoch"])
        self.sampler.start, self._state = state["delivered"], None


@overload
def as_dataloader(
    loader: AnyLoader,
    form: Callable[[Any], Any] = tuple,
    *,
    sampler: None = None,
    batch_sampler: None = None,
    **settings: Any,
) -> ResumableDataLoader: ...


@overload
def as_dataloader(
    loader: AnyLoader,
    form: Callable[[Any], Any] = tuple,
    *,
    sampler: Iterable[Any] | None = None,
    batch_sampler: Iterable[Any] | None = None,
    **settings: Any,
) -> DataLoader[Any]: ...


def as_dataloader(
    loader: AnyLoader,
    form: Callable[[Any], Any] = tuple,
    *,
    sampler: Iterable[Any] | None = None,
    batch_sampler: Iterable[Any] | None = None,
    **settings: Any,
) -> DataLoader[Any]:
    """A `torch.utils.data.DataLoader` of the same batches in the same order, by any number of workers.

    Of several ranks each has its share. Every loop is over the next epoch, as with the loader itself;
    `dataset.set_epoch` picks one, and `state_dict` and `load_state_dict` stop and go on. `settings` are those of
    `DataLoader`; with a sampler of the caller's own there are no states, and the positions are those of all ranks.
    Raises UsageError for `shuffle=True`: the order is the loader's.
    """
    if settings.pop("shuffle", False):
        raise UsageError("shuffle must be left out, but got True: the order of the batches is the loader's")
    positions, collate = Positions(loader), Collate(loader, form)
    if batch_sampler is not None:
        return DataLoader(positions, batch_sampler=batch_sampler, collate_fn=collate, **settings)
    settings = {"batch_size": loader.batch_size} | settings
    if sampler is not None:
        return DataLoader(positions, sampler=sampler, collate_fn=collate, **settings)
    return ResumableDataLoader(
        positions, sampler=Epochs(positions, settings["batch_size"] or 1), collate_fn=collate, **settings
    )


def as_numpy(loader: AnyLoader) -> Iterator[Any]:
    """The batches of an epoch as numpy arrays in the memory of our tensors, for JAX, Keras and whoever takes arrays.

    Raises `UsageError` for a type that numpy has not (bfloat16); `jax.dlpack.from_dlpack(x)` takes such a tensor as it
    is.
    """
    return (tuple(_array(part) for part in batch) for batch in loader)


def _array(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _array(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_array(part) for part in value]
    if not isinstance(value, Tensor):
        return value
    if value.dtype == torch.bfloat16:
        raise UsageError("numpy has no bfloat16: make batches of float32, or hand the tensor on by DLPack")
    return value.cpu().numpy()
