"""Other libraries' transforms: drawn from the sample's key, beside others that draw, without touching their numbers."""

import random
import sys

import cloudpickle
import numpy as np
import pytest
import torch
from torch import nn

from onewarp.pipeline import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.trainers.adapters import AlbumentationsTransform, FastaiTransform, TorchvisionTransform
from onewarp.trainers.adapters.foreign import Foreign, comes_from
from onewarp.transforms import Kornia, Resize, TensorImage, explain, fuse

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # another process cannot import a test


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


def photos(n=3):
    return TensorImage(torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)))


def torchvisions_v2(name, **settings):
    return TorchvisionTransform(getattr(pytest.importorskip("torchvision.transforms.v2"), name)(**settings))


def torchvisions_first(name, *arguments):
    module = pytest.importorskip("torchvision.transforms")
    return TorchvisionTransform(getattr(module, name)([module.ColorJitter(0.5), module.RandomRotation(30)]))


def albumentations(name, **settings):
    module = pytest.importorskip("albumentations", reason="albumentations comes with the group adapters")
    return AlbumentationsTransform(getattr(module, name)(**settings))


def fastais(name, *arguments, **settings):
    module = pytest.importorskip("fastai.vision.augment", reason="fastai comes with the group adapters")
    return FastaiTransform(getattr(module, name)(*arguments, **settings))


EVERYONES = {
    "kornia": lambda: Kornia("RandomGaussianNoise", {"std": 0.1}),
    "torchvision": lambda: torchvisions_v2("GaussianNoise", sigma=0.1),
    "torchvision, a policy": lambda: torchvisions_v2("TrivialAugmentWide"),
    "torchvision, first version": lambda: torchvisions_first("RandomChoice"),
    "albumentations": lambda: albumentations("GaussNoise", p=1),
    "albumentations, by chance": lambda: albumentations("RandomBrightnessContrast", p=0.7),
    "fastai, by chance": lambda: fastais("Rotate", 30, p=0.7),
    "fastai, for a batch": lambda: fastais("Brightness", 0.5, batch=True),
    "a function": lambda: Foreign(Noise()),
}


def global_states():
    return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())


@pytest.mark.filterwarnings("default")  # fastai's own
@pytest.mark.parametrize("name", EVERYONES)
def test_a_sample_draws_the_same_alone_and_leaves_all_global_generators(name):
    transform = EVERYONES[name]()
    before = global_states()
    whole = transform(photos(), keys=list("abc"))
    assert torch.equal(whole, transform(photos(), keys=list("abc")))
    assert torch.equal(whole[1], transform(photos()[1], keys="b"))
    assert global_states() == before
    assert any(not torch.equal(transform(photos()[:1], keys=[str(k)]), photos()[:1]) for k in range(9))


def test_barriers_of_many_libraries_on_four_threads_beside_a_consumer_that_draws():
    """Bit-equal to one thread alone, and the consumer's own numbers are those that it draws alone."""
    images = np.random.default_rng(0).integers(0, 256, (96, 12, 12, 3), np.uint8)
    rows = MemoryRows(list(images), labels=list(range(96)))
    barriers = [EVERYONES[name]() for name in ("kornia", "torchvision", "torchvision, a policy", "a function")]

    def epoch(threads, consume):
        loader = Loader(rows, batch_size=8, batch_tfms=[Resize(8), *barriers], threads=threads, prefetch=4)
        return [(x.clone(), consume()) for x, _ in loader]

    def consume():
        dropped = nn.functional.dropout(torch.ones(64))
        return [*dropped.tolist(), *torch.rand(200).tolist(), random.random(), np.random.rand()]

    def seed_everything():
        torch.manual_seed(5)
        random.seed(5)
        np.random.seed(5)

    seed_everything()
    alone = [consume() for _ in range(12)]
    expected = [x for x, _ in epoch(1, lambda: None)]
    seed_everything()
    together = epoch(4, consume)
    assert [numbers for _, numbers in together] == alone
    assert all(torch.equal(x, once) for (x, _), once in zip(together, expected, strict=True))


def test_what_may_draw_from_elsewhere_is_told_from_a_librarys_own():
    from torchvision.transforms import v2

    ours = ("torchvision.transforms.v2", "torch")
    assert comes_from(v2.Compose([v2.RandomApply([v2.GaussianBlur(3)]), nn.ReLU()]), *ours)
    assert not comes_from(v2.Compose([v2.RandomApply([v2.Lambda(lambda image: image)])]), *ours)
    assert not comes_from(nn.Sequential(nn.ReLU(), Noise()), *ours)
