"""The loaders of a data set's splits, and what a trainer has to know of them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, Unpack

from torch import Tensor

from ...errors import UsageError
from ...transforms.augment import Fused, fuse
from ...transforms.category import Categorize
from ...transforms.colour import Normalize
from ...transforms.decoding.resizing import Sizing
from ...transforms.transform_lists import Transforms
from ...transforms.types import TensorBBox, TensorCategory, TensorImage, TensorMask, TensorMultiCategory, TensorPoint
from ..cache.open_cache import OpenCache
from ..cache.reader import Cache
from ..composition.compose import Pipeline
from ..composition.show import show_grid
from ..composition.spec import to_json
from ..dataset.blocks import BBoxBlock, Block, CategoryBlock, ImageBlock, MaskBlock, MultiCategoryBlock, PointBlock
from ..dataset.keys import keys_of
from ..dataset.samples import Samples
from ..loading.batch import AnyBatch, Batch
from ..loading.cache_rows import rows_of
from ..loading.loader import Loader
from ..loading.loader_settings import CommonSettings
from ..loading.rows import Rows
from .sample_rows import sample_rows

TYPES: dict[str, Any] = {
    "category": TensorCategory,
    "multicategory": TensorMultiCategory,
    "mask": TensorMask,
    "points": TensorPoint,
    "boxes": TensorBBox,
}


_OF_TRAINING: tuple[Literal["indices", "tail"], ...] = ("indices", "tail")
"""The settings that a validation loader does not have: it delivers each of its rows once."""


class DataLoadersSettings(CommonSettings, total=False):
    """The settings of `DataLoaders`: batch sizes, seed, order, and those of both loaders."""

    bs: int
    val_bs: int | None
    seed: int
    shuffle: bool


@dataclass(frozen=True)
class DataLoaders:
    """`train` and `valid`, loaders of batches `(x, y)`, with the blocks and the fused transforms that made them."""

    train: Loader
    valid: Loader
    samples: Samples
    transforms: Fused
    sizing: Sizing | None
    settings: DataLoadersSettings

    @classmethod
    def of(
        cls,
        rows: Rows,
        samples: Samples,
        transforms: Fused,
        *,
        sizing: Sizing | None = None,
        bs: int = 64,
        val_bs: int | None = None,
        seed: int = 0,
        shuffle: bool = True,
        **loader: Unpack[CommonSettings],
    ) -> Self:
        """Loaders over the splits `train` and `valid` of `rows`; `sizing` is how these were presized, for new items."""
        transforms = know_classes(transforms, samples.blocks)
        settings: DataLoadersSettings = {"seed": seed, "bs": bs, "val_bs": val_bs or bs, "shuffle": shuffle, **loader}
        train = Loader(rows, "train", bs, transforms, seed, shuffle, **loader)
        for name in _OF_TRAINING:
            loader.pop(name, None)
        valid = Loader(rows, "valid", val_bs or bs, transforms, seed, shuffle=False, **loader)
        return cls(train, valid, samples, transforms, sizing, settings)

    @classmethod
    def of_cache(
        cls,
        cache: OpenCache | str | os.PathLike[str],
        transforms: Fused | Transforms = (),
        *,
        targets: Sequence[str] | None = None,
        **settings: Unpack[DataLoadersSettings],
    ) -> Self:
        """Loaders over a cache that has the splits `train` and `valid`, with its own targets, or those named.

        `settings` are those of `of`. Raises `UsageError` where a split or a target is missing.
        """
        stored = cache if isinstance(cache, OpenCache) else Cache.open(cache)
        if {"train", "valid"} - stored.splits.keys():
            names = ", ".join(stored.splits) or "none"
            raise UsageError(f"{stored!r} must have splits train and valid, but has {names}: presize with --split")
        rows = rows_of(stored, targets=targets)
        blocks = (ImageBlock(), *(_block(**stored.targets[name]) for name in targets or stored.targets))
        pixels = stored.footer["pixels"]
        return cls.of(
            rows,
            Samples((), blocks, (None,) * len(blocks)),
            transforms if isinstance(transforms, Fused) else fuse(transforms),
            sizing=Sizing(pixels["size"], pixels["square"], pixels["enlarge"]),
            **settings,
        )

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What a sample consists of."""
        return self.samples.blocks

    @property
    def rows(self) -> Rows:
        """The rows that both loaders read."""
        return self.train.rows

    @property
    def vocab(self) -> Sequence[Any] | None:
        """The names of the classes of the first target that has any."""
        return next((b.vocab for b in self.blocks if b.vocab is not None), None)

    @property
    def c(self) -> int:
        """How many classes there are; for points, how many numbers."""
        if self.vocab is not None:
            return len(self.vocab)
        if self.loss == "mask":
            raise UsageError("the classes of masks are not known: give MaskBlock(codes=[...])")
        y = self.one_batch()[1]
        return int(y[0].numel())

    @property
    def loss(self) -> str:
        """What the first target is, and so what a model is trained for: the kind of its block."""
        return self.blocks[1].kind if len(self.blocks) > 1 else "image"

    @property
    def categorize(self) -> Categorize:
        """The transform from labels to numbers."""
        for block in self.blocks:
            for t in block.type_tfms:
                if isinstance(t, Categorize):
                    return t
        raise UsageError("there is no CategoryBlock among the blocks")

    def one_batch(self) -> Batch:
        """The first training batch; the loader stands where it stood."""
        return self.train.peek()

    def normalize(self, mean: Sequence[float], std: Sequence[float]) -> "DataLoaders":
        """The same loaders with `Normalize(mean, std)` at the end of their transforms, unless there is one already."""
        if any(isinstance(t, Normalize) for t in self.transforms.transforms):
            return self
        more = fuse([*self.transforms.transforms, Normalize(tuple(mean), tuple(std))])
        return self.with_transforms(replace(self.transforms, transforms=more.transforms))

    def with_transforms(self, transforms: Fused) -> "DataLoaders":
        """The same rows under other transforms."""
        return DataLoaders.of(self.rows, self.samples, transforms, sizing=self.sizing, **self.settings)

    def denormalize(self, x: Tensor) -> Tensor:
        """A batch of images as it looks: in 0..1, on the CPU."""
        image: TensorImage = self.transforms.decode(TensorImage(x.detach().cpu().float()))
        return image.plain().clamp(0, 1)

    def test_dl(self, items: Sequence[object], with_labels: bool = False, bs: int | None = None) -> Loader:
        """A loader over new items (paths, bytes, Pillow images), the way of the validation split.

        With labels the items are what the getters take, and `y` is there; else `y` is None.
        """
        samples = self.samples
        blocks, getters = (
            (samples.blocks, samples.getters) if with_labels else (samples.blocks[:1], samples.getters[:1])
        )
        rows = sample_rows(Samples(items, blocks, getters), keys_of(items), ["valid"] * len(items), self.sizing)
        return Loader(rows, "valid", bs or self.valid.batch_size, self.transforms, shuffle=False)

    def decode_batch(self, batch: AnyBatch, max_n: int = 9) -> list[tuple[Any, ...]]:
        """Up to `max_n` samples of a batch as they can be shown: images in 0..1, labels in words."""
        x, y = batch[0], batch[1]
        images = self.denormalize(x[:max_n])
        targets = list(y.values()) if isinstance(y, dict) else [] if y is None else [y]
        samples = []
        for i, image in enumerate(images):
            parts = [b.decode(TYPES[b.kind](t[i].cpu())) for b, t in zip(self.blocks[1:], targets, strict=True)]
            samples.append((TensorImage(image), *parts))
        return samples

    def show_batch(
        self, batch: AnyBatch | None = None, max_n: int = 9, nrows: int | None = None, ncols: int | None = None
    ) -> Any:
        """Draw samples of a batch, the first of training without one; returns the figure."""
        count = nrows * ncols if nrows and ncols else max_n
        return show_grid(self.decode_batch(self.one_batch() if batch is None else batch, count), nrows, ncols)

    def to_json(self) -> str:
        """Blocks (with their vocabulary) and transforms as JSON: what it takes to serve."""
        return to_json({"blocks": self.blocks, "transforms": Pipeline((self.transforms,))})


def _block(name: str, kind: str, vocab: Sequence[Any] | None) -> Block:
    """The block of a cache's target."""
    match kind:
        case "category":
            return CategoryBlock(vocab)
        case "multicategory":
            return MultiCategoryBlock(vocab=vocab)
        case "mask":
            return MaskBlock(vocab)
        case _:
            return PointBlock() if kind == "points" else BBoxBlock()


def know_classes(transforms: Fused, blocks: Sequence[Block]) -> Fused:
    """The transforms with the number of classes filled in where labels are mixed."""
    vocab = next((b.vocab for b in blocks if b.vocab is not None), None)
    if vocab is None or not transforms.mixes:
        return transforms
    return replace(transforms, mixes=tuple(replace(m, classes=m.classes or len(vocab)) for m in transforms.mixes))
