"""What is to be presized: the items of a source, and the columns that are told of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..splits import Splitter
from .sources import Item, Listed, Source
from .targets import Labeller, Labels, label_items, split_items


@dataclass(frozen=True)
class Catalogue:
    """The items of a source, sorted by key, and of each its labels (columns by name) and the name of its split.

    `source` reads the pictures of the items. `pipeline` is what told the columns, for the cache's footer.
    """

    source: Source
    items: Sequence[Item]
    labels: Mapping[str, Labels] = field(default_factory=dict)
    splits: Sequence[str | None] | None = None
    pipeline: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> list[pa.Field]:
        """The columns."""
        columns = [pa.field(name, labels.type) for name, labels in self.labels.items()]
        return columns if self.splits is None else [*columns, pa.field("split", pa.string())]

    @property
    def targets(self) -> dict[str, Any]:
        """What each column of targets is, for JSON: its kind, and the names of its classes."""
        return {name: {"kind": labels.kind, "vocab": labels.vocab} for name, labels in self.labels.items()}

    def told(self, i: int) -> dict[str, Any]:
        """The columns of an item."""
        columns: dict[str, Any] = {name: labels.values[i] for name, labels in self.labels.items()}
        return columns if self.splits is None else columns | {"split": self.splits[i]}


def catalogue_of(source: Listed, labeller: Labeller | None, splitter: Splitter | None) -> Catalogue:
    """The items of a source, with a label and a split as these functions give them."""
    items = source.items()
    labels = label_items(items, labeller)
    named = {} if labels is None else {"label": labels}
    return Catalogue(source, items, named, split_items(items, splitter), {"label": labeller, "split": splitter})
