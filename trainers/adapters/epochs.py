"""The number of an epoch, where worker processes see it."""

import torch
from torch import Tensor

from ...pipeline.loading.loader_state import integer


class SharedEpoch:
    """The number of an epoch, in memory that worker processes share: it reaches those that live on, too."""

    def __init__(self, epoch: int = 0) -> None:
        self._number: Tensor = torch.tensor(epoch).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def epoch(self) -> int:
        """The epoch."""
        return int(self._number)

    def set_epoch(self, epoch: int) -> None:
        """From now on, another one. Raises `UsageError` for a negative one."""
        self._number.fill_(integer("epoch", epoch, 0))
