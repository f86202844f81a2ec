"""For Lightning: the loaders as a `LightningDataModule`.

```python
trainer = Trainer(max_epochs=3, use_distributed_sampler=False)      # the loaders share out by themselves
trainer.fit(model, datamodule=data_module(dls))                     # batches are (x, y)
trainer.fit(model, datamodule=data_module(dls), ckpt_path="last.ckpt")
```
"""

from typing import Any

from ...errors import MissingDependencyError
from ...pipeline import DataLoaders, Loader
from .torch import shared


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
            self._resume: dict[str, Any] | None = None

        def setup(self, stage: str) -> None:
            """Take this process's share."""
            trainer = self.trainer
            device = trainer.strategy.root_device
            self.dls = shared(dls, trainer.global_rank, trainer.world_size, device=device)

        def train_dataloader(self) -> Loader:
            """The training batches of the current epoch, which is Lightning's."""
            self.dls.train.set_epoch(self.trainer.current_epoch)
            if self._resume is not None:
                self.dls.train.load_state_dict(self._resume)
                self._resume = None
            return self.dls.train

        def val_dataloader(self) -> Loader:
            """The validation batches."""
            return self.dls.valid

        def state_dict(self) -> dict[str, Any]:
            """Where the training loader stands."""
            return self.dls.train.state_dict()

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            """Go on from there."""
            self._resume = state_dict

    return DataModule()
