"""For fastai: our loaders under a real fastai `Learner`. (Its transforms in our pipeline: `foreign.py`.)

```python
learn = vision_learner(as_fastai(dls), resnet34, metrics=error_rate, normalize=False, cbs=count_epochs())
learn.fine_tune(2)                                      # cbs=resumable(dls, "run.ckpt"): see fastai_resuming.py
ClassificationInterpretation.from_learner(learn).plot_top_losses(9)
learn.predict("cat.jpg"), learn.tta(), learn.export()
```

Under torchrun, within `learn.distrib_ctx()`, each process trains on its share and validates on everything, by itself.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import UsageError
from ...pipeline import DataLoaders, Loader
from ..exporting import ServingData
from .libraries import require
from .torch import shared


class Key(str):
    """The key of a sample that the loaders hold, which fastai takes for an item."""


class Target(NamedTuple):
    """fastai's side of a kind of target: the type of its tensors, the function that draws one, and its loss."""

    tensor: Any
    drawn: Any
    loss: Any


def target_of(ours: DataLoaders | ServingData) -> Target:
    """fastai's side of our first target. Raises `UsageError` for kinds whose units differ from fastai's."""
    from fastai.data import transforms as named
    from fastai.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat
    from fastai.torch_core import TensorCategory, TensorMask, TensorMultiCategory

    names = [str(name) for name in ours.vocab or ()]
    match ours.loss:
        case "category":
            return Target(TensorCategory, lambda t: named.Category(names[int(t)]), CrossEntropyLossFlat())
        case "multicategory":
            return Target(
                TensorMultiCategory,
                lambda t: named.MultiCategory([name for name, holds in zip(names, t.tolist(), strict=True) if holds]),
                BCEWithLogitsLossFlat(),
            )
        case "mask":
            return Target(TensorMask, TensorMask, CrossEntropyLossFlat(axis=1))
    raise UsageError(
        f"as_fastai takes labels and masks, but the target is {ours.loss}, which fastai scales to -1..1, and "
        "onewarp gives in pixels: train with onewarp's Learner"
    )


def decode_samples(ours: DataLoaders | ServingData, batch: Sequence[Tensor], max_n: int = 9) -> Any:
    """Samples of a batch as fastai shows them: images in 0..1, labels in words."""
    from fastai.torch_core import TensorImage as TheirImage
    from fastcore.foundation import L

    to_shown = target_of(ours).drawn
    images = [TheirImage(image) for image in ours.denormalize(batch[0][:max_n].as_subclass(Tensor))]
    targets = [[to_shown(one.as_subclass(Tensor).cpu()) for one in part[:max_n]] for part in batch[1:]]
    return L(zip(images, *targets, strict=True))


def vocab_of(ours: DataLoaders | ServingData) -> Any:
    """The names of the classes, as fastai keeps them."""
    from fastai.data.transforms import CategoryMap

    return CategoryMap(list(ours.vocab or ()), sort=False)


class Dataset:
    """What fastai asks of a dataset: how many there are, the loss, and whether they are augmented (split 0)."""

    def __init__(self, total: int, loss_func: Any) -> None:
        self.total, self.loss_func, self.split = total, loss_func, 1

    def __len__(self) -> int:
        return self.total

    @contextmanager
    def set_split_idx(self, number: int) -> Iterator["Dataset"]:
        """Augment as in training (0), or not (1), within the context."""
        before, self.split = self.split, number
        try:
            yield self
        finally:
            self.split = before


class Batches:
    """A loader as fastai's loop wants one: iterable, with a length, a batch size, a dataset, and the way back."""

    n_inp = 1

    def __init__(self, loader: Loader, ours: DataLoaders | ServingData, device: torch.device) -> None:
        self.loader, self.ours, self.device = loader, ours, device
        self.bs, self.n = loader.batch_size, loader.total
        self._target = target_of(ours)
        self.dataset = Dataset(loader.total, self._target.loss)
        self._passes = 0

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._next_pass() if self.dataset.split == 0 else self.loader:
            yield self._to_fastai(batch)

    def _next_pass(self) -> Loader:
        """A loader of the same samples with the draws of the next pass."""
        loader = self.loader.with_settings(augment=True)
        loader.set_epoch(self._passes)
        self._passes += 1
        return loader

    def _to_fastai(self, batch: Any) -> tuple[Any, ...]:
        from fastai.torch_core import TensorImage as TheirImage

        image = TheirImage(batch[0].to(self.device))
        return (image,) if batch[1] is None else (image, self._target.tensor(batch[1].to(self.device)))

    @property
    def items(self) -> list[Key]:
        """The keys of the samples, in the order of the rows."""
        return [Key(key) for key in self.loader.in_order().sample_keys()]

    @property
    def vocab(self) -> Any:
        """The names of the classes."""
        return vocab_of(self.ours)

    def one_batch(self) -> Any:
        """The first batch; the loader stands where it stood."""
        return self._to_fastai(self.loader.peek())

    def new(self, dataset: Any = None, shuffle: bool = False, **settings: Any) -> "Batches":
        """The same samples, not augmented, in the order of the rows or shuffled: what fastai predicts and shows."""
        loader = self.loader.with_settings(shuffle=True, augment=False) if shuffle else self.loader.in_order()
        return type(self)(loader, self.ours, self.device)

    def to(self, device: Any) -> "Batches":
        """Deliver the batches on this device."""
        self.device = torch.device(device)
        return self

    def decode_batch(self, batch: Sequence[Tensor], max_n: int = 9, full: bool = True) -> Any:
        """Samples of a batch as fastai shows them: images in 0..1, labels in words."""
        return decode_samples(self.ours, batch, max_n)

    def _pre_show_batch(self, batch: Sequence[Tensor], max_n: int = 9) -> Any:
        """The batch in fastai's types, which it may have lost among predictions, and its samples."""
        image, *target = self._to_fastai((*(part.as_subclass(Tensor) for part in batch), None)[:2])
        return image, target[0] if target else None, self.decode_batch(batch, max_n)

    def show_batch(self, b: Any = None, max_n: int = 9, ctxs: Any = None, show: bool = True, **settings: Any) -> Any:
        """Draw samples of a batch, the first one without `b`, as fastai does."""
        from fastai.data.core import show_batch

        parts = self._pre_show_batch(self.one_batch() if b is None else b, max_n)
        return show_batch(*parts, ctxs=ctxs, max_n=max_n, **settings) if show else parts

    def show_results(self, b: Any, out: Any, max_n: int = 9, ctxs: Any = None, **settings: Any) -> Any:
        """Draw samples with their targets and predictions, as fastai does."""
        from fastai.data.core import show_results

        x, y, samples = self._pre_show_batch(b, max_n)
        outs = self.decode_batch((b[0], *(out if isinstance(out, tuple) else (out,))), max_n)
        return show_results(x, y, samples, outs.itemgot(slice(1, None)), ctxs=ctxs, max_n=max_n, **settings)


