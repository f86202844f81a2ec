"""DataBlock: what a data set is made of, and from it typed samples, loaders, and a summary that explains itself."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from ..errors import SpecError, UsageError
from ..transforms.augment import Fused, fuse
from ..transforms.geometry import Resize
from ..transforms.plan import height_width
from ..transforms.resizing import Sizing
from ..transforms.to_tensor import ToTensor
from ..transforms.transform import Transform
from .blocks import Block, as_block
from .cache import Cache
from .cataloguing import Pictures, catalogue_of_samples
from .dataloaders import DataLoaders
from .keys import keys_of
from .loading.cached_rows import CacheRows
from .loading.rows import Rows
from .presizing import presize
from .sample_rows import sample_rows
from .samples import Getter, Samples
from .show import show
from .spec import can_write, from_json, register, to_json
from .splits import RandomSplitter, Splitter
from .store.catalogue import Catalogue
from .store.sources import Item, Listed, Source
from .store.tables import open_source
from .summary import summarise


@dataclass(frozen=True)
class Datasets:
    """Typed samples, all of them and those of each split, and the vocabulary that the training labels gave.

    `split_names` has the split of each sample, None for one that belongs to none.
    """

    samples: Samples
    keys: tuple[str, ...]
    splits: tuple[tuple[int, ...], tuple[int, ...]]
    split_names: tuple[str | None, ...]

    @property
    def train(self) -> "Split":
        """The training samples."""
        return Split(self.samples, self.splits[0])

    @property
    def valid(self) -> "Split":
        """The validation samples."""
        return Split(self.samples, self.splits[1])

    @property
    def vocab(self) -> Sequence[Any] | None:
        """The names of the classes of the first target that has any."""
        return next((b.vocab for b in self.samples.blocks if b.vocab is not None), None)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Any:
        return self.samples[i]

    def show(self, sample: Any, ax: Any = None) -> Any:
        """Draw a sample, its labels in words; returns the axes."""
        return show(tuple(b.decode(e) for b, e in zip(self.samples.blocks, sample, strict=True)), ax)


@dataclass(frozen=True)
class Split(Sequence[Any]):
    """Some of the samples."""

    samples: Samples
    rows: tuple[int, ...]

    @property
    def items(self) -> list[Any]:
        """Their items."""
        return [self.samples.items[row] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: Any) -> Any:
        return [self.samples[row] for row in self.rows[i]] if isinstance(i, slice) else self.samples[self.rows[i]]

    def __iter__(self) -> Iterator[Any]:
        return (self.samples[row] for row in self.rows)


@register
@dataclass(frozen=True)
class DataBlock:
    """What a data set is made of.

    `blocks` are the kinds of a sample's elements: an image, then its targets. `get_items` finds the items of a source,
    `get_x` and `get_y` (one function, or one a target; or `getters`, one a block) give what the blocks take, `splitter`
    says which items train. `item_tfms` and `batch_tfms` are fused: a `Resize` among `item_tfms` is part of the one
    warp. With `fused=False` each transform resamples on its own: the naive way, on the same draws.
    """

    blocks: Sequence[Any] = ()
    get_items: Callable[[Any], Sequence[Any]] | None = None
    splitter: Any = None
    get_x: Getter = None
    get_y: Any = None
    item_tfms: Any = ()
    batch_tfms: Any = ()
    getters: Sequence[Getter] | None = None
    fused: bool = True

    def datasets(self, source: Any) -> Datasets:
        """Typed samples of a source, set up on its training split."""
        return self._typed(*self._items(source))

    def catalogue(
        self, source: str | os.PathLike[str] | Listed, image: str | None = None, key: str | None = None
    ) -> Catalogue:
        """What `presize(source, cache, block=self)` works on: the items of a source with their labels and splits.

        Without `get_items` the items are what `presize` finds in a source by itself: the files of a folder, or the
        rows of a table, `image` and `key` naming its columns.
        """
        if self.get_items is not None:
            return self._catalogue(self.datasets(source), Pictures(_address(source)))
        listed = open_source(source, image, key)
        items = listed.items()
        return self._catalogue(self._typed([i.view for i in items], [i.key for i in items]), listed, items)

    def dataloaders(
        self,
        source: Any,
        bs: int = 64,
        *,
        val_bs: int | None = None,
        cache: str | os.PathLike[str] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        **loader: Any,
    ) -> DataLoaders:
        """Loaders of the training and the validation split.

        Photos are decoded when they are read, or presized once into a `cache` (a path) that later calls take up
        again. What is left in `loader` goes to `Loader`: `threads`, `tail`, `device`, `rank`, ...
        """
        datasets = self.datasets(source)
        rows = self.rows(datasets) if cache is None else self.cached(datasets, source, cache)
        return DataLoaders.of(
            rows,
            datasets.samples,
            self.transforms(),
            sizing=self.sizing(),
            bs=bs,
            val_bs=val_bs,
            seed=seed,
            shuffle=shuffle,
            **loader,
        )

    def rows(self, datasets: Datasets) -> Rows:
        """The samples as rows that a loader reads, straight from the files."""
        return sample_rows(datasets.samples, datasets.keys, datasets.split_names, self.sizing())

    def cached(self, datasets: Datasets, source: Any, cache: str | os.PathLike[str]) -> Rows:
        """The samples as rows that are presized once into the folder `cache`; files that it sets aside are left out."""
        sizing = self.sizing()
        if sizing is None:
            raise UsageError("a cache keeps photos at one size: give item_tfms=Resize(n)")
        presize(self._catalogue(datasets, Pictures(_address(source))), cache, sizing.size, quiet=False)
        return CacheRows(Cache.open(cache).in_order(datasets.keys))

    def transforms(self) -> Fused:
        """All transforms of items and batches, fused."""
        transforms = [t for t in (*_several(self.item_tfms), *_several(self.batch_tfms)) if not isinstance(t, ToTensor)]
        return fuse(transforms, one_by_one=not self.fused)

    def sizing(self) -> Sizing | None:
        """How photos are presized: to the `Resize` that comes first, with the aspect kept; None: not at all."""
        first = next(iter(self.transforms().transforms), None)
        return Sizing(max(height_width(first.size))) if isinstance(first, Resize) else None

    def summary(self, source: Any, bs: int = 4) -> None:
        """Tell, step by step, how the first sample and the first batch are made; raises where they cannot be."""
        summarise(self, source, bs)

    def to_json(self) -> str:
        """The block as JSON; raises `SpecError` for a function that has no name to be found by."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The block that `to_json` wrote; raises `SpecError` for JSON of anything else, and for unknown names."""
        block = from_json(text)
        if not isinstance(block, cls):
            raise SpecError(f"the JSON must be that of a DataBlock, but is that of a {type(block).__name__}")
        return block

    def _typed(self, items: Sequence[Any], keys: Sequence[str]) -> Datasets:
        splitter = self.splitter or RandomSplitter()
        named = isinstance(splitter, Splitter)
        train, valid = splitter(items, keys) if named else splitter(items)
        names = splitter.names(items, keys) if named else _names(len(items), train, valid)
        samples = Samples(items, self._blocks(), self._getters()).setup(list(train))
        return Datasets(samples, tuple(keys), (tuple(train), tuple(valid)), tuple(names))

    def _catalogue(self, datasets: Datasets, source: Source, items: Sequence[Item] | None = None) -> Catalogue:
        told = replace(self, item_tfms=(), batch_tfms=())  # of which no column depends
        return catalogue_of_samples(
            datasets.samples,
            datasets.keys,
            datasets.split_names,
            source,
            items,
            {"block": told if can_write(told) else None},
        )

    def _items(self, source: Any) -> tuple[Sequence[Any], list[str]]:
        items = list(source) if self.get_items is None else list(self.get_items(source))
        if not items:
            raise UsageError(f"no items were found in {source}: a data set needs at least one")
        root = Path(source) if isinstance(source, str | os.PathLike) else None
        return items, keys_of(items, root)

    def _blocks(self) -> tuple[Block, ...]:
        return tuple(as_block(block) for block in self.blocks)

    def _getters(self) -> tuple[Getter, ...]:
        if self.getters is not None:
            return tuple(self.getters)
        targets = list(self.get_y) if isinstance(self.get_y, list | tuple) else [self.get_y]
        return (self.get_x, *targets[: len(self.blocks) - 1])


def _names(count: int, train: Sequence[int], valid: Sequence[int]) -> list[str | None]:
    names: list[str | None] = [None] * count
    for name, rows in (("train", train), ("valid", valid)):
        for row in rows:
            names[row] = name
    return names


def _address(source: Any) -> str:
    return os.path.abspath(source) if isinstance(source, str | os.PathLike) else "items"


def _several(transforms: Any) -> list[Any]:
    if transforms is None:
        return []
    return [transforms] if isinstance(transforms, Transform) or callable(transforms) else list(transforms)
