"""Drawn pictures and the model that is trained on them: so small that a training takes a moment."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from ...pipeline import CategoryBlock, DataBlock, DataLoaders, FuncSplitter, ImageBlock
from ...transforms import Flip, Resize, Rotate

SIZE, CLASSES, TRAIN, VALID = 8, 3, 26, 13
Item = tuple[int, bool]
"""The number of a picture, and whether it is one to validate on."""


def loaders(train: int = TRAIN, bs: int = 4, **settings: Any) -> DataLoaders:
    """Loaders of pictures of noise in three classes, which are turned and flipped: `train` to train on."""
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        splitter=FuncSplitter(_late),
        get_x=_noise,
        get_y=_label,
        batch_tfms=[Resize(SIZE), Flip(), Rotate(p=1.0)],
    )
    items = [(number, number >= train) for number in range(train + VALID)]
    return block.dataloaders(items, bs=bs, threads=1, **settings)


Make = Callable[..., DataLoaders]
"""Makes the loaders of a run from what its trainer sets: `tail`, `rank`, `world_size`."""


def model(compiled: bool = False) -> nn.Module:
    """A linear model of the pictures, always with the same weights."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, CLASSES))
    return torch.compile(net, backend="aot_eager") if compiled else net  # type: ignore[return-value]


def _late(item: Item) -> bool:
    return item[1]


def _noise(item: Item) -> Image.Image:
    pixels = np.random.default_rng(item[0]).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    return Image.fromarray(pixels)


def _label(item: Item) -> str:
    return "abc"[item[0] % CLASSES]
