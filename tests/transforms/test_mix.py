"""MixUp and CutMix: soft labels that say what is in the picture."""

import pytest
import torch

from onewarp.errors import UsageError
from onewarp.transforms.augment import fuse
from onewarp.transforms.geometry import Rotate
from onewarp.transforms.mix import CutMix, MixUp

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
