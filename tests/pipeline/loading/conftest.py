"""Rows in memory, the keys that a loader delivers of them, and an augmentation of one draw."""

import numpy as np
import pytest
import torch

from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.transforms.draw import draw


@pytest.fixture(scope="session")
def dense_rows():
    """dense_rows(n, **columns): images of 4 x 6 pixels, of which each is its number throughout."""

    def make(n=37, **columns):
        images = [np.full((4, 6, 3), i, np.uint8) for i in range(n)]
        return MemoryRows(images, keys=[f"{i:03}.jpg" for i in range(n)], **columns)

    return make


@pytest.fixture(scope="session")
def keys_of():
    """keys_of(loader): the keys of an epoch in order, without those that pad it."""
    return lambda loader: [k for batch in loader for k, valid in zip(batch.keys, batch.valid, strict=True) if valid]


class Brighten:
    """An augmentation of one draw: adds a number below 100, and shifts by one pixel."""

    mixes = ()

    class Plan:
        def __init__(self, shift):
            self.shift = shift
            self.matrix = np.tile(np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 1]]), (len(shift), 1, 1))

    def plan(self, sizes, keys, seed, epoch, split):
        return self.Plan(draw(seed, epoch, keys, f"Brighten {split}", 1).uniform(0, 0, 100))

    def images(self, images, plan, out=None):
        return images.permute(0, 3, 1, 2) + torch.from_numpy(plan.shift).float()[:, None, None, None]

    def masks(self, masks, plan):
        return [mask + 1 for mask in masks]

    def points(self, points, plan):
        return [p - torch.tensor([1.0, 0.0]) for p in points]

    boxes = points

    def mix(self, x, y, keys, seed, epoch):
        return x, y


@pytest.fixture(scope="session")
def brighten():
    """An augmentation that is another one for each sample and epoch."""
    return Brighten()
