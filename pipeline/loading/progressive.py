"""Augmentation by epoch: progressive resizing, smaller images while the first epochs learn."""

import dataclasses
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from ...errors import UsageError
from ...transforms.augment import Fused, fuse
from ...transforms.plan import Size
from .batching import Augmentation

SizeOfEpoch = Callable[[int], Size]


def augmentations(
    batch_tfms: object,
    size: Size | SizeOfEpoch | None,
    bind: Callable[[Augmentation], Augmentation] = lambda a: a,
) -> Callable[[int], Augmentation | None]:
    """The augmentation of each epoch: `batch_tfms` (a list of transforms, or fused ones) at the `size` of the epoch.

    A size takes the place of every size among the transforms; `bind` makes of each what the loader runs. Raises
    UsageError where there is no size to take.

    >>> from ...transforms.geometry import Flip, Resize
    >>> at = augmentations([Resize(224), Flip()], size=lambda epoch: 128 + 32 * epoch)
    >>> [t.size for t in at(1).transforms]
    [160, None]
    """
    if batch_tfms is None or isinstance(batch_tfms, Augmentation):
        augmentation: Augmentation | None = batch_tfms
    elif isinstance(batch_tfms, Iterable):
        augmentation = fuse(batch_tfms)
    else:
        members = sorted(name for name in vars(Augmentation) if not name.startswith("_"))
        raise UsageError(
            f"batch_tfms must be a list of transforms, what fuse makes of one, or an object with {', '.join(members)}, "
            f"but got {batch_tfms!r}"
        )
    if size is None:
        bound = None if augmentation is None else bind(augmentation)
        return lambda epoch: bound
    if not isinstance(augmentation, Fused) or not any(_has_size(t) for t in augmentation.transforms):
        raise UsageError(f"size needs a transform with a size among batch_tfms, as Resize(224), but got {batch_tfms!r}")
    fused = augmentation

    @lru_cache(maxsize=8)
    def augmentation_of(epoch: int) -> Augmentation:
        return bind(with_size(fused, size(epoch) if callable(size) else size))

    return augmentation_of


def with_size(fused: Fused, size: Size) -> Fused:
    """The same transforms, at another size."""
    transforms: tuple[Any, ...] = fused.transforms
    transforms = tuple(dataclasses.replace(t, size=size) if _has_size(t) else t for t in transforms)
    return dataclasses.replace(fused, transforms=transforms)


def _has_size(transform: object) -> bool:
    return getattr(transform, "size", None) is not None
