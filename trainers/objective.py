"""What a model is trained for: the loss, what its outputs mean, and the answer that they give.

The data says what its targets are (`dls.loss`); from that follow the loss, the activation (probabilities, pixels) and
the decoding (a class, a mask).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import TrainingError, UsageError
from .training_data import PredictionData, classes_of, kind_of

Loss = Callable[[Tensor, Tensor], Tensor]


class Objective(Protocol):
    """A loss, an activation and a decoding that belong together."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """One number for these samples: of a batch what training minimises, of a whole set its validation loss."""

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A loss for each sample, `float[N]`."""

    def activation(self, outputs: Tensor) -> Tensor:
        """Outputs to predictions: probabilities, or points in pixels."""

    def decode(self, predictions: Tensor) -> Tensor:
        """Predictions to answers of the targets' kind."""

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Raise `TrainingError` where the model's outputs do not fit the targets."""


def per_sample(losses: Tensor) -> Tensor:
    """Losses `[N, ...]` averaged over each sample, `float[N]`."""
    return losses.reshape(len(losses), -1).mean(1)


@dataclass(frozen=True)
class OneClass:
    """One class for each sample, or for each pixel of a mask: cross-entropy.

    Outputs `float[N, c, ...]`, targets `int[N, ...]`, or probabilities `float[N, c]` after MixUp.
    """

    classes: int | None = None
    criterion: nn.CrossEntropyLoss = nn.CrossEntropyLoss()  # noqa: RUF009 - stateless

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The cross-entropy, reduced as the criterion says: weighted by class, without ignored labels, or a sum."""
        return self._cross_entropy(outputs, targets, self.criterion.reduction)

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The cross-entropy of each sample: of a mask, the mean over the pixels that are not ignored."""
        losses = self._cross_entropy(outputs, targets, "none")
        if targets.ndim == 1 or targets.is_floating_point():
            return per_sample(losses)
        counted = (targets != self.criterion.ignore_index).reshape(len(targets), -1)
        return losses.reshape(len(losses), -1).sum(1) / counted.sum(1).clamp(min=1)

    def _cross_entropy(self, outputs: Tensor, targets: Tensor, reduction: str) -> Tensor:
        weight = self.criterion.weight
        return functional.cross_entropy(
            outputs,
            targets if targets.is_floating_point() else targets.long(),
            weight=None if weight is None else weight.to(outputs.device),
            ignore_index=self.criterion.ignore_index,
            label_smoothing=self.criterion.label_smoothing,
            reduction=reduction,
        )

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

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean binary cross-entropy over all classes."""
        return functional.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype))

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over the classes of each sample."""
        losses = functional.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype), reduction="none")
        return per_sample(losses)

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

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean squared error over x and y."""
        return self._squares(outputs, targets).mean()

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean squared error of each sample."""
        return per_sample(self._squares(outputs, targets))

    def _squares(self, outputs: Tensor, targets: Tensor) -> Tensor:
        height, width = self.size
        scaled = targets / targets.new_tensor([width, height]) * 2 - 1
        return functional.mse_loss(outputs.reshape(targets.shape), scaled.to(outputs.dtype), reduction="none")

    def activation(self, outputs: Tensor) -> Tensor:
        """The points of each sample in pixels of its image."""
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
class CustomLoss:
    """A loss function of the user's: any function of outputs and targets; what the outputs mean is not known."""

    function: Loss

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What the function says of these samples together, by its own reduction.

        Raises `TrainingError` where that is more than one number.
        """
        device = self._device or outputs.device
        loss = self.function(outputs.to(device), targets.to(device))
        if loss.numel() != 1:
            raise TrainingError(
                f"loss_func must give one number for a batch, but gave {list(loss.shape)}: reduce by mean or sum"
            )
        return loss

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What the function says of each sample alone."""
        alone = [self.loss(o[None], t[None]).reshape(()) for o, t in zip(outputs, targets, strict=True)]
        return torch.stack(alone) if alone else outputs.new_empty(0)

    @property
    def _device(self) -> torch.device | None:
        """Where the function's own tensors are (class weights, say), if it has any."""
        if not isinstance(self.function, nn.Module):
            return None
        return next((t.device for t in (*self.function.parameters(), *self.function.buffers())), None)

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


def objective_for(dls: PredictionData, loss_func: Loss | Objective | None = None) -> Objective:
    """The objective that `dls.loss` names, or the one that stands in for a given loss function.

    Raises `UsageError` where targets are of a kind that has no loss of its own and none is given, and for a loss
    function that does not reduce to one number.
    """
    if getattr(loss_func, "reduction", "mean") == "none":
        raise UsageError("loss_func must reduce a batch to one number, but has reduction='none': use 'mean' or 'sum'")
    classes = classes_of(dls)
    if isinstance(loss_func, nn.CrossEntropyLoss):
        return OneClass(classes, loss_func)
    if isinstance(loss_func, OneClass | ManyClasses | Points | CustomLoss):
        return loss_func
    if loss_func is not None:
        return CustomLoss(loss_func)  # type: ignore[arg-type]
    kind = kind_of(dls)
    if kind in ("category", "mask"):
        return OneClass(classes)
    if kind == "multicategory":
        return ManyClasses()
    if kind == "points":
        if dls.valid is None:
            raise UsageError(
                "the size of images of points follows from the validation set, but there is none: give loss_func="
            )
        images = next(iter(dls.valid))[0]
        return Points((images.shape[-2], images.shape[-1]))
    raise UsageError(f"targets of kind {kind!r} have no loss of their own: give loss_func=")
