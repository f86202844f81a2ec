"""Typed samples as what `presize` works on: their pictures, targets and splits, sorted by key."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import LabelError, UsageError
from .placing import PLACES
from .sample_rows import column_name, encoded
from .samples import Samples
from .store.catalogue import Catalogue
from .store.sources import Item, Source, TableRow, stamp_of
from .store.targets import Labels, label_name


@dataclass(frozen=True)
class Pictures:
    """A source of pictures, each of whose place is its path, or its bytes; `address` names where they come from."""

    address: str

    def read(self, place: Any) -> bytes:
        """The bytes of a picture."""
        return place if isinstance(place, bytes) else Path(place).read_bytes()

    def where(self) -> str:
        """The address."""
        return self.address


def catalogue_of_samples(
    samples: Samples,
    keys: Sequence[str],
    splits: Sequence[str | None],
    source: Source,
    items: Sequence[Item] | None = None,
    pipeline: Mapping[str, Any] | None = None,
) -> Catalogue:
    """The pictures of `samples` with their targets; `source` reads them at the places in `items`.

    Without `items`, and where the samples have a getter for pictures, their places are what the samples say.
    """
    order = sorted(range(len(keys)), key=keys.__getitem__)
    if items is None or samples.getters[0] is not None:
        source, items = Pictures(source.where()), [_item(samples, keys, i) for i in range(len(keys))]
    named = {column_name(samples, n): n for n in range(1, len(samples.blocks))}
    placed = {name: n for name, n in named.items() if samples.blocks[n].kind in PLACES}
    for n in placed.values():
        _refuse_useless(samples, n)
    return Catalogue(
        source,
        [items[i] for i in order],
        {name: _labels(samples, n, keys, order) for name, n in named.items() if name not in placed},
        [splits[i] for i in order],
        pipeline or {},
        {name: samples.blocks[n] for name, n in placed.items()},
        lambda i: {name: _given(samples, order[i], n) for name, n in placed.items()},
        tuple(named),
    )


def _given(samples: Samples, i: int, block: int) -> Any:
    """What a getter gives for an item, or its error. A path in a table is relative to the table, as images are."""
    item = samples.items[i]
    try:
        value = samples.raw(i, block)
    except LabelError as error:
        return error
    except Exception as error:  # whatever a getter of the user's own stumbles over; without a path of this machine
        reason = error.strerror if isinstance(error, OSError) else error
        return LabelError(f"{type(error).__name__}: {reason}")
    if isinstance(item, TableRow) and isinstance(value, str | os.PathLike):
        return os.path.join(item.folder, value)
    return value


def _refuse_useless(samples: Samples, block: int) -> None:
    """Raise the first error of a getter that fails on every item: it is not the items that are wrong."""
    first = None
    for i in range(len(samples)):
        value = _given(samples, i, block)
        if not isinstance(value, LabelError):
            return
        first = first or value
    if first is not None:
        raise first


def _item(samples: Samples, keys: Sequence[str], i: int) -> Item:
    value = samples.raw(i, 0)
    if isinstance(value, bytes):
        return Item(keys[i], value, samples.items[i], None)
    if isinstance(value, str | os.PathLike):
        return Item(keys[i], os.fspath(value), samples.items[i], stamp_of(value))
    raise UsageError(f"a cache needs pictures from files or bytes, but got a {type(value).__name__}")


def _labels(samples: Samples, block: int, keys: Sequence[str], order: Sequence[int]) -> Labels:
    """The numbers that the block's transforms give, in another order."""
    numbers = encoded(samples, block, keys)[list(order)]
    vocab = [label_name(name) for name in samples.blocks[block].vocab or ()]
    if samples.blocks[block].kind == "multicategory":
        return Labels([row.nonzero()[:, 0].tolist() for row in numbers], vocab, True)
    return Labels(numbers.tolist(), vocab, False)
