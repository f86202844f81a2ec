"""For Lightning: the loaders as a `LightningDataModule`.

```python
trainer = Trainer(max_epochs=3, use_distributed_sampler=False)      # the loaders share out by themselves
trainer.fit(model, datamodule=data_module(dls))                     # batches are (x, y)
trainer.fit(model, datamodule=data_module(dls), ckpt_path="last.ckpt")
```
"""

from collections.abc import Iterator
from typing import Any

from ...errors import UsageError
from ...pipeline import DataLoaders, Loader
from .libraries import require
from .torch import shared


class Batches:
    """The training batches of a Lightning trainer, from the epoch and the batch on at which the trainer stands.

    Lightning counts epochs and batches itself, leaves epochs early, and starts them over; it restores a loader's state
    at some resumptions and not at others. So its own count decides. The state adds what that count cannot say: how many
    samples were delivered, where the checkpoint was written by another number of processes.
    """

    def __init__(self, loader: Loader, trainer: Any) -> None:
        self.loader, self._trainer = loader, trainer
        self._restored: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, for Lightning's checkpoints."""
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Keep where a checkpoint's loader stood; raises `UsageError` for one of other rows or another seed."""
        self.loader.load_state_dict(state)
        self._restored = self.loader.state_dict()

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        # A generator: the trainer is asked at the first batch, since Lightning makes iterators before it resumes.
        self.loader.load_state_dict(self._place())
        yield from self.loader

    def _place(self) -> dict[str, Any]:
        """The loader's state at the trainer's epoch and batch."""
        epoch = self._trainer.fit_loop.epoch_progress.current.processed
        batches = self._trainer.fit_loop.epoch_loop.batch_progress.current.ready
        if self._trainer.overfit_batches > 0:
            epoch = 0  # the same batches in every epoch
        restored, self._restored = self._restored, None
        if restored is not None and batches and restored["epoch"] == epoch:
            return restored
        delivered = min(batches * self.loader.batch_size * self.loader.world_size, self.loader.total)
        return self.loader.state_dict() | {"epoch": epoch, "delivered": delivered}


def data_module(dls: DataLoaders) -> Any:
    """A `LightningDataModule` that gives each process its share, on its device; a checkpoint holds where it stands.

    Raises `MissingDependencyError` where Lightning is not installed or too old.
    """
    require("lightning", "data_module")
    from lightning.pytorch import LightningDataModule

    class DataModule(LightningDataModule):  # type: ignore[misc]
        """Batches of `(x, y)` from onewarp."""

        def __init__(self) -> None:
            super().__init__()
            self.dls = dls

        def setup(self, stage: str) -> None:
            """Take this process's share."""
            trainer = self.trainer
            if trainer is None:
                raise UsageError(
                    "data_module must be set up by a Trainer, but has none: trainer.fit(model, datamodule=…)"
                )
            device = trainer.strategy.root_device
            self.dls = shared(dls, trainer.global_rank, trainer.world_size, device=device)

        def train_dataloader(self) -> Batches:
            """The training batches."""
            return Batches(self.dls.train, self.trainer)

        def val_dataloader(self) -> Loader:
            """The validation batches."""
            return self.dls.valid

        def __reduce__(self) -> Any:
            return data_module, (dls,), vars(self)

    return DataModule()
