"""DataBlock: what a data set is made of, and from it typed samples, loaders, and a summary that explains itself."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, Unpack

from typing_extensions import TypeVar

from ...errors import SpecError, UsageError
from ...transforms.augment import Fused, fuse
from ...transforms.decoding.resizing import Sizing
from ...transforms.geometry import Resize
from ...transforms.plan import height_width
from ...transforms.to_tensor import ToTensor
from ...transforms.transform_lists import Transforms
from ..cache.reader import Cache
from ..composition.show import show
from ..composition.spec import can_write, from_json, register, to_json
from ..dataset.block_settings import as_list, check_block, getters_of
from ..dataset.blocks import Block, as_block, with_vocab
from ..dataset.memory_table import MemorySource
from ..dataset.samples import Getter, RowPicture, Samples, needs_setup
from ..dataset.sources import Source
from ..dataset.splits import RandomSplitter, Splitter
from ..dataset.tables import TableSource
from ..loading.cache_rows import CacheRows
from ..loading.loader_settings import CommonSettings
from ..loading.rows import Rows
from ..presizing.catalogue import Catalogue, notes, set_aside
from ..presizing.presizer import presize
from ..presizing.progress import print_notes
from .dataloaders import DataLoaders
from .item_set import ItemSet, items_of_function, items_of_source
from .sample_catalogue import catalogue_of_samples
from .sample_rows import sample_rows
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
    """The samples of one split, in order."""

    samples: Samples
    rows: tuple[int, ...]

    @property
    def items(self) -> list[Any]:
        """The items of these samples."""
        return [self.samples.items[row] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: Any) -> Any:
        return [self.samples[row] for row in self.rows[i]] if isinstance(i, slice) else self.samples[self.rows[i]]

    def __iter__(self) -> Iterator[Any]:
        return (self.samples[row] for row in self.rows)


From = TypeVar("From", default=Any)
"""What a data set is made from: what `get_items` takes; without it a folder, a table, or a list of items."""


@register
@dataclass(frozen=True)
class DataBlock(Generic[From]):
    """What a data set is made of.

    `blocks` are the kinds of a sample's elements: an image, then its targets. `get_items` finds the items of a source;
    without it they are what `presize` finds, the files of a folder or the rows of a table. `get_x` and `get_y` (one
    function, or one a target; or `getters`, one a block) give what the blocks take, `splitter` says which items train.
    A vocabulary that is not given is learnt from the labels of all items. `item_tfms` and `batch_tfms` are fused: a
    `Resize` among `item_tfms` is part of the one warp. With `fused=False` each transform resamples on its own: the
    naive way, on the same draws. Raises `UsageError` for anything that cannot be what it stands for.
    """

    blocks: Sequence[Block | Callable[[], Block]] = ()
    get_items: Callable[[From], Sequence[Any]] | None = None
    splitter: Callable[[Any], tuple[Sequence[int], Sequence[int]]] | None = None
    get_x: Getter = None
    get_y: Getter | Sequence[Getter] = None
    item_tfms: Transforms | Callable[..., Any] = ()
    batch_tfms: Transforms | Callable[..., Any] = ()
    getters: Sequence[Getter] | None = None
    fused: bool = True

    def __post_init__(self) -> None:
        check_block(self)
        self.transforms()

    def datasets(self, source: From) -> Datasets:
        """Typed samples of a source, with the vocabulary of their labels."""
        return self._datasets(self._find_items(source))

    def catalogue(self, source: From, image: str | None = None, key: str | None = None) -> Catalogue:
        """What `presize(source, cache, block=self)` works on: the items of a source with their labels and splits.

        `image` and `key` name columns of a table.
        """
        item_set = self._find_items(source, image, key)
        return self._catalogue(self._datasets(item_set), item_set)

    def dataloaders(
        self,
        source: From,
        bs: int = 64,
        *,
        val_bs: int | None = None,
        cache: str | os.PathLike[str] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        **loader: Unpack[CommonSettings],
    ) -> DataLoaders:
        """Loaders of the training and the validation split.

        Photos are decoded when they are read, or presized once into a `cache` (a path) that later calls take up
        again. What is left in `loader` goes to `Loader`: `threads`, `tail`, `device`, `rank`, ...
        """
        item_set = self._find_items(source)
        datasets = self._datasets(item_set)
        if cache is None:
            rows, samples = self.rows(datasets), datasets.samples
            print_notes(notes(item_set.listing, {}, None), set_aside(item_set.listing))
        else:
            rows, samples = self.cache_rows(datasets, self._catalogue(datasets, item_set), cache)
        return DataLoaders.of(
            rows,
            samples,
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

    def cache_rows(
        self, datasets: Datasets, catalogue: Catalogue, cache: str | os.PathLike[str]
    ) -> tuple[Rows, Samples]:
        """The samples as rows that are presized once into the folder `cache`, and with the vocabularies that it has.

        Files that the cache sets aside are left out, counted, and the first of them named.
        """
        sizing = self.sizing()
        if sizing is None:
            raise UsageError("a cache keeps photos at one size: give item_tfms=Resize(n)")
        summary = presize(catalogue, cache, sizing.size, verify=False, quiet=False)
        print_notes((), summary.rejected)
        stored = Cache.open(cache)
        vocabs = [target["vocab"] for target in stored.targets.values()]
        blocks = zip(datasets.samples.blocks, [None, *vocabs], strict=True)
        samples = replace(datasets.samples, blocks=tuple(with_vocab(block, vocab) for block, vocab in blocks))
        return CacheRows(stored.in_order(datasets.keys)), samples

    def transforms(self) -> Fused:
        """All transforms of items and batches, fused."""
        elements = (*as_list("item_tfms", self.item_tfms), *as_list("batch_tfms", self.batch_tfms))
        transforms = [t for t in elements if not isinstance(t, ToTensor)]
        return fuse(transforms, one_by_one=not self.fused)

    def sizing(self) -> Sizing | None:
        """How photos are presized: to the `Resize` that comes first, with the aspect kept; None: not at all."""
        first = next(iter(self.transforms().transforms), None)
        return Sizing(max(height_width(first.size))) if isinstance(first, Resize) else None

    def summary(self, source: From, bs: int = 4) -> None:
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

    def _datasets(self, item_set: ItemSet) -> Datasets:
        splitter = self.splitter or RandomSplitter()
        train: Sequence[int]
        valid: Sequence[int]
        if isinstance(splitter, Splitter):
            train, valid = splitter(item_set.items, item_set.origins)
            names = splitter.names(item_set.items, item_set.origins)
        else:
            train, valid = splitter(item_set.items)
            names = _names(len(item_set.items), train, valid)
        samples = Samples(item_set.items, self._blocks(), self._getters(item_set.source)).setup()
        return Datasets(samples, tuple(item_set.keys), (tuple(train), tuple(valid)), tuple(names))

    def _catalogue(self, datasets: Datasets, item_set: ItemSet) -> Catalogue:
        block = replace(self, item_tfms=(), batch_tfms=())  # no column depends on these
        return catalogue_of_samples(
            datasets.samples,
            datasets.keys,
            datasets.split_names,
            item_set.source,
            item_set.source_items,
            {"block": block if can_write(block) else None},
            [n for n, block in enumerate(self._blocks()) if needs_setup(block)],
            item_set.listing,
        )

    def _find_items(self, source: From, image: str | None = None, key: str | None = None) -> ItemSet:
        if self.get_items is not None:
            return items_of_function(self.get_items, source)
        return items_of_source(source, image, key)

    def _blocks(self) -> tuple[Block, ...]:
        return tuple(as_block(block) for block in self.blocks)

    def _getters(self, source: Source) -> tuple[Getter, ...]:
        """A getter a block; the picture of a table's row is the one that the table names, unless a getter says so."""
        first, *targets = getters_of(self)
        in_table = isinstance(source, TableSource | MemorySource)
        return (RowPicture(source) if first is None and in_table else first, *targets)


def _names(count: int, train: Sequence[int], valid: Sequence[int]) -> list[str | None]:
    names: list[str | None] = [None] * count
    for name, rows in (("train", train), ("valid", valid)):
        for row in rows:
            names[row] = name
    return names
