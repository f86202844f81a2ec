"""Labels to numbers and back: one class a sample, or several.

Every vocabulary is built here, and every label is read by `label_of`: a name as it is written, or a whole number. A
label that is None, NaN or empty is missing, whichever way it came.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch

from ..errors import LabelError, MissingLabelError, UsageError
from .transform import Transform
from .types import TensorCategory, TensorMultiCategory

Label = str | int | float | Decimal | np.generic | None
MISSING = "#na#"
"""The class of missing and unknown labels, where `add_na` asks for one."""


def is_missing(value: Any) -> bool:
    """Whether a value says that there is none: None, NaN, pandas' NA and NaT, or empty text.

    >>> [is_missing(value) for value in (None, float("nan"), "", 0, "nan", [])]
    [True, True, True, False, False, False]
    """
    if value is None or (isinstance(value, str) and not value):
        return True
    if isinstance(value, str | bytes | list | tuple | set | frozenset | dict | np.ndarray | torch.Tensor):
        return False
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas' NA is neither equal nor unequal to itself
        return type(value).__name__ == "NAType"


def label_of(value: Any) -> str | int | None:
    """A label as it stands in a vocabulary: a name or a whole number, None where it is missing.

    A name with bytes that are not UTF-8, as a file's may have, gets them escaped; true and false are names. Raises
    `LabelError` for anything else.

    >>> label_of("cat"), label_of(np.int64(7)), label_of(7.0), label_of(True), label_of(float("nan"))
    ('cat', 7, 7, 'True', None)
    """
    if is_missing(value):
        return None
    if isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0:
        return label_of(value.item())
    if isinstance(value, str):
        return escape_bytes(str(value))
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | Decimal | np.floating) and math.isfinite(value) and value == int(value):
        return int(value)
    raise LabelError(f"label must be a name or a whole number, but got {value!r} ({type(value).__name__})")


def escape_bytes(name: str) -> str:
    """A file's name as text that can be written as UTF-8: bytes that are not become `\\xNN`.

    >>> escape_bytes("caf\\udce9")
    'caf\\\\xe9'
    """
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a pair of surrogates, which no name on a disk has
        return name.encode("utf-8", "backslashreplace").decode()


def build_vocab(labels: Iterable[Any], sort: bool = True, add_na: bool = False) -> tuple[Any, ...]:
    """The distinct labels, sorted or in the order in which they are met; `add_na` puts the missing label first.

    Missing labels are no class of their own. Raises `LabelError` for names and numbers together, where they are to be
    sorted.

    >>> build_vocab(["dog", "cat", None, "dog"])
    ('cat', 'dog')
    """
    vocab = [label for label in dict.fromkeys(map(label_of, labels)) if label is not None]
    if sort:
        kinds = {type(label).__name__: label for label in reversed(vocab)}
        if len(kinds) > 1:
            seen = " and ".join(repr(label) for _, label in sorted(kinds.items()))
            raise LabelError(
                f"labels must be all names or all whole numbers to be sorted, but got {seen}, {sorted(kinds)}: "
                "use sort=False, or write them alike"
            )
        vocab.sort()
    return with_missing(vocab) if add_na else tuple(vocab)


def with_missing(vocab: Sequence[Any]) -> tuple[Any, ...]:
    """The vocabulary with the class of missing labels, first unless it is there already."""
    return tuple(vocab) if MISSING in vocab else (MISSING, *vocab)


def check_vocab(vocab: Any, add_na: bool) -> tuple[Any, ...] | None:
    """A vocabulary that was given, with the class of missing labels where `add_na` asks for it."""
    if vocab is None:
        return None
    if isinstance(vocab, str):
        raise UsageError(f"vocab must be a list of labels, but got the text {vocab!r}")
    labels = tuple(vocab)
    for label, count in Counter(map(label_of, labels)).items():
        if label is None or count > 1:
            seen = "one that is missing" if label is None else f"{label!r} {count} times"
            raise UsageError(f"vocab must name each class once, but has {seen}")
    return with_missing(labels) if add_na else labels


class Categorize(Transform):
    """A label to its number in a vocabulary, which `setup` learns from the labels where none is given.

    >>> fitted = Categorize().setup(["dog", "cat", "dog"])
    >>> fitted("dog"), fitted.decode(fitted("dog")), fitted.vocab
    (TensorCategory(1), 'dog', ('cat', 'dog'))

    A label that is missing or not in the vocabulary is a `LabelError`, or with `add_na` the class `#na#`, which is
    then in the vocabulary, given or learnt.
    """

    order = 1
    vocab: Sequence[Any] | None = None
    sort: bool = True
    add_na: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocab", check_vocab(self.vocab, self.add_na))

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
    takes_tuple = True
    vocab: Sequence[Any] | None = None
    sort: bool = True
    add_na: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocab", check_vocab(self.vocab, self.add_na))

    def setup(self, items: Iterable[Iterable[Any]]) -> Self:
        """With the vocabulary of all labels in `items`, unless one is given."""
        if self.vocab is not None:
            return self
        labels = (label for several in items if not is_missing(several) for label in several)
        return replace(self, vocab=build_vocab(labels, self.sort, self.add_na))

    def encode(self, x: list | tuple | set | frozenset | None) -> TensorMultiCategory:  # type: ignore[type-arg]
        """`float32[c]`, one where a label of `x` stands; None is missing, an empty list has none of the labels."""
        hot = torch.zeros(len(self.vocab or ()))
        hot[[number(self._numbers, label, self.add_na) for label in ([None] if x is None else x)]] = 1
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
    """The number of each label; `LabelError` where there is no vocabulary yet."""
    if vocab is None:
        raise LabelError("there is no vocabulary yet: call setup with the training labels, or give vocab=[...]")
    return {label_of(label): i for i, label in enumerate(vocab)}


def number(numbers: dict[Any, int], label: Any, add_na: bool) -> int:
    """The number of `label`; a missing or unknown one is that of `#na#` with `add_na`, else an error that names it."""
    name = label_of(label)
    if name in numbers:
        return numbers[name]
    if add_na:
        return numbers[MISSING]
    if name is None:
        raise MissingLabelError(f"label is missing ({label!r}): leave the item out, or make it a class by add_na=True")
    known = ", ".join(map(repr, list(numbers)[:5])) + (", …" if len(numbers) > 5 else "")
    raise LabelError(
        f"label {label!r} is not among the {len(numbers)} of the vocabulary ({known}): add it, or add_na=True"
    )
