"""Items as typed samples: what a data set's getters and blocks make of each item."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from ...errors import UsageError
from .blocks import Block
from .labels import labels_of
from .sources import Source, TableRow

Getter = Callable[[Any], Any] | None
"""From an item to what a block takes; None for the item itself."""


@dataclass(frozen=True)
class RowPicture:
    """A getter of the picture of a table's row: its path, or its bytes. It returns other items as they are."""

    source: Source

    def __call__(self, item: object) -> Any:
        """The path in a row, or the bytes in the table."""
        if not isinstance(item, TableRow):
            return item
        place = item.place
        return os.path.abspath(place) if isinstance(place, str) and place else self.source.read(place)


@dataclass(frozen=True)
class Samples(Sequence[Any]):
    """A sequence of typed samples `(image, targets...)`, each made when it is read."""

    items: Sequence[Any]
    blocks: tuple[Block, ...]
    getters: tuple[Getter, ...]

    def __post_init__(self) -> None:
        check_kinds([block.kind for block in self.blocks])
        if len(self.getters) != len(self.blocks):
            raise UsageError(f"there must be a getter a block, {len(self.blocks)}, but got {len(self.getters)}")

    def setup(self) -> Self:
        """Samples whose blocks have learnt from all items: the one way in which a vocabulary is learnt."""
        ready = [
            block.setup(self.values(n, self.items)) if needs_setup(block) else block
            for n, block in enumerate(self.blocks)
        ]
        return replace(self, blocks=tuple(ready))

    def values(self, block: int, items: Sequence[object]) -> list[Any]:
        """What the getter of a block gives for `items`; a label that is not found is an error that names the item."""
        getter = self.getters[block]
        return list(items) if getter is None else labels_of(items, getter)

    def raw(self, row: int, block: int) -> Any:
        """What the getter of a block gives for item `row`; a path in a table is relative to the table."""
        item, getter = self.items[row], self.getters[block]
        value = item if getter is None else getter(item)
        in_table = isinstance(item, TableRow) and isinstance(value, str | os.PathLike)
        if in_table and self.blocks[block].kind in ("image", "mask") and value is not item:
            return os.path.join(item.folder, value) if value else value
        return value

    def element(self, row: int, block: int) -> Any:
        """One typed element of a sample."""
        return self.blocks[block](self.raw(row, block))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int | slice) -> Any:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        return tuple(self.element(i, n) for n in range(len(self.blocks)))


def needs_setup(block: Block) -> bool:
    """Whether a block has something to learn: a vocabulary."""
    return block.kind in ("category", "multicategory") and block.vocab is None


def check_kinds(kinds: Sequence[str]) -> None:
    """Raise `UsageError` unless the kinds of blocks begin with the one image."""
    if [*kinds[:1]] != ["image"] or "image" in kinds[1:]:
        raise UsageError(f"blocks must be one ImageBlock, then blocks of targets, but got {', '.join(kinds)}")
