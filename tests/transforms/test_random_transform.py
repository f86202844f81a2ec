"""Random transforms: draws by (seed, epoch, key), and a key wherever something is left to chance."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from onewarp.errors import UsageError
from onewarp.transforms import (
    Brightness,
    Flip,
    Invert,
    Kornia,
    Normalize,
    RandomErasing,
    Resize,
    Rotate,
    Warp,
    Zoom,
    aug_transforms,
    fuse,
    trivial_augment,
)
from onewarp.transforms.random_transform import RandTransform
from onewarp.transforms.types import TensorImage


class Shift(RandTransform):
    draws = 1

    def params(self, draw):
        return {"by": draw.uniform(0)}

    def apply(self, x: float, params):
        return x + params["by"][0]


def test_a_random_transform_is_confined_to_training():
    assert Shift()(1.0, split="valid") == 1.0
    assert Shift()(1.0, split="train", keys="a") != 1.0


def test_a_random_transform_is_a_function_of_seed_epoch_and_key():
    assert Shift()(0.0, seed=1, epoch=2, keys="a") == Shift()(0.0, seed=1, epoch=2, keys=["a"])
    assert len({Shift()(0.0, seed=s, epoch=e, keys=k) for s in (0, 1) for e in (0, 1) for k in "ab"}) == 8


def test_one_transform_is_safe_among_threads():
    shift = Shift()
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda k: shift(0.0, keys=k), range(500)))
    assert threaded == [shift(0.0, keys=k) for k in range(500)]


def test_keys_must_name_every_sample():
    with pytest.raises(ValueError, match="keys must name 1 samples, one each, but got 2"):
        Shift()(0.0, keys=["a", "b"])


PHOTO = TensorImage(torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(0)))


DRAWN = [
    Shift(),
    Rotate(),
    Resize(8),
    RandomErasing(p=0.5),
    Kornia("RandomGaussianNoise"),
    fuse(aug_transforms()),
    *trivial_augment()[:1],
]


@pytest.mark.parametrize("transform", DRAWN, ids=lambda t: type(t).__name__)
def test_a_lone_sample_without_a_key_is_refused_where_it_is_drawn_for(transform):
    x = 1.0 if isinstance(transform, Shift) else PHOTO
    for sample in (x, (x, "cat")):
        with pytest.raises(UsageError, match=r"draws at random.*name it by keys=path.*epoch=epoch"):
            transform(sample)
        transform(sample, keys="a.jpg")
        transform(sample, split="valid")


@pytest.mark.parametrize(
    "transform",
    [
        Flip(draw=1),
        Rotate(draw=20, p=1),
        Rotate(p=0),
        Rotate(max_deg=0),
        Zoom(draw=1.2, draw_x=0.5, draw_y=0.5, p=1),
        Warp(draw_x=0.1, draw_y=0.1, p=1),
        Rotate(draw=lambda draw: np.full(len(draw), 9.0), p=1),
        Rotate(p=1, batch=True),
        Invert(p=1),
        Brightness(draw=0.6, p=1),
        Resize(8, method="squish"),
        Normalize((0.5,) * 3, (0.2,) * 3),
        fuse([Flip(draw=1), Rotate(p=0)]),
    ],
    ids=lambda transform: re.sub(" at 0x.*?>", ">", str(transform)),  # the same in every process
)
def test_what_leaves_nothing_to_chance_needs_no_key(transform):
    assert torch.equal(transform(PHOTO), transform(PHOTO, keys="b.jpg"))


def test_a_batch_without_keys_has_its_row_numbers():
    batch = torch.randint(0, 256, (3, 8, 8, 3), dtype=torch.uint8)
    fused = fuse(aug_transforms())
    assert torch.equal(fused(batch), fused(batch, keys=range(3)))


def test_the_verbs_take_a_key_where_something_is_left_to_chance():
    assert torch.equal(PHOTO.rotate(keys="a", epoch=2), Rotate(p=1)(PHOTO, keys="a", epoch=2))
    with pytest.raises(UsageError, match="draws at random"):
        PHOTO.rotate()


def test_a_key_may_be_a_path_or_a_number_of_numpy():
    assert torch.equal(Rotate(p=1)(PHOTO, keys=Path("a.jpg")), Rotate(p=1)(PHOTO, keys="a.jpg"))
    assert torch.equal(Rotate(p=1)(PHOTO, keys=np.int64(7)), Rotate(p=1)(PHOTO, keys=7))


def test_a_batch_transform_makes_one_decision_an_epoch():
    fused = fuse([Rotate(p=1, batch=True)])
    plan = fused.plan(np.full((6, 2), 50), range(6))
    assert np.allclose(plan.matrix, plan.matrix[:1])
    assert not np.allclose(plan.matrix[0], fused.plan(np.full((1, 2), 50), [0], epoch=1).matrix[0])
