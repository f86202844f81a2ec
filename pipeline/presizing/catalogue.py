"""What is to be presized: the items of a source, with the labels and the split of each."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import pyarrow as pa

from ...errors import MissingLabelError
from ...transforms.category import MISSING
from ..cache.parts import Rejection
from ..cache.schema import target_fields
from ..composition.spec import can_write
from ..dataset.blocks import Block
from ..dataset.item_labels import Labeller, Labels, label_items, label_name, split_items
from ..dataset.sources import Item, ListableSource, Source
from ..dataset.splits import TRAIN, Splitter
from .file_hashes import HashMemo


@dataclass(frozen=True)
class Catalogue:
    """The items of a source, sorted by key, and of each its labels (columns by name) and the name of its split.

    `spatial_blocks` are the blocks of masks, points and boxes by column. `raw_targets(i)` is what these blocks take for
    item `i`, or an error in its place; workers make the columns of it. `order` is the order of the targets in a batch.
    `source` reads the pictures of the items. `pipeline` has the labeller and the splitter, for the cache's footer.
    `set_aside` are the files that became no items, with the reason; `notes` are what else the user should know of the
    source, a line each. `hashes` are the SHA-256 of the files, where who made the source knows them; without them those
    that this machine remembers are taken.
    """

    source: Source
    items: Sequence[Item]
    labels: Mapping[str, Labels] = field(default_factory=dict)
    splits: Sequence[str | None] | None = None
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    spatial_blocks: Mapping[str, Block] = field(default_factory=dict)
    raw_targets: Callable[[int], Mapping[str, Any]] = lambda i: {}
    order: Sequence[str] = ()
    set_aside: Sequence[Rejection] = ()
    notes: Sequence[str] = ()
    hashes: HashMemo | None = None

    @property
    def vocab(self) -> list[str | int] | None:
        """The names of the classes of the first labels."""
        return next((labels.vocab for labels in self.labels.values()), None)

    @property
    def fields(self) -> list[pa.Field]:
        """The columns of labels and splits, then those of masks, points and boxes."""
        return target_fields(self.targets, self.splits is not None)

    @property
    def targets(self) -> list[dict[str, Any]]:
        """The columns of targets in order, for JSON: the name of each, its kind, and the names of its classes."""
        kinds: dict[str, Any] = {name: (labels.kind, labels.vocab) for name, labels in self.labels.items()}
        kinds |= {name: (block.kind, _names(block)) for name, block in self.spatial_blocks.items()}
        return [{"name": name, "kind": kinds[name][0], "vocab": kinds[name][1]} for name in self.order or kinds]

    def contents(self, i: int) -> dict[str, Any]:
        """What the mask, points and boxes of an item are made of, and an error for each label that is missing."""
        missing = {name: MissingLabelError("is missing") for name, column in self.labels.items() if i in column.missing}
        return {**missing, **self.raw_targets(i)}

    def narrow_vocab(self, refused: Collection[str]) -> Self:
        """The same items, where learnt vocabularies name only the labels of items that are not `refused` (keys)."""
        if not refused:
            return self
        left_out = {place for place, item in enumerate(self.items) if item.key in refused}
        return replace(self, labels={name: labels.narrow(left_out) for name, labels in self.labels.items()})

    def columns(self, i: int) -> dict[str, Any]:
        """The labels and the split of an item."""
        columns: dict[str, Any] = {name: labels.values[i] for name, labels in self.labels.items()}
        return columns if self.splits is None else columns | {"split": self.splits[i]}


def _names(block: Block) -> list[str | int] | None:
    return None if block.vocab is None else [label_name(name) for name in block.vocab]


def catalogue_of(source: ListableSource, labeller: Labeller | None, splitter: Splitter | None) -> Catalogue:
    """The items of a source, with a label and a split as these functions give them."""
    items = source.items()
    labels, splits = label_items(items, labeller), split_items(items, splitter)
    return Catalogue(
        source,
        items,
        {} if labels is None else {"label": labels},
        splits,
        {"label": _describe(labeller), "split": _describe(splitter)},
        set_aside=set_aside(items),
        notes=notes(items, {} if labels is None else {"label": labels}, splits),
    )


def set_aside(listing: object) -> list[Rejection]:
    """The files that became no items, where the listing knows them (`Items`, or the result of `list_images`)."""
    return [Rejection(key, reason) for key, reason in sorted(getattr(listing, "set_aside", {}).items())]


def notes(listing: object, labels: Mapping[str, Labels], splits: Sequence[str | None] | None) -> list[str]:
    """What the user should know of a source and its labels, a line each."""
    passed_by = [f"{key} {reason}" for key, reason in sorted(getattr(listing, "passed_by", {}).items())]
    lines = [f"passed by: {_first_of(passed_by)}"] if passed_by else []
    for name, column in labels.items():
        if hint := _hint_at_delimiter(column):
            lines.append(f"{name}: {hint}")
        if splits is not None and TRAIN in splits:
            counts = column.count_classes({place for place, split in enumerate(splits) if split != TRAIN})
            if untrained := [str(label) for label in column.vocab if not counts[label] and label != MISSING]:
                lines.append(f"{name}: no training item has the label {_first_of(untrained)}")
    return lines


def _hint_at_delimiter(labels: Labels) -> str | None:
    """A hint where many names look like several labels each, with one sign between them; else None."""
    names = [name for name in labels.vocab if isinstance(name, str)]
    for sign in ";|, ":
        parts = {part for name in names for part in name.split(sign)}
        if labels.learnt and not labels.several and any(sign in name for name in names) and len(parts) < len(names):
            example = next(name for name in names if sign in name)
            return (
                f"{example!r} is one class of {len(names)}; where it is several, say what stands between them: "
                f"--label 'column:NAME:{sign}', or ColReader(NAME, label_delim={sign!r})"
            )
    return None


def _first_of(texts: Sequence[str], most: int = 3) -> str:
    """The first `most` of some texts, and how many there are."""
    return ", ".join(texts[:most]) + (f", … ({len(texts)} in all)" if len(texts) > most else "")


def _describe(function: object) -> Any:
    """A labeller or splitter for a cache's footer: in full, or its name alone where it is not registered."""
    if can_write(function):
        return function
    return f"{getattr(function, '__qualname__', type(function).__qualname__)} (not registered)"
