"""For Lightning: the loaders as a `LightningDataModule`.

```python
trainer = Trainer(max_epochs=3, use_distributed_sampler=False)      # the loaders share out by themselves
trainer.fit(model, datamodule=data_module(dls))                     # batches are (x, y)
trainer.fit(model, datamodule=data_module(dls), ckpt_path="last.ckpt")
```
"""

from collections.abc import Iterator
from typing import Any

from ...errors import MissingDependencyError
from ...pipeline import DataLoaders, Loader
from .torch import shared


class Batches:
    """A loader whose epoch is Lightning's: Lightning may leave an epoch before its loader knows that it is over."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.sampler = self  # on which Lightning calls set_epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch, unless the loader stands in it already, having come from a checkpoint."""
        if epoch != self.loader.epoch:
            self.loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, for Lightning's checkpoints."""
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.loader.load_state_dict(state)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)


def data_module(dls: DataLoaders) -> Any:
    """A `LightningDataModule` that gives each process its share, on its device; a checkpoint holds where it stands.

    Raises `MissingDependencyError` where Lightning is not installed.
    """
    try:
        from lightning.pytorch import LightningDataModule
    except ImportError:
        raise MissingDependencyError(
            "data_module must have Lightning, which is not installed: pip install lightning"
        ) from None

    class DataModule(LightningDataModule):  # type: ignore[misc]
        """Batches of `(x, y)` from onewarp."""

        def __init__(self) -> None:
            super().__init__()
            self.dls = dls

        def setup(self, stage: str) -> None:
            """Take this process's share."""
            trainer = self.trainer
            device = trainer.strategy.root_device
            self.dls = shared(dls, trainer.global_rank, trainer.world_size, device=device)

        def train_dataloader(self) -> Batches:
            """The training batches."""
            return Batches(self.dls.train)

        def val_dataloader(self) -> Loader:
            """The validation batches."""
            return self.dls.valid

    return DataModule()
