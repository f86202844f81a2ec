"""The contract, held against every transform: frozen, shown, sent, written, deterministic, and kind to its input."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

import onewarp.transforms as all_transforms
from onewarp.pipeline import Pipeline
from onewarp.transforms import (
    Affine,
    Brightness,
    Contrast,
    CutMix,
    Dihedral,
    Flip,
    Fused,
    Gamma,
    Grayscale,
    Homography,
    Hue,
    Invert,
    ItemTransform,
    Kornia,
    LinearBrightness,
    MixUp,
    MultiCategorize,
    Normalize,
    Posterize,
    RandomErasing,
    RandomResizedCrop,
    RandTransform,
    Resize,
    Rotate,
    Saturation,
    ShearX,
    Solarize,
    TensorImage,
    ToTensor,
    Transform,
    Warp,
    Zoom,
    aug_transforms,
    fuse,
    rand_augment,
    trivial_augment,
)

ON_IMAGES = [
    Affine(20, (0.1, 0.1), (0.8, 1.2), 10),
    Brightness(0.4, p=1),
    Contrast(0.4, p=1),
    Dihedral(p=1, size=12),
    Flip(),
    fuse(aug_transforms(size=12)),
    Gamma(p=1),
    Grayscale(p=0.5),
    Homography(((0.9, 0.1, 0), (0, 1.1, 0.1))),
    Hue(p=1),
    Invert(),
    Kornia("RandomGaussianBlur", {"kernel_size": (3, 3), "sigma": (0.5, 1.0)}),
    LinearBrightness(p=1),
    Normalize((0.5, 0.4, 0.3), (0.2, 0.2, 0.2)),
    Posterize(3),
    RandomErasing(p=1),
    RandomResizedCrop(12),
    Resize(12),
    Rotate(p=1),
    Saturation(0.4, p=1),
    ShearX(p=1),
    Solarize(),
    ToTensor(),
    Warp(p=1),
    Zoom(p=1),
    *rand_augment(1)[:1],
    *trivial_augment()[-1:],
]
OTHERS = {Transform, ItemTransform, RandTransform, Fused, MixUp, CutMix, MultiCategorize, all_transforms.Categorize}
OTHERS |= {all_transforms.Geometric, all_transforms.Pointwise}


def name(transform):
    return type(transform).__name__


def batch(n=3, dtype=torch.float32):
    x = torch.rand(n, 3, 18, 14, generator=torch.Generator().manual_seed(0))
    return TensorImage(x if dtype == torch.float32 else (x * 255).round().to(dtype))


def on(transform, x, keys=None, **more):
    draws = {"keys": keys, **more} if isinstance(transform, RandTransform | Fused) else {}
    return transform(x, **draws)


def test_every_public_transform_is_held_to_it():
    named = [getattr(all_transforms, name) for name in all_transforms.__all__]
    public = {c for c in named if isinstance(c, type) and issubclass(c, Transform)}
    assert public <= {type(t) for t in ON_IMAGES} | OTHERS


@pytest.mark.parametrize("transform", ON_IMAGES, ids=name)
class TestContract:
    def test_it_is_frozen_and_shows_its_settings(self, transform):
        for field in dataclasses.fields(transform):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(transform, field.name, None)
        assert repr(transform).startswith(name(transform))

    def test_it_is_sent_and_written(self, transform):
        sent = pickle.dumps(transform)
        assert pickle.loads(sent) == transform
        on(transform, batch(), keys=list("abc"))
        assert len(pickle.dumps(transform)) == len(sent)  # nothing that was worked out while it was used
        assert vars(pickle.loads(sent)).keys() == {field.name for field in dataclasses.fields(transform)}
        pipeline = Pipeline([transform])
        assert Pipeline.from_json(pipeline.to_json()) == pipeline

    @pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
    def test_it_keeps_the_type_and_its_input(self, transform, dtype):
        x = batch(dtype=dtype)
        before = x.clone()
        done = on(transform, x, keys=list("abc"))
        assert type(done) is TensorImage
        assert torch.equal(x, before)
        assert done.dtype == dtype or isinstance(transform, Normalize)
        assert torch.isfinite(done.float()).all()

    def test_a_sample_is_the_same_alone_and_in_a_batch(self, transform):
        x = batch(dtype=torch.uint8)
        whole = on(transform, x, keys=list("abc"), seed=5, epoch=2)
        for i, key in enumerate("abc"):
            assert torch.equal(on(transform, x[i], keys=key, seed=5, epoch=2), whole[i])

    def test_an_empty_batch_stays_one(self, transform):
        done = on(transform, batch(0), keys=[])
        assert done.shape[:2] == (0, 3)

    def test_validation_does_not_depend_on_the_key(self, transform):
        x = batch(1)
        first, other = (on(transform, x, keys=[key], split="valid") for key in "ab") if has_split(transform) else (x, x)
        assert torch.equal(first, other)

    def test_it_makes_the_same_every_time_and_leaves_global_generators(self, transform):
        state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()
        first, again = (on(transform, batch(), keys=list("abc"), epoch=1) for _ in range(2))
        assert torch.equal(first, again)
        assert torch.equal(state, torch.get_rng_state())
        assert np.array_equal(legacy, np.random.get_state()[1])


def has_split(transform):
    return isinstance(transform, RandTransform | Fused)
