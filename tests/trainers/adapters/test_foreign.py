import random

import numpy as np
import pytest
import torch
from torch import nn

from onewarp.trainers.adapters import AlbumentationsTransform, TorchvisionTransform
from onewarp.trainers.adapters.foreign import Foreign
from onewarp.transforms import Resize, explain, fuse


class Noise(nn.Module):
    def forward(self, image):
        return (image + 0.1 * torch.rand(image.shape) + 0.1 * random.random() + 0.1 * np.random.rand()).clamp(0, 1)


def test_the_same_every_time_and_other_for_another_sample_or_epoch(make_loaders):
    dls = make_loaders([Resize(8), Foreign(Noise())])
    first = [x for x, _ in dls.train]
    dls.train.set_epoch(0)
    torch.manual_seed(5)
    again = [x for x, _ in dls.train]
    later = [x for x, _ in dls.train]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], later[0])
    assert not torch.equal(first[0][0], first[0][1])


def test_the_global_generators_are_as_they_were():
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    expected = torch.rand(1), random.random(), np.random.rand()
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    fuse([Foreign(Noise())])(torch.zeros(2, 8, 8, 3, dtype=torch.uint8), split="train")
    assert (torch.rand(1), random.random(), np.random.rand()) == expected


def test_it_is_a_barrier_and_of_training_alone():
    fused = fuse([Resize(8), Foreign(Noise())])
    assert explain(fused).barriers == ("Foreign",)
    x = torch.full((1, 8, 8, 3), 100, dtype=torch.uint8)
    assert torch.allclose(fused(x, split="valid"), torch.tensor(100 / 255))
    assert not torch.allclose(fused(x, split="train"), torch.tensor(100 / 255))


def test_torchvisions():
    v2 = pytest.importorskip("torchvision.transforms.v2", reason="torchvision comes with the group dev")
    fused = fuse([Resize(8), TorchvisionTransform(v2.RandomInvert(p=1.0))])
    done = fused(torch.full((2, 8, 8, 3), 51, dtype=torch.uint8), split="train")
    assert type(done) is torch.Tensor
    torch.testing.assert_close(done, torch.full((2, 3, 8, 8), 0.8))


def test_albumentations(make_loaders):
    theirs = pytest.importorskip("albumentations", reason="albumentations comes with the group adapters")
    flip = fuse([Resize(8), AlbumentationsTransform(theirs.HorizontalFlip(p=1.0))])
    x = torch.randint(0, 255, (2, 8, 8, 3), dtype=torch.uint8)
    torch.testing.assert_close(flip(x, split="train"), x.permute(0, 3, 1, 2).flip(3) / 255)
    dls = make_loaders([Resize(8), AlbumentationsTransform(theirs.RandomBrightnessContrast(p=1.0))])
    first = [x for x, _ in dls.train]
    dls.train.set_epoch(0)
    assert all(torch.equal(a, b) for a, (b, _) in zip(first, dls.train, strict=True))
