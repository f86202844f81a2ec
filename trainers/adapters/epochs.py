"""The number of an epoch, where worker processes see it."""

import torch
from torch import Tensor

from ...pipeline.loading.position import integer


class EpochNumber:
    """The number of an epoch in shared memory, so that worker processes that live on see a new one."""

    def __init__(self, epoch: int = 0) -> None:
        self._number: Tensor = torch.tensor(epoch).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def epoch(self) -> int:
        """The number that all processes see."""
        return int(self._number)

    def set_epoch(self, epoch: int) -> None:
        """Set the number for all processes. Raises `UsageError` for a negative one."""
        self._number.fill_(integer("epoch", epoch, 0))
