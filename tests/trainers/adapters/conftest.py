"""DataLoaders of 22 little images in three classes: 16 to train on, 6 to validate."""

import numpy as np
import pytest
import torch
from torch import nn

from onewarp.pipeline import CategoryBlock, DataBlock, DataLoaders, FuncSplitter, ImageBlock


def number_of(item):
    return int(item[0, 0, 0])


def is_late(item):
    return number_of(item) >= 16


def label_of(item):
    return "abc"[number_of(item) % 3]


def loaders(tfms=(), **settings) -> DataLoaders:
    images = [np.full((8, 8, 3), i, np.uint8) for i in range(22)]
    from PIL import Image

    items = [Image.fromarray(image) for image in images]
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        splitter=FuncSplitter(lambda item: np.asarray(item)[0, 0, 0] >= 16),
        get_y=lambda item: "abc"[np.asarray(item)[0, 0, 0] % 3],
        batch_tfms=tfms,
    )
    return block.dataloaders(items, bs=4, threads=1, **settings)


def counting(rows: int, bs: int, **settings) -> DataLoaders:
    """`rows` images to train on and as many to validate, of which image i is grey i of 256 (rows up to 256)."""
    from PIL import Image

    from onewarp.transforms import Normalize, Resize

    images = [(np.full((2, 2, 3), i, np.uint8), late) for late in (0, 1) for i in range(rows)]
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        splitter=FuncSplitter(lambda item: item[1] == 1),
        get_x=lambda item: Image.fromarray(item[0]),
        get_y=lambda item: "a",
        batch_tfms=[Resize(2), Normalize((0.0,) * 3, (1 / 255,) * 3)],
    )
    return block.dataloaders(images, bs=bs, threads=1, **settings)


@pytest.fixture
def make_loaders():
    return loaders


@pytest.fixture
def dls():
    from onewarp.transforms import Flip, Resize, Rotate

    return loaders([Resize(8), Flip(), Rotate(p=1.0)])


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3))


def content(batches) -> list[list[float]]:
    """What identifies batches: the mean of each image, to 1e-4, and its target."""
    return [[(round(float(image.mean()), 4), int(t)) for image, t in zip(x, y, strict=True)] for x, y in batches]


@pytest.fixture
def contents():
    return content
