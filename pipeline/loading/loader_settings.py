"""The settings of loaders as types, so that a checker knows those which are passed on."""

from typing import TypedDict

import torch

from ...transforms.plan import Size
from ...transforms.transform_lists import Transforms
from ..order.orders import Indices
from ..order.ranks import Tail
from .batching import Augmentation, OnDamage
from .progressive import SizeOfEpoch


class CommonSettings(TypedDict, total=False):
    """The settings of a `Loader` that the loaders of all splits share."""

    tail: Tail
    indices: Indices | None
    rank: int | None
    world_size: int | None
    device: torch.device | str | None
    keys: bool
    threads: int | None
    prefetch: int
    damaged: OnDamage
    size: Size | SizeOfEpoch | None
    augment: bool | None
    warm: bool


class LoaderSettings(CommonSettings, total=False):
    """The settings of one `Loader` over rows that are there: all but `reading` and `checking`, which make rows."""

    split: str | None
    batch_size: int
    batch_tfms: Transforms | Augmentation | None
    seed: int
    shuffle: bool