def as_fastai(dls: DataLoaders, device: str | torch.device | None = None) -> Any:
    """fastai `DataLoaders` of our batches, in our order, with `c` and `vocab`.

    Raises `MissingDependencyError` where fastai is not installed or too old, and `UsageError` for targets whose units
    differ from fastai's (points and boxes).
    """
    require("fastai", "as_fastai")
    classes = _classes()
    from fastai.distributed import num_distrib
    from fastai.torch_core import default_device

    place = torch.device(device or default_device())
    several = num_distrib() > 1
    kind, valid = (classes.shared, shared(dls, 0, 1).valid) if several else (Batches, dls.valid)
    theirs = classes.loaders(*(kind(loader, dls, place) for loader in (dls.train, valid)), device=place)
    theirs.ours, theirs.c = dls, dls.c
    return theirs


def count_epochs() -> Any:
    """A fastai callback by which training begins at epoch 0, whatever `lr_find` has read before.

    Raises `MissingDependencyError` where fastai is not installed or too old.
    """
    require("fastai", "count_epochs")
    return _classes().count_epochs()


class Classes(NamedTuple):
    """Classes of ours that inherit from fastai's, which is imported only where it is used."""

    loaders: Any
    shared: Any
    count_epochs: Any


@cache
def _classes() -> Classes:
    from fastai.basics import Callback
    from fastai.callback.schedule import LRFinder
    from fastai.data.core import DataLoaders as TheirLoaders
    from fastai.distributed import DistributedDL
    from fastai.torch_core import to_detach

    class RankBatches(Batches, DistributedDL):  # type: ignore[misc]
        """Batches that are shared out already, which fastai does by itself with all but a `DistributedDL`."""

        def to_detach(self, batch: Any, cpu: bool = True, gather: bool = True) -> Any:
            """Without exchanging losses and metrics with others."""
            return to_detach(batch, cpu, gather=False)

    class Loaders(TheirLoaders):  # type: ignore[misc]
        """fastai's pair of loaders, over new items too."""

        n_inp = 1

        def test_dl(self, test_items: Sequence[Any], with_labels: bool = False, **settings: Any) -> Batches:
            """Batches of new items (paths, bytes, images), or of samples that the loaders hold, by key."""
            if all(isinstance(item, Key) for item in test_items):
                rows = [self.ours.rows.find(key) for key in test_items]
                loader = self.ours.valid.with_settings(split=None, indices=rows, augment=False)
            else:
                labelled = {"with_labels": True} if with_labels else {}
                loader = self.ours.test_dl(list(test_items), **labelled)
            return Batches(loader, self.ours, self.device)

        def decode_batch(self, batch: Any, max_n: int = 9) -> Any:
            """Samples of a batch as fastai shows them."""
            return decode_samples(self.ours, batch, max_n)

        @property
        def vocab(self) -> Any:
            """The names of the classes."""
            return vocab_of(self.ours)

        def new_empty(self) -> Any:
            """What predicts without data, for `learn.export`."""
            ours = self.ours
            empty = type(self)(device=self.device)
            empty.ours, empty.c = ServingData(tuple(ours.blocks), ours.transforms, ours.sizing), self.c
            return empty

    class CountEpochs(Callback):  # type: ignore[misc]
        """Tells the training loader its epoch, counted over all fits but those of the learning rate finder."""

        order = -100

        def __init__(self) -> None:
            self.epochs = 0

        def before_fit(self) -> None:
            """Refuse the finder among several processes: it puts the weights back in the first alone, and waits."""
            if not any(isinstance(callback, LRFinder) for callback in self.learn.cbs):
                return  # predictions of an exported learner have no loader to train on
            ranks = self.learn.dls.train.loader.world_size
            if ranks > 1:
                raise UsageError(
                    f"fastai's lr_find must run in one process, but there are {ranks}, of which it puts the weights "
                    "back in the first alone: find the rate in one, and give it to fit"
                )

        def before_train(self) -> None:
            """Put the loader at this epoch."""
            self.learn.dls.train.loader.set_epoch(self.epochs)

        def after_epoch(self) -> None:
            """Count the epoch, unless the rate finder runs."""
            self.epochs += not any(isinstance(callback, LRFinder) for callback in self.learn.cbs)

    return Classes(Loaders, RankBatches, CountEpochs)
