"""What files show, one after the other: an answer for each that can be read, the reason for each that cannot."""

from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import DamagedRowError, UsageError
from ..pipeline.service.answers import Answer, Refusal
from .training_data import batches_of


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
