"""What a model is trained for: the loss, what its outputs mean, and the answer that they give.

The data says what its targets are (`dls.loss`); from that follow the loss, the activation (probabilities, pixels) and
the decoding (a class, a mask).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import TrainingError, UsageError

Loss = Callable[[Tensor, Tensor], Tensor]


class Objective(Protocol):
    """A loss, an activation and a decoding that belong together."""

    def loss(self, outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """The mean loss, or with `reduction="none"` one loss for each sample, `float[N]`."""

    def activation(self, outputs: Tensor) -> Tensor:
        """Outputs to predictions: probabilities, or points in pixels."""

    def decode(self, predictions: Tensor) -> Tensor:
        """Predictions to answers of the targets' kind."""

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Raise `TrainingError` where the model's outputs do not fit the targets."""


def per_sample(losses: Tensor, reduction: str) -> Tensor:
    """Losses `[N, ...]` averaged over all (`mean`) or over each sample (`none`)."""
    return losses.mean() if reduction == "mean" else losses.reshape(len(losses), -1).mean(1)


@dataclass(frozen=True)
class OneClass:
    """One class for each sample, or for each pixel of a mask: cross-entropy.

    Outputs `float[N, c, ...]`, targets `int[N, ...]`, or probabilities `float[N, c]` after MixUp.
    """

    classes: int | None = None
    criterion: nn.CrossEntropyLoss = nn.CrossEntropyLoss()  # noqa: RUF009 - stateless

    def loss(self, outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """The cross-entropy."""
        targets = targets if targets.is_floating_point() else targets.long()
        weight = self.criterion.weight
        losses = functional.cross_entropy(
            outputs,
            targets,
            weight=None if weight is None else weight.to(outputs.device),
            ignore_index=self.criterion.ignore_index,
            label_smoothing=self.criterion.label_smoothing,
            reduction=reduction,
        )
        return losses if reduction == "mean" else per_sample(losses, "none")

    def activation(self, outputs: Tensor) -> Tensor:
        """Probabilities over axis 1."""
        return outputs.float().softmax(1)

    def decode(self, predictions: Tensor) -> Tensor:
        """The most probable class."""
        return predictions.argmax(1)

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """One output for each class, for each sample or pixel."""
        expected = (len(targets), self.classes or "c", *(targets.shape[1:] if not targets.is_floating_point() else ()))
        fits = outputs.ndim == len(expected) and all(
            e in ("c", s) for e, s in zip(expected, outputs.shape, strict=True)
        )
        if not fits:
            raise TrainingError(
                f"model's output must be {list(expected)} (samples, classes), but got {list(outputs.shape)}: "
                f"give its last layer {self.classes or 'one output per'} classes"
            )


@dataclass(frozen=True)
class ManyClasses:
    """Any number of classes for each sample: binary cross-entropy. Outputs and targets `float[N, c]`."""

    threshold: float = 0.5

    def loss(self, outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """The binary cross-entropy over all classes."""
        losses = functional.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype), reduction="none")
        return per_sample(losses, reduction)

    def activation(self, outputs: Tensor) -> Tensor:
        """A probability for each class."""
        return outputs.float().sigmoid()

    def decode(self, predictions: Tensor) -> Tensor:
        """Ones for the classes above the threshold."""
        return (predictions > self.threshold).float()

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """One output for each class."""
        same_shape(outputs, targets)


@dataclass(frozen=True)
class Points:
    """Points in an image of `size` (height, width): squared error in coordinates from -1 to 1.

    Outputs `float[N, 2n]` in -1..1; predictions and targets `float[N, n, 2]`, (x, y) in pixels.
    """

    size: tuple[int, int]

    def loss(self, outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """The squared error over x and y."""
        height, width = self.size
        scaled = targets / targets.new_tensor([width, height]) * 2 - 1
        losses = functional.mse_loss(outputs.reshape(targets.shape), scaled.to(outputs.dtype), reduction="none")
        return per_sample(losses, reduction)

    def activation(self, outputs: Tensor) -> Tensor:
        """Points in pixels."""
        height, width = self.size
        points = outputs.float().reshape(len(outputs), -1, 2)
        return (points + 1) / 2 * points.new_tensor([width, height])

    def decode(self, predictions: Tensor) -> Tensor:
        """The points themselves."""
        return predictions

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Two outputs for each point."""
        if outputs.numel() != targets.numel():
            wanted = targets.numel() // max(len(targets), 1)
            raise TrainingError(
                f"model's output must be [{len(targets)}, {wanted}] (x and y of {wanted // 2} points), "
                f"but got {list(outputs.shape)}"
            )


@dataclass(frozen=True)
class Given:
    """A loss function of the user's: any function of outputs and targets; what it means is not known."""

    function: Loss

    def loss(self, outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """The function, on all or on one sample at a time."""
        if reduction == "mean":
            return self.function(outputs, targets)
        return torch.stack([self.function(o[None], t[None]) for o, t in zip(outputs, targets, strict=True)])

    def activation(self, outputs: Tensor) -> Tensor:
        """The outputs as they are."""
        return outputs.float()

    def decode(self, predictions: Tensor) -> Tensor:
        """The predictions as they are."""
        return predictions

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Whatever the function takes."""


def same_shape(outputs: Tensor, targets: Tensor) -> None:
    """Raise `TrainingError` unless the two have one shape."""
    if outputs.shape != targets.shape:
        raise TrainingError(
            f"model's output must be {list(targets.shape)} like its targets, but got {list(outputs.shape)}: "
            "give its last layer as many outputs as there are classes"
        )


def objective_for(dls: Any, loss_func: Loss | Objective | None = None) -> Objective:
    """The objective that `dls.loss` names, or the one that stands in for a given loss function.

    Raises `UsageError` where targets are of a kind that has no loss of its own and none is given.
    """
    classes = getattr(dls, "c", None)
    if isinstance(loss_func, nn.CrossEntropyLoss):
        return OneClass(classes, loss_func)
    if isinstance(loss_func, OneClass | ManyClasses | Points | Given):
        return loss_func
    if loss_func is not None:
        return Given(loss_func)  # type: ignore[arg-type]
    kind = getattr(dls, "loss", "category")
    if kind in ("category", "mask"):
        return OneClass(classes)
    if kind == "multicategory":
        return ManyClasses()
    if kind == "points":
        images = next(iter(dls.valid))[0]
        return Points((images.shape[-2], images.shape[-1]))
    raise UsageError(f"targets of kind {kind!r} have no loss of their own: give loss_func=")
