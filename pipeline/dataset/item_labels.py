"""The labels of images as numbers in a vocabulary, and their splits."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import pyarrow as pa

from ...errors import LabelError, MissingLabelError
from ...transforms.category import MISSING, build_vocab, is_missing, label_of
from .labels import labels_of
from .sources import Item
from .splits import Splitter


@dataclass(frozen=True)
class Labels:
    """A column of labels: the number of each (or the list of numbers), and the names by number.

    `missing` are the numbers of the items without a label. `learnt` says that the vocabulary was built of these labels:
    then it names only classes that have a row.
    """

    values: Sequence[int | list[int] | None]
    vocab: list[str | int]
    several: bool
    missing: frozenset[int] = frozenset()
    learnt: bool = False

    @property
    def kind(self) -> str:
        """What the numbers are: `category` or `multicategory`."""
        return "multicategory" if self.several else "category"

    @property
    def type(self) -> pa.DataType:
        """The type of the column."""
        return pa.list_(pa.int64()) if self.several else pa.int64()

    def count_classes(self, left_out: Collection[int] = ()) -> Counter[str | int]:
        """How many items have each class, without the items of the numbers `left_out`."""
        values = [value for place, value in enumerate(self.values) if value is not None and place not in left_out]
        counts = Counter(number for value in values for number in (value if isinstance(value, list) else [value]))
        return Counter({self.vocab[number]: count for number, count in counts.items()})

    def narrow(self, left_out: Collection[int]) -> Self:
        """The same labels, where a learnt vocabulary names only the classes of items that are not `left_out`."""
        counts = self.count_classes(left_out) if self.learnt and left_out else Counter(self.vocab)
        vocab = [name for name in self.vocab if counts[name] or name == MISSING]
        if len(vocab) == len(self.vocab):
            return self
        numbers_by_name = {name: number for number, name in enumerate(vocab)}
        numbers = {number: numbers_by_name[name] for number, name in enumerate(self.vocab) if name in numbers_by_name}
        values = [_renumber(value, numbers) for value in self.values]
        return replace(self, values=values, vocab=vocab)


def _renumber(value: int | list[int] | None, numbers: Mapping[int, int]) -> int | list[int] | None:
    if isinstance(value, list):
        return [numbers[number] for number in value if number in numbers]
    return None if value is None else numbers.get(value)


Labeller = Callable[[Any], Any]


def label_items(items: Sequence[Item], labeller: Labeller | None) -> Labels | None:
    """The labels of all items, None where one is missing.

    Raises `LabelError` where one is neither a name nor a whole number, nor a list of these, and where all are missing.
    """
    if labeller is None:
        return None
    values = labels_of([item.view for item in items], labeller)
    several = any(isinstance(value, list | tuple | set | frozenset) for value in values)
    return number_labels([item.key for item in items], values, several)


def number_labels(keys: Sequence[str], values: Sequence[Any], several: bool) -> Labels:
    """A column of labels, with the vocabulary of those that there are."""
    lists = [_names(key, value, several) for key, value in zip(keys, values, strict=True)]
    missing = frozenset(place for place, names in enumerate(lists) if names is None)
    refuse_all_missing(keys, missing)
    vocab = list(build_vocab(name for names in lists for name in names or ()))
    numbers = {name: number for number, name in enumerate(vocab)}
    lists_of_numbers = [None if names is None else sorted({numbers[name] for name in names}) for names in lists]
    values = lists_of_numbers if several else [None if item is None else item[0] for item in lists_of_numbers]
    return Labels(values, vocab, several, missing, learnt=True)


def refuse_all_missing(keys: Sequence[str], missing: Collection[int]) -> None:
    """Raise `MissingLabelError` where no item has a label: it is not the items that are wrong."""
    if keys and len(missing) == len(keys):
        raise MissingLabelError(f"labels are missing in all of {len(keys)} items, as in {keys[0]}: name another column")


def _names(key: str, value: Any, several: bool) -> list[str | int] | None:
    """The labels of an item, None where one of them is missing."""
    if is_missing(value):
        return None
    try:
        names = [label_of(label) for label in (value if several else [value])]
    except (LabelError, TypeError) as error:
        raise LabelError(f"{key}: {error}") from None
    present = [name for name in names if name is not None]
    return present if len(present) == len(names) else None


def split_items(items: Sequence[Item], splitter: Splitter | None) -> list[str | None] | None:
    """The name of the split of each item; a copy is known by what it is a copy of."""
    if splitter is None:
        return None
    return splitter.names([item.view for item in items], origins(items))


def origins(items: Sequence[Item]) -> list[str]:
    """What splitters know items by: their keys, or for copies the one name that they share."""
    return [item.key if item.origin is None else item.origin for item in items]


def label_name(label: object) -> str | int:
    """A label of a vocabulary as it stands in a cache."""
    name = label_of(label)
    if name is None:
        raise LabelError(f"a vocabulary must hold names and whole numbers, but has {label!r}")
    return name
