"""Typed samples as what `presize` works on: their pictures, targets and splits, sorted by key."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import LabelError, MissingLabelError, UsageError
from ...transforms.category import is_missing
from ..dataset.item_labels import Labels, label_name, refuse_all_missing
from ..dataset.samples import RowPicture, Samples
from ..dataset.sources import Item, Source, stamp_of
from ..dataset.spatial_targets import SPATIAL_KINDS
from ..dataset.table_rows import read_path
from ..presizing.catalogue import Catalogue, notes, set_aside
from .sample_rows import column_name, labels_or_missing


@dataclass(frozen=True)
class Pictures:
    """A source of pictures, each of whose place is its path, or its bytes; `address` names where they come from."""

    address: str

    def read(self, place: Any) -> bytes:
        """The bytes of a picture."""
        return place if isinstance(place, bytes) else read_path(place)

    def where(self) -> str:
        """Where the pictures come from."""
        return self.address


def catalogue_of_samples(
    samples: Samples,
    keys: Sequence[str],
    splits: Sequence[str | None],
    source: Source,
    items: Sequence[Item] | None = None,
    pipeline: Mapping[str, Any] | None = None,
    learnt: Sequence[int] = (),
    listing: object = None,
) -> Catalogue:
    """The pictures of `samples` with their targets; `source` reads them at the places in `items`.

    Without `items`, and where the samples have a getter for pictures of the user's own, their places are what the
    samples say. `learnt` are the numbers of the blocks whose vocabulary was learnt from these samples, and `listing`
    says what became no item (`set_aside`, `passed_by`).
    """
    order = sorted(range(len(keys)), key=keys.__getitem__)
    if items is None or not isinstance(samples.getters[0], RowPicture | None):
        source, items = Pictures(source.where()), [_item(samples, keys, i) for i in range(len(keys))]
    numbers = {column_name(samples, n): n for n in range(1, len(samples.blocks))}
    spatial = {name: n for name, n in numbers.items() if samples.blocks[n].kind in SPATIAL_KINDS}
    for n in spatial.values():
        _refuse_useless(samples, n)
    labels = {name: _labels(samples, n, keys, order, n in learnt) for name, n in numbers.items() if name not in spatial}
    return Catalogue(
        source,
        [items[i] for i in order],
        labels,
        [splits[i] for i in order],
        pipeline or {},
        {name: samples.blocks[n] for name, n in spatial.items()},
        lambda i: {name: _raw_target(samples, order[i], n) for name, n in spatial.items()},
        tuple(numbers),
        set_aside(listing),
        notes(listing, labels, [splits[i] for i in order]),
    )


def _raw_target(samples: Samples, i: int, block: int) -> Any:
    """The value that a getter returns for an item, or the error that it raises."""
    try:
        value = samples.raw(i, block)
    except LabelError as error:
        return error
    except Exception as error:  # whatever a getter of the user's own stumbles over; without a path of this machine
        reason = error.strerror if isinstance(error, OSError) else error
        return LabelError(f"{type(error).__name__}: {reason}")
    return MissingLabelError("is missing") if is_missing(value) else value


def _refuse_useless(samples: Samples, block: int) -> None:
    """Raise the first error of a getter that fails on every item: it is not the items that are wrong."""
    first = None
    for i in range(len(samples)):
        value = _raw_target(samples, i, block)
        if not isinstance(value, LabelError):
            return
        first = first or value
    if first is not None:
        raise first


def _item(samples: Samples, keys: Sequence[str], i: int) -> Item:
    value = samples.raw(i, 0)
    if isinstance(value, bytes):
        return Item(keys[i], value, samples.items[i], None)
    if isinstance(value, str | os.PathLike) or is_missing(value):
        place = "" if is_missing(value) else os.fspath(value)
        return Item(keys[i], place, samples.items[i], stamp_of(place))
    raise UsageError(f"a cache needs pictures from files or bytes, but got a {type(value).__name__}")


def _labels(samples: Samples, block: int, keys: Sequence[str], order: Sequence[int], learnt: bool) -> Labels:
    """The numbers that the block's transforms give, in another order."""
    tensors = labels_or_missing(samples, block, keys)
    numbers = [tensors[i] for i in order]
    missing = frozenset(place for place, number in enumerate(numbers) if number is None)
    refuse_all_missing(keys, missing)
    vocab = [label_name(name) for name in samples.blocks[block].vocab or ()]
    several = samples.blocks[block].kind == "multicategory"
    values = [None if n is None else n.nonzero()[:, 0].tolist() if several else int(n) for n in numbers]
    return Labels(values, vocab, several, missing, learnt)
