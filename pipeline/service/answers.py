"""What becomes of an image that is asked about: an answer, a tensor, or the reason why there is neither."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Answer:
    """What a model says of one item.

    `label` is a name, a list of names, or the decoded tensor (masks, points); `probabilities` are all of the model's
    predictions for it. A server's answer has the `matrix`, `float64[3, 3]`, from continuous pixels of the model's input
    to those of the file, and that input as `x`, `[3, h, w]`, where it was asked for; of a mask its `probabilities` are
    the mask.
    """

    item: Any
    label: Any
    decoded: Tensor
    probabilities: Tensor
    matrix: Tensor | None = None
    x: Tensor | None = None

    @property
    def probability(self) -> float | list[float] | None:
        """That of the label, those of the labels, or None where the answer is no class."""
        if not self.is_class:
            return None
        if self.decoded.ndim == 0:
            return float(self.probabilities.max())
        return [float(p) for p in self.probabilities[self.decoded.bool()]]

    @property
    def is_class(self) -> bool:
        """Whether the answer is a class, or a list of classes."""
        return not isinstance(self.label, Tensor)


@dataclass(frozen=True)
class Prepared:
    """What a recipe makes of one item: `x`, `[3, h, w]`, and the `matrix` from its pixels to the file's."""

    item: Any
    x: Tensor
    matrix: Tensor


@dataclass(frozen=True)
class Refusal:
    """An item that cannot be read, with the reason."""

    item: Any
    reason: str
