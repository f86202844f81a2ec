"""For fastai: our loaders under a real fastai `Learner`. (Its transforms in our pipeline: `foreign.py`.)

```python
learn = vision_learner(as_fastai(dls), resnet34, metrics=error_rate, normalize=False)
learn.fine_tune(2)                                      # cbs=resumable(dls, "run.ckpt"): see fastai_resuming.py
```

Under torchrun, within `learn.distrib_ctx()`, each process trains on its share and validates on everything, by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ...errors import MissingDependencyError, UsageError
from ...pipeline import DataLoaders, Loader
from .torch import shared


@dataclass(frozen=True)
class Counted:
    """What fastai asks of a dataset: how many there are, and the loss."""

    total: int
    loss_func: Any = None

    def __len__(self) -> int:
        return self.total


class Batches:
    """A loader as fastai's loop wants one: iterable, with a length, a batch size and a dataset to count."""

    def __init__(self, loader: Loader, device: torch.device, wrap: Any, loss: Any) -> None:
        self.loader, self.device, self._wrap = loader, device, wrap
        self.bs = loader.batch_size
        self.dataset = Counted(loader.total, loss)
        self.n = loader.total

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for x, y, *_ in self.loader:
            image, target = self._wrap
            yield image(x.to(self.device)), target(y.to(self.device))

    def one_batch(self) -> Any:
        """The first batch; the loader stands where it stood."""
        state = self.loader.state_dict()
        batch = next(iter(self))
        self.loader.load_state_dict(state)
        return batch

    def new(self, shuffle: bool = False, drop_last: bool = False) -> "Batches":
        """The same batches, as fastai asks for when it predicts: only where they are in a fixed order already."""
        if self.loader.shuffle or shuffle or drop_last:
            raise UsageError("predictions must be made on an unshuffled loader: give get_preds(dl=dls.valid)")
        return self

    def to(self, device: Any) -> "Batches":
        """Deliver on a device."""
        self.device = torch.device(device)
        return self


def as_fastai(dls: DataLoaders, device: str | torch.device | None = None) -> Any:
    """fastai `DataLoaders` of our batches, in our order, with `c` and `vocab`.

    Raises `MissingDependencyError` where fastai is not installed.
    """
    try:
        from fastai.data.core import DataLoaders as TheirLoaders
        from fastai.distributed import DistributedDL, num_distrib
        from fastai.losses import CrossEntropyLossFlat
        from fastai.torch_core import TensorCategory as TheirCategory
        from fastai.torch_core import TensorImage as TheirImage
        from fastai.torch_core import default_device, to_detach
    except ImportError:
        raise MissingDependencyError("as_fastai must have fastai, which is not installed: pip install fastai") from None

    class Shared(Batches, DistributedDL):  # type: ignore[misc]
        """Batches that are shared out already, which fastai does by itself with all but a `DistributedDL`."""

        def to_detach(self, batch: Any, cpu: bool = True, gather: bool = True) -> Any:
            """Without exchanging losses and metrics with others."""
            return to_detach(batch, cpu, gather=False)

    place = torch.device(device or default_device())
    wrap = (TheirImage, TheirCategory)
    loss = CrossEntropyLossFlat()
    several = num_distrib() > 1
    kind, valid = (Shared, shared(dls, 0, 1).valid) if several else (Batches, dls.valid)
    theirs = TheirLoaders(*(kind(loader, place, wrap, loss) for loader in (dls.train, valid)), device=place)
    theirs.c, theirs.vocab = dls.c, dls.vocab
    return theirs
