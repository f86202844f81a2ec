import pytest
import torch

pytest.importorskip("fastai", reason="fastai comes with the group adapters")

from onewarp.trainers.adapters import FastaiTransform, as_fastai
from onewarp.transforms import Resize, fuse

pytestmark = pytest.mark.filterwarnings("default")  # fastai's own


def test_a_fastai_learner_trains_on_our_batches(dls, linear):
    import fastai.callback.progress
    import fastai.callback.schedule  # noqa: F401 - they add to the Learner
    from fastai.basics import Callback, Learner, accuracy

    seen = []

    class Keep(Callback):
        def before_batch(self):
            if self.training:
                seen.append(self.x.clone())

    learn = Learner(as_fastai(dls, "cpu"), linear, metrics=accuracy, cbs=[Keep()])
    before = linear[1].weight.detach().clone()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(2, 1e-2)
    dls.train.set_epoch(0)
    expected = [x for _ in range(2) for x, _ in dls.train]
    assert all(torch.equal(a.as_subclass(torch.Tensor), b) for a, b in zip(seen, expected, strict=True))
    assert not torch.equal(linear[1].weight, before)
    predictions, targets = learn.get_preds()
    assert predictions.shape == (6, 3)
    assert torch.equal(targets.as_subclass(torch.Tensor), torch.cat([y for _, y in dls.valid]))


def test_a_fastai_transform_in_our_pipeline():
    from fastai.vision.augment import Flip

    fused = fuse([Resize(8), FastaiTransform(Flip(p=1.0))])
    x = torch.randint(0, 255, (2, 8, 8, 3), dtype=torch.uint8)
    torch.testing.assert_close(fused(x, split="train"), x.permute(0, 3, 1, 2).flip(3) / 255, atol=1e-5, rtol=0)
    assert type(fused(x, split="train")) is torch.Tensor
