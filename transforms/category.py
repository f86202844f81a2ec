"""Labels to numbers and back: one class a sample, or several."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch

from ..errors import LabelError
from .transform import Transform
from .types import TensorCategory, TensorMultiCategory

Label = str | int | float | np.generic
_MISSING = "#na#"


def build_vocab(labels: Iterable[Any], sort: bool = True, add_na: bool = False) -> tuple[Any, ...]:
    """The distinct labels, sorted or in the order in which they are met; `add_na` puts the missing label first.

    >>> build_vocab(["dog", "cat", "dog"])
    ('cat', 'dog')
    """
    vocab = list(dict.fromkeys(labels))
    if sort:
        try:
            vocab.sort()
        except TypeError:
            kinds = sorted({type(label).__name__ for label in vocab})
            raise LabelError(f"labels must be of one kind to be sorted, but got {kinds}: use sort=False") from None
    return (_MISSING, *vocab) if add_na else tuple(vocab)


class Categorize(Transform):
    """A label to its number in a vocabulary, which `setup` learns from the labels where none is given.

    >>> fitted = Categorize().setup(["dog", "cat", "dog"])
    >>> fitted("dog"), fitted.decode(fitted("dog")), fitted.vocab
    (TensorCategory(1), 'dog', ('cat', 'dog'))

    A label that is not in the vocabulary is a `LabelError`, or number 0 with `add_na`.
    """

    order = 1
    vocab: Sequence[Any] | None = None
    sort: bool = True
    add_na: bool = False

    def setup(self, items: Iterable[Any]) -> Self:
        """With the vocabulary of the labels `items`, unless one is given."""
        return self if self.vocab is not None else replace(self, vocab=build_vocab(items, self.sort, self.add_na))

    def encode(self, x: Label) -> TensorCategory:
        """The number of label `x`."""
        return TensorCategory(number(self._numbers, x, self.add_na))

    def decode(self, y: TensorCategory) -> Any:
        """The label of a number, or the list of labels of a batch of numbers."""
        names = self.vocab or ()
        return names[int(y)] if y.ndim == 0 else [names[i] for i in y.tolist()]

    @cached_property
    def _numbers(self) -> dict[Any, int]:
        return numbers_of(self.vocab)


class MultiCategorize(Transform):
    """Several labels to zeros and ones over a vocabulary, which `setup` learns where none is given.

    >>> fitted = MultiCategorize().setup([["cat"], ["dog", "cat"]])
    >>> fitted(["dog"]).tolist(), fitted.decode(fitted(["dog"]))
    ([0.0, 1.0], ['dog'])
    """

    order = 1
    whole = True
    vocab: Sequence[Any] | None = None
    sort: bool = True
    add_na: bool = False

    def setup(self, items: Iterable[Iterable[Any]]) -> Self:
        """With the vocabulary of all labels in `items`, unless one is given."""
        if self.vocab is not None:
            return self
        return replace(self, vocab=build_vocab((x for labels in items for x in labels), self.sort, self.add_na))

    def encode(self, x: list | tuple | set) -> TensorMultiCategory:  # type: ignore[type-arg]
        """`float32[c]`, one where a label of `x` stands."""
        hot = torch.zeros(len(self.vocab or ()))
        hot[[number(self._numbers, label, self.add_na) for label in x]] = 1
        return TensorMultiCategory(hot)

    def decode(self, y: TensorMultiCategory) -> list[Any]:
        """The labels above one half; a list of such lists for a batch."""
        if y.ndim == 2:
            return [self.decode(row) for row in y]
        return [(self.vocab or ())[i] for i in (y.plain() > 0.5).nonzero()[:, 0].tolist()]

    @cached_property
    def _numbers(self) -> dict[Any, int]:
        return numbers_of(self.vocab)


def numbers_of(vocab: Sequence[Any] | None) -> dict[Any, int]:
    """Each label's number."""
    if vocab is None:
        raise LabelError("there is no vocabulary yet: call setup with the training labels, or give vocab=[...]")
    return {label: i for i, label in enumerate(vocab)}


def number(numbers: dict[Any, int], label: Any, add_na: bool) -> int:
    """The number of `label`; an unknown one is 0 with `add_na`, else an error that names it."""
    if label in numbers:
        return numbers[label]
    if add_na:
        return 0
    known = ", ".join(map(repr, list(numbers)[:5])) + (", …" if len(numbers) > 5 else "")
    raise LabelError(
        f"label {label!r} is not among the {len(numbers)} of the vocabulary ({known}): add it, or add_na=True"
    )
