"""MixUp and CutMix: soft labels that say what is in the picture."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from onewarp.errors import UsageError
from onewarp.pipeline import Pipeline
from onewarp.transforms.augment import fuse
from onewarp.transforms.geometry import Resize, Rotate
from onewarp.transforms.mix import CutMix, MixUp, beta_quantile

N = 16
COLOURS = torch.eye(N)[:, :, None, None].expand(N, N, 12, 10).contiguous()  # channel i is one in image i alone
LABELS = torch.arange(N)


@pytest.mark.parametrize("mix", [MixUp(classes=N), CutMix(classes=N)])
def test_labels_are_the_shares_of_the_picture(mix):
    x, y = mix(COLOURS, LABELS, keys=range(N), seed=3)
    assert torch.allclose(x.mean((2, 3)), y, atol=1e-5)
    assert torch.allclose(y.sum(1), torch.ones(N))
    assert ((y > 0).sum(1) == 2).float().mean() > 0.8
    assert not torch.equal(x, COLOURS)


def test_mixup_keeps_at_least_one_half():
    assert (MixUp(classes=N)(COLOURS, LABELS)[1][LABELS, LABELS] >= 0.5).all()


@pytest.mark.parametrize("mix", [MixUp(classes=N), CutMix(classes=N)])
def test_a_batch_mixes_alike_every_time_and_otherwise_in_another_epoch(mix):
    first, again = (mix(COLOURS, LABELS, keys=range(N), epoch=1)[0] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, mix(COLOURS, LABELS, keys=range(N), epoch=2)[0])


def test_soft_labels_are_mixed_too():
    soft = torch.eye(N)
    assert torch.equal(MixUp()(COLOURS, soft)[1], MixUp(classes=N)(COLOURS, LABELS)[1])


def test_what_cannot_be_mixed_is_refused():
    with pytest.raises(UsageError, match="give classes=n"):
        MixUp()(COLOURS, LABELS)
    with pytest.raises(UsageError, match="masks and points cannot be"):
        MixUp(classes=2)(COLOURS, torch.zeros(N, 4, 4))
    with pytest.raises(UsageError, match="must come last"):
        fuse([MixUp(), Rotate()])
    with pytest.raises(UsageError, match="alpha"):
        CutMix(alpha=0)


def test_fuse_keeps_them_for_whole_batches():
    fused = fuse([Rotate(), MixUp(classes=N)])
    assert fused.transforms == (Rotate(),)
    _, y = fused.mix(COLOURS, LABELS, range(N))
    assert y.shape == (N, N)
    assert fuse([fused]).mixes == fused.mixes


MIXES = [MixUp(classes=N), CutMix(classes=N)]


def own_shares(mix, keys, **how):
    """How much of itself each sample keeps, by its key."""
    keys = list(keys)
    labels = mix(COLOURS[: len(keys)], LABELS[: len(keys)], keys=keys, **how)[1]
    return dict(zip(keys, labels[range(len(keys)), range(len(keys))].tolist(), strict=True))


@pytest.mark.parametrize("mix", MIXES, ids=lambda m: type(m).__name__)
class TestContract:
    """What holds for every transform, of those that mix a batch."""

    def test_it_is_frozen_shown_sent_and_written(self, mix):
        for field in dataclasses.fields(mix):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(mix, field.name, None)
        assert repr(mix).startswith(type(mix).__name__)
        assert pickle.loads(pickle.dumps(mix)) == mix
        fused = fuse([Rotate(), mix])
        assert Pipeline.from_json(Pipeline([fused]).to_json()) == Pipeline([fused])

    def test_it_keeps_its_input_and_the_global_generators(self, mix):
        before, states = COLOURS.clone(), (torch.get_rng_state(), str(np.random.get_state()))
        first, again = (mix(COLOURS, LABELS, keys=range(N), seed=4)[0] for _ in range(2))
        assert torch.equal(first, again)
        assert torch.equal(COLOURS, before)
        assert torch.equal(states[0], torch.get_rng_state())
        assert states[1] == str(np.random.get_state())

    def test_a_share_is_a_draw_by_seed_epoch_key_and_operation(self, mix):
        base = own_shares(mix, "abcdef")
        assert len(set(base.values())) > 3
        for other in ({"seed": 1}, {"epoch": 1}, {"operation": "another"}):
            assert own_shares(mix, "abcdef", **other) != base
        assert own_shares(mix, "abcdef", epoch=3) != own_shares(mix, "abcdef", epoch=2)

    def test_a_share_does_not_depend_on_the_rest_of_the_batch(self, mix):
        alone, others = own_shares(mix, "abcd", epoch=1), own_shares(mix, "dxyazb", epoch=1)
        assert {key: alone[key] for key in "abd"} == {key: others[key] for key in "abd"}

    def test_keys_that_come_twice_do_not_cancel(self, mix):
        shares = [mix(COLOURS[:4], LABELS[:4], keys=list(keys))[1].diagonal() for keys in ("aabb", "ccdd")]
        assert not torch.equal(*shares)

    def test_bytes_stay_bytes(self, mix):
        x = (COLOURS * 255).to(torch.uint8)
        done, _ = mix(x, LABELS, keys=range(N))
        assert done.dtype == torch.uint8
        assert (done.float() / 255 - mix(COLOURS, LABELS, keys=range(N))[0]).abs().max() < 0.01


def test_two_of_a_kind_in_one_recipe_draw_for_themselves():
    fused = fuse([MixUp(classes=N), MixUp(classes=N)])
    x, y = fused.mix(COLOURS, LABELS, range(N))
    once = MixUp(classes=N)(COLOURS, LABELS, keys=range(N))
    twice = MixUp()(*once, keys=range(N))
    assert not torch.equal(x, twice[0])
    assert torch.allclose(x.mean((2, 3)), y, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.2, 50))
def test_a_share_is_distributed_as_beta(alpha):
    u = (np.arange(1000) + 0.5) / 1000
    assert np.abs(stats.beta(alpha, alpha).cdf(beta_quantile(u, alpha)) - u).max() < 1e-3


def test_a_batch_with_labels_is_mixed_and_one_without_is_refused():
    fused = fuse([Resize(12), MixUp(classes=N)])
    images = torch.randint(0, 256, (N, 12, 10, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    x, y = fused((images, LABELS), split="train", keys=range(N))
    plain, _ = fuse([Resize(12)])((images, LABELS), split="train", keys=range(N))
    assert torch.equal(x, MixUp(classes=N)(plain, LABELS, keys=range(N))[0])
    assert y.shape == (N, N)
    for alone in (images, (images[0], LABELS[0]), (images, LABELS, LABELS)):
        with pytest.raises(UsageError, match=r"MixUp mixes .* call it on \(images, labels\), or with split='valid'"):
            fused(alone, split="train", keys=range(len(images)))
    assert torch.equal(fused(images, split="valid"), fuse([Resize(12)])(images, split="valid"))
