"""What is to be presized: the items of a source, and the columns that are told of each."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import pyarrow as pa

from ...errors import MissingLabelError
from ...transforms.category import MISSING
from ..cache.parts import Rejected
from ..cache.schema import told_fields
from ..composition.spec import can_write
from ..dataset.blocks import Block
from ..dataset.item_labels import Labeller, Labels, label_items, label_name, split_items
from ..dataset.sources import Item, Listed, Source
from ..dataset.splits import TRAIN, Splitter


@dataclass(frozen=True)
class Catalogue:
    """The items of a source, sorted by key, and of each its labels (columns by name) and the name of its split.

    `places` are the blocks of masks, points and boxes by column, and `given(i)` is what these take for an item, or the
    error in its place: workers make the columns of it. `order` is that of the targets in a batch. `source` reads the
    pictures of the items. `pipeline` is what told the columns, for the cache's footer. `set_aside` are the files that
    became no items, with the reason; `notes` are what else the user has to know of the source, a line each.
    """

    source: Source
    items: Sequence[Item]
    labels: Mapping[str, Labels] = field(default_factory=dict)
    splits: Sequence[str | None] | None = None
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Block] = field(default_factory=dict)
    given: Callable[[int], Mapping[str, Any]] = lambda i: {}
    order: Sequence[str] = ()
    set_aside: Sequence[Rejected] = ()
    notes: Sequence[str] = ()

    @property
    def vocab(self) -> list[str | int] | None:
        """The names of the classes of the first labels."""
        return next((labels.vocab for labels in self.labels.values()), None)

    @property
    def fields(self) -> list[pa.Field]:
        """The columns of labels and splits, then those of masks, points and boxes."""
        return told_fields(self.targets, self.splits is not None)

    @property
    def targets(self) -> list[dict[str, Any]]:
        """The columns of targets in order, for JSON: the name of each, its kind, and the names of its classes."""
        told: dict[str, Any] = {name: (labels.kind, labels.vocab) for name, labels in self.labels.items()}
        told |= {name: (block.kind, _names(block)) for name, block in self.places.items()}
        return [{"name": name, "kind": told[name][0], "vocab": told[name][1]} for name in self.order or told]

    def contents(self, i: int) -> dict[str, Any]:
        """What mask, points and boxes of an item are made of, and the error of a label that is missing."""
        missing = {name: MissingLabelError("is missing") for name, one in self.labels.items() if i in one.missing}
        return {**missing, **self.given(i)}

    def naming(self, refused: Collection[str]) -> Self:
        """The same items, where the vocabularies that were learnt name the labels of those not `refused` (keys)."""
        if not refused:
            return self
        left_out = {place for place, item in enumerate(self.items) if item.key in refused}
        return replace(self, labels={name: labels.narrowed(left_out) for name, labels in self.labels.items()})

    def told(self, i: int) -> dict[str, Any]:
        """The labels and the split of an item."""
        columns: dict[str, Any] = {name: labels.values[i] for name, labels in self.labels.items()}
        return columns if self.splits is None else columns | {"split": self.splits[i]}


def _names(block: Block) -> list[str | int] | None:
    return None if block.vocab is None else [label_name(name) for name in block.vocab]


def catalogue_of(source: Listed, labeller: Labeller | None, splitter: Splitter | None) -> Catalogue:
    """The items of a source, with a label and a split as these functions give them."""
    items = source.items()
    labels, splits = label_items(items, labeller), split_items(items, splitter)
    return Catalogue(
        source,
        items,
        {} if labels is None else {"label": labels},
        splits,
        {"label": _written(labeller), "split": _written(splitter)},
        set_aside=set_aside(items),
        notes=notes(items, {} if labels is None else {"label": labels}, splits),
    )


def set_aside(listing: Any) -> list[Rejected]:
    """The files that became no items, as far as a listing of them says (`Items`, or `list_images`)."""
    return [Rejected(key, reason) for key, reason in sorted(getattr(listing, "set_aside", {}).items())]


def notes(listing: Any, labels: Mapping[str, Labels], splits: Sequence[str | None] | None) -> list[str]:
    """What the user has to know of a source and its labels, a line each."""
    passed_by = [f"{key} {reason}" for key, reason in sorted(getattr(listing, "passed_by", {}).items())]
    said = [f"passed by: {_some(passed_by)}"] if passed_by else []
    for name, column in labels.items():
        if hint := _several_in_one(column):
            said.append(f"{name}: {hint}")
        if splits is not None and TRAIN in splits:
            seen = column.used({place for place, split in enumerate(splits) if split != TRAIN})
            if unseen := [str(one) for one in column.vocab if not seen[one] and one != MISSING]:
                said.append(f"{name}: no training item has the label {_some(unseen)}")
    return said


def _several_in_one(labels: Labels) -> str | None:
    """That names look as though each held several, between which stands one sign."""
    names = [name for name in labels.vocab if isinstance(name, str)]
    for sign in ";|, ":
        parts = {part for name in names for part in name.split(sign)}
        if labels.learnt and not labels.several and any(sign in name for name in names) and len(parts) < len(names):
            shown = next(name for name in names if sign in name)
            return (
                f"{shown!r} is one class of {len(names)}; where it is several, say what stands between them: "
                f"--label 'column:NAME:{sign}', or ColReader(NAME, label_delim={sign!r})"
            )
    return None


def _some(texts: Sequence[str], most: int = 3) -> str:
    """The first of some texts, and how many there are."""
    return ", ".join(texts[:most]) + (f", … ({len(texts)} in all)" if len(texts) > most else "")


def _written(function: Any) -> Any:
    """A labeller or splitter as it stands in a cache's footer: in full, or by its name where it is not registered."""
    if can_write(function):
        return function
    return f"{getattr(function, '__qualname__', type(function).__qualname__)} (not registered)"
