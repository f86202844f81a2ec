"""What each image is to be told apart by: labels as numbers in a vocabulary, and splits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import LabelError
from ..labels import labels_of
from ..splits import Splitter
from .sources import Item


@dataclass(frozen=True)
class Labels:
    """A column of labels: the number of each (or the list of numbers), and the names by number."""

    values: list[int] | list[list[int]]
    vocab: list[str | int]
    several: bool

    @property
    def kind(self) -> str:
        """What the numbers are: `category` or `multicategory`."""
        return "multicategory" if self.several else "category"

    @property
    def type(self) -> pa.DataType:
        """The type of the column."""
        return pa.list_(pa.int64()) if self.several else pa.int64()


Labeller = Callable[[Any], Any]


def label_items(items: Sequence[Item], labeller: Labeller | None) -> Labels | None:
    """The labels of all items; `LabelError` where one is neither a name nor a whole number, nor a list of these."""
    if labeller is None:
        return None
    labels = labels_of([item.view for item in items], labeller)
    several = bool(labels) and isinstance(labels[0], (list, tuple, set))
    lists = [
        [label_name(one, item.key) for one in (label if several else [label])]
        for item, label in zip(items, labels, strict=True)
    ]
    found = {one for names in lists for one in names}
    if len({type(one) for one in found}) > 1:
        seen = ", ".join(repr(one) for one in sorted(found, key=str)[:4])
        raise LabelError(f"labels must be all names or all whole numbers, but there are both: {seen}, …")
    vocab = sorted(found)
    numbers = {name: number for number, name in enumerate(vocab)}
    if several:
        return Labels([sorted({numbers[one] for one in names}) for names in lists], vocab, True)
    return Labels([numbers[names[0]] for names in lists], vocab, False)


def split_items(items: Sequence[Item], splitter: Splitter | None) -> list[str | None] | None:
    """The name of the split of each item."""
    if splitter is None:
        return None
    return splitter.names([item.view for item in items], [item.key for item in items])


def label_name(label: Any, key: str = "the vocabulary") -> str | int:
    """A label as it stands in a vocabulary; `LabelError` where it is neither a name nor a whole number."""
    if isinstance(label, str):
        return label
    if isinstance(label, (int, float, np.integer)) and label == int(label):
        return int(label)
    raise LabelError(f"label must be a name or a whole number, but {key} has {label!r} ({type(label).__name__})")
