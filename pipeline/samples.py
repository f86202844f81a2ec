"""Items as typed samples: what a data set's getters and blocks make of each item."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from ..errors import UsageError
from .blocks import Block
from .labels import labels_of

Getter = Callable[[Any], Any] | None
"""From an item to what a block takes; None for the item itself."""


@dataclass(frozen=True)
class Samples(Sequence[Any]):
    """A sequence of typed samples `(image, targets...)`, each made when it is asked for."""

    items: Sequence[Any]
    blocks: tuple[Block, ...]
    getters: tuple[Getter, ...]

    def __post_init__(self) -> None:
        kinds = [block.kind for block in self.blocks]
        if kinds[:1] != ["image"] or "image" in kinds[1:]:
            raise UsageError(f"blocks must be one ImageBlock, then blocks of targets, but got {', '.join(kinds)}")
        if len(self.getters) != len(self.blocks):
            raise UsageError(f"there must be a getter a block, {len(self.blocks)}, but got {len(self.getters)}")

    def setup(self, training: Sequence[int]) -> Self:
        """Samples whose blocks have learnt from the training items."""
        chosen = [self.items[i] for i in training]
        ready = [
            block.setup(self.values(n, chosen)) if needs_setup(block) else block for n, block in enumerate(self.blocks)
        ]
        return type(self)(self.items, tuple(ready), self.getters)

    def values(self, block: int, items: Sequence[Any]) -> list[Any]:
        """What the getter of a block gives for `items`; a label that is not found is an error that names the item."""
        getter = self.getters[block]
        return list(items) if getter is None else labels_of(items, getter)

    def raw(self, row: int, block: int) -> Any:
        """What the getter of a block gives for item `row`."""
        getter = self.getters[block]
        return self.items[row] if getter is None else getter(self.items[row])

    def element(self, row: int, block: int) -> Any:
        """One typed element of a sample."""
        return self.blocks[block](self.raw(row, block))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        return tuple(self.element(i, n) for n in range(len(self.blocks)))


def needs_setup(block: Block) -> bool:
    """Whether a block has something to learn: a vocabulary."""
    return block.kind in ("category", "multicategory") and block.vocab is None
