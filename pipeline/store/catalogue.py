"""What is to be presized: the items of a source, and the columns that are told of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..blocks import Block
from ..splits import Splitter
from .schema import place_fields
from .sources import Item, Listed, Source
from .targets import Labeller, Labels, label_items, label_name, split_items


@dataclass(frozen=True)
class Catalogue:
    """The items of a source, sorted by key, and of each its labels (columns by name) and the name of its split.

    `places` are the blocks of masks, points and boxes by column, and `given(i)` is what these take for an item, or the
    error in its place: workers make the columns of it. `order` is that of the targets in a batch. `source` reads the
    pictures of the items. `pipeline` is what told the columns, for the cache's footer.
    """

    source: Source
    items: Sequence[Item]
    labels: Mapping[str, Labels] = field(default_factory=dict)
    splits: Sequence[str | None] | None = None
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Block] = field(default_factory=dict)
    given: Callable[[int], Mapping[str, Any]] = lambda i: {}
    order: Sequence[str] = ()

    @property
    def vocab(self) -> list[str | int] | None:
        """The names of the classes of the first labels."""
        return next((labels.vocab for labels in self.labels.values()), None)

    @property
    def fields(self) -> list[pa.Field]:
        """The columns of labels and splits, then those of masks, points and boxes."""
        columns = [pa.field(name, labels.type) for name, labels in self.labels.items()]
        columns += [] if self.splits is None else [pa.field("split", pa.string())]
        columns += [column for name, block in self.places.items() for column in place_fields(name, block.kind)]
        return [*columns, pa.field("targets_sha256", pa.string(), nullable=False)] if self.places else columns

    @property
    def targets(self) -> list[dict[str, Any]]:
        """The columns of targets in order, for JSON: the name of each, its kind, and the names of its classes."""
        told: dict[str, Any] = {name: (labels.kind, labels.vocab) for name, labels in self.labels.items()}
        told |= {name: (block.kind, _names(block)) for name, block in self.places.items()}
        return [{"name": name, "kind": told[name][0], "vocab": told[name][1]} for name in self.order or told]

    def told(self, i: int) -> dict[str, Any]:
        """The labels and the split of an item."""
        columns: dict[str, Any] = {name: labels.values[i] for name, labels in self.labels.items()}
        return columns if self.splits is None else columns | {"split": self.splits[i]}


def _names(block: Block) -> list[str | int] | None:
    return None if block.vocab is None else [label_name(name) for name in block.vocab]


def catalogue_of(source: Listed, labeller: Labeller | None, splitter: Splitter | None) -> Catalogue:
    """The items of a source, with a label and a split as these functions give them."""
    items = source.items()
    labels = label_items(items, labeller)
    named = {} if labels is None else {"label": labels}
    return Catalogue(source, items, named, split_items(items, splitter), {"label": labeller, "split": splitter})
