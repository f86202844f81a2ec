"""What happens in a training, by name: the moments at which callbacks are called, and where the run stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from .schedule import Schedule, StepSettings
from .training_data import TrainingData

EVENTS = (
    "before_fit",
    "before_epoch",
    "before_batch",
    "after_backward",
    "after_step",
    "after_batch",
    "after_train",
    "after_validate",
    "after_epoch",
    "after_fit",
)


class StopTraining(Exception):  # noqa: N818 - a signal, not an error
    """Raised by a callback to end the run; `after_fit` is still called."""


@dataclass
class Run:
    """Where a call of `fit` stands; `fit_index` counts such calls in the life of a learner."""

    fit_index: int
    epochs: int
    steps: int  # per epoch
    schedule: Schedule
    epoch: int = 0
    step: int = 0  # in the epoch: that many batches are done
    batch: tuple[Any, Any] = (None, None)
    outputs: Any = None
    loss: Tensor | None = None
    setting: StepSettings | None = None
    values: dict[str, float] = field(default_factory=dict)  # of the last epoch, as in the table

    @property
    def position(self) -> float:
        """How much of the run is done, 0 to 1."""
        return (self.epoch * self.steps + self.step) / (self.epochs * self.steps)


class Training(Protocol):
    """What a callback may rely on in a learner."""

    model: nn.Module
    opt: Optimizer

    @property
    def dls(self) -> TrainingData: ...  # noqa: D102

    run: Run
    metrics: tuple[Any, ...]
    accelerator: Any
    recorder: Any


class Callback:
    """Something done at named moments of a training: override the methods that matter.

    Lower `order` is called first.
    """

    order: int = 0

    def before_fit(self, learn: Training) -> None:
        """Before the first epoch."""

    def before_epoch(self, learn: Training) -> None:
        """Before an epoch's first batch."""

    def before_batch(self, learn: Training) -> None:
        """With `run.batch` on the device; the optimiser is set."""

    def after_backward(self, learn: Training) -> None:
        """With gradients, before the optimiser's step."""

    def after_step(self, learn: Training) -> None:
        """After the optimiser's step, before the gradients are cleared."""

    def after_batch(self, learn: Training) -> None:
        """With `run.loss` of the batch, and the batch counted in `run.step`."""

    def after_train(self, learn: Training) -> None:
        """After an epoch's last training batch."""

    def after_validate(self, learn: Training) -> None:
        """With the metrics in `run.values`."""

    def after_epoch(self, learn: Training) -> None:
        """After everything else in an epoch."""

    def after_fit(self, learn: Training) -> None:
        """After the last epoch, or after whatever ended the run."""


def notify(event: str, callbacks: Sequence[Callback], learn: Training) -> None:
    """Call the method `event` of every callback, in their order."""
    for callback in sorted(callbacks, key=lambda c: c.order):
        getattr(callback, event)(learn)
