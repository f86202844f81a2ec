"""What files show, one after the other: an answer for each that can be read, the reason for each that cannot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..errors import DamagedRowError, UsageError
from .training_data import batches_of


@dataclass(frozen=True)
class Answer:
    """What a model says of one item.

    `label` is a name, a list of names, or the decoded tensor (masks, points); `probabilities` are all of the model's
    predictions for it.
    """

    item: Any
    label: Any
    decoded: Tensor
    probabilities: Tensor

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
class Refusal:
    """An item that cannot be read, with the reason."""

    item: Any
    reason: str


def answers(learn: Any, items: Sequence[Any], bs: int = 64) -> Iterator[Answer | Refusal]:
    """For each item, in order, what `learn` says of it, or why it cannot be read."""
    for start in range(0, len(items), bs):
        yield from _batch(learn, items[start : start + bs])


def _batch(learn: Any, items: Sequence[Any]) -> Iterator[Answer | Refusal]:
    try:
        predictions, _, decoded = learn.get_preds(batches_of(learn.dls, list(items)), with_decoded=True)
    except (DamagedRowError, UsageError, OSError) as error:
        if len(items) > 1:  # one of them: each is read alone
            for item in items:
                yield from _batch(learn, [item])
            return
        reason = error.__cause__ if isinstance(error, DamagedRowError) and error.__cause__ else error
        yield Refusal(items[0], str(reason))
        return
    for item, row, answer in zip(items, predictions, decoded, strict=True):
        yield Answer(item, learn.label(answer), answer, row)
