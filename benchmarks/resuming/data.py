"""Drawn pictures and the model that is trained on them: so small that a training takes a moment."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...pipeline import CategoryBlock, DataBlock, DataLoaders, FuncSplitter, ImageBlock
from ...transforms import Flip, Resize, Rotate

SIZE, CLASSES, TRAIN, VALID = 8, 3, 26, 13
Item = tuple[int, bool]
"""The number of a picture, and whether it is one to validate on."""


def loaders(train: int = TRAIN, **settings: Any) -> DataLoaders:
    """Loaders of pictures of noise in three classes, which are turned and flipped, by 4: `train` to train on."""
    return _loaders(train, VALID, _noise, [Resize(SIZE), Flip(), Rotate(p=1.0)], bs=4, **settings)


def numbered(count: int, bs: int) -> DataLoaders:
    """Loaders of `count` pictures to train on, of which red and green say the number."""
    return _loaders(count, 2, _number, [Resize(2)], bs=bs, rank=0, world_size=1)


def numbers(x: Tensor) -> list[int]:
    """The numbers of a batch of those pictures `float[N, 3, 2, 2]`."""
    red, green, _ = (x[:, :, 0, 0] * 255).round().int().unbind(1)
    return (red + 256 * green).tolist()


def _loaders(train: int, valid: int, picture: Any, batch_tfms: list[Any], **settings: Any) -> DataLoaders:
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        splitter=FuncSplitter(_late),
        get_x=picture,
        get_y=_label,
        batch_tfms=batch_tfms,
    )
    items = [(number, number >= train) for number in range(train + valid)]
    return block.dataloaders(items, threads=1, **settings)


def model(compiled: bool = False) -> nn.Module:
    """A linear model of the pictures, always with the same weights."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, CLASSES))
    return torch.compile(net, backend="aot_eager") if compiled else net  # type: ignore[return-value]


def _late(item: Item) -> bool:
    return item[1]


def _number(item: Item) -> Image.Image:
    return Image.new("RGB", (2, 2), (item[0] % 256, item[0] // 256, 0))


def _noise(item: Item) -> Image.Image:
    pixels = np.random.default_rng(item[0]).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    return Image.fromarray(pixels)


def _label(item: Item) -> str:
    return "abc"[item[0] % CLASSES]
