"""Policies of the operations that fuse: what they pick, and how far it goes."""

import numpy as np
import pytest
import torch

from onewarp.errors import UsageError
from onewarp.transforms import Resize, Rotate, fuse
from onewarp.transforms.augment import Fused, explain
from onewarp.transforms.colour import (
    Contrast,
    Saturation,
)
from onewarp.transforms.decoding.decode import decode
from onewarp.transforms.draw import draw
from onewarp.transforms.geometric_operations import CROP
from onewarp.transforms.operations import constant
from onewarp.transforms.policies import pick_one, rand_augment, trivial_augment


@pytest.mark.parametrize("policy", [rand_augment(), rand_augment(3, 20), trivial_augment()])
def test_policies_are_one_resampling_and_pick_for_each_sample(policy, batch):
    fused = fuse([Resize(48), *policy])
    assert explain(fused).resamplings == 1
    done = fused(batch[:1].expand(40, -1, -1, -1).contiguous(), keys=range(40))
    assert len({d.numpy().tobytes() for d in done}) > 20
    assert torch.isfinite(done).all()


def _draws(fused: Fused, n: int):
    return [(t, draw(0, 0, range(n), name, t.draws)) for t, name in zip(fused.transforms, fused.names, strict=True)]


def test_a_slot_of_a_policy_picks_at_most_one_operation():
    fused = fuse(trivial_augment())
    drawn = np.stack([t.params(d)["picked"] for t, d in _draws(fused, 200)])
    assert drawn.sum(0).max() == 1
    assert drawn.any(1).all()


def test_factors_of_the_policies_are_the_papers():
    for recipe in (trivial_augment(), rand_augment(1, 30)):
        for transform in (t.transform for t in recipe if type(t.transform) in (Contrast, Saturation)):
            values = transform.params(draw(0, 0, range(4000), "test", 2))["factor"]
            assert 0.1 <= values.min() < 0.11
            assert 1.89 < values.max() <= 1.9
            assert np.mean(values) == pytest.approx(1, abs=0.02)
    ends = {t.transform.factor for t in rand_augment(1, 9) if type(t.transform) in (Contrast, Saturation)}
    assert [pytest.approx(end) for end in ends.pop()] == [1 - 0.27, 1 + 0.27]
    widest = [t.transform.translate for t in trivial_augment() if getattr(t.transform, "translate", (0, 0)) != (0, 0)]
    assert [max(shift) * 224 for shift in widest] == [32, 32]


def black_or_white(images):
    """Of which images `uint8[N, 3, h, w]` more than half of the pixels are within 5 levels of the one or the other."""
    black, white = (images <= 5).all(1), (images >= 250).all(1)
    return (black.flatten(1).float().mean(1) > 0.5) | (white.flatten(1).float().mean(1) > 0.5)


def test_at_most_one_in_a_hundred_pictures_of_trivial_augment_is_mostly_black_or_white(pets):
    photos = [decode(path, target=96) for path in sorted(pets.glob("*.jpg"))[::8][:60]]
    small = torch.cat([fuse([Resize(96)])(photo[None], split="valid") for photo in photos])
    fused = fuse(trivial_augment(), dtype=torch.uint8)
    batch = small.permute(0, 2, 3, 1).contiguous().plain()
    seen = torch.cat([black_or_white(fused(batch, keys=range(len(batch)), epoch=epoch)) for epoch in range(60)])
    assert len(seen) == 60 * 60
    assert seen.float().mean() <= 0.01


def test_what_is_picked_has_no_size(moved):
    with pytest.raises(UsageError, match="what is picked must keep the images' size, but Rotate"):
        pick_one([Rotate(size=8)], "stream")
    with pytest.raises(UsageError, match="what is picked must keep the images' size, but Moved"):
        pick_one([moved(CROP.row(constants=(8, 8), x=constant(0.5), y=constant(0.5)))], "stream")
