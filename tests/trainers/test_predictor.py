"""Predictions of a training set: in a fixed order, of pictures that are not augmented, each with its key."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from onewarp.errors import UsageError
from onewarp.pipeline import Cache, CategoryBlock, DataBlock, ImageBlock, Loader, RandomSplitter, parent_label
from onewarp.pipeline.order.orders import Subset, Weighted
from onewarp.pipeline.presizing.presizer import presize
from onewarp.trainers import ClassificationInterpretation, Learner
from onewarp.trainers.predictor import sample_evenly
from onewarp.transforms import Flip, Resize, Rotate


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / f"{i:02d}{'ab'[i % 2]}.png")
    return tmp_path


def label_of(path):
    return path.stem[-1]


@pytest.fixture
def make(folder):
    def make(**settings):
        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            get_items=lambda source: sorted(source.glob("*.png")),
            get_y=label_of,
            splitter=RandomSplitter(seed=1),
            batch_tfms=[Resize(8), Flip(), Rotate(90, p=1.0)],
        )
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
        return Learner(block.dataloaders(folder, bs=3, **settings), model, table=False)

    return make


def picture(folder, key):
    return torch.from_numpy(np.array(Image.open(folder / key))).permute(2, 0, 1).float() / 255


def test_they_are_of_the_pictures_themselves_by_key_whatever_the_epoch(make, folder):
    learn = make()
    for epoch in (0, 3):
        learn.dls.train.set_epoch(epoch)
        inputs, predictions, targets, losses, keys = learn.get_preds(
            learn.dls.train, with_input=True, with_loss=True, with_keys=True
        )
        assert keys == sorted(set(keys))
        assert len(keys) == 16
        expected = torch.stack([picture(folder, key) for key in keys])
        torch.testing.assert_close(inputs, expected, atol=1 / 255, rtol=0)
        outputs = learn.model(inputs)
        torch.testing.assert_close(predictions, outputs.softmax(1))
        assert targets.tolist() == ["ab".index(key[2]) for key in keys]
        torch.testing.assert_close(losses, nn.functional.cross_entropy(outputs, targets, reduction="none"))
        assert learn.dls.train.epoch == epoch
    assert learn.validate(learn.dls.train)["valid_loss"] == pytest.approx(float(losses.mean()), rel=1e-5)


@pytest.mark.parametrize("order", [Subset([5, 2, 9]), [2, 2, 9, 5], Weighted([1.0] * 16, size=40)])
def test_a_row_that_an_epoch_has_never_once_or_often_is_predicted_once(make, order):
    learn = make(indices=order)
    keys = learn.get_preds(learn.dls.train, with_keys=True)[-1]
    assert keys == sorted(set(keys))
    assert len(keys) == (16 if isinstance(order, Weighted) else 3)


def test_the_pictures_of_highest_loss_in_training_are_those_of_the_losses(make, folder):
    interpretation = ClassificationInterpretation.from_learner(learn := make(), learn.dls.train)
    losses, where = interpretation.top_losses(4)
    figure = interpretation.plot_top_losses(4)
    for axes, loss, index in zip(figure.axes, losses, where, strict=True):
        drawn = torch.from_numpy(np.array(axes.images[0].get_array())).permute(2, 0, 1).float() / 255
        expected = picture(folder, interpretation.keys[index])
        torch.testing.assert_close(drawn, expected, atol=1.5 / 255, rtol=0)
        outputs = learn.model(expected[None]).detach()
        again = nn.functional.cross_entropy(outputs, interpretation.targets[index][None])
        assert float(again) == pytest.approx(float(loss), abs=2e-2)


def test_pictures_of_a_loader_that_shuffles_by_itself_are_refused(data, model):
    data.valid = DataLoader(data.train.dataset, batch_size=8, shuffle=True)
    interpretation = ClassificationInterpretation.from_learner(Learner(data, model, table=False))
    with pytest.raises(UsageError, match="does not shuffle"):
        interpretation.plot_top_losses(4)


def test_results_are_spread_over_the_validation_set(photos, tmp_path):
    presize(photos, tmp_path / "c", size=32, label=parent_label)
    rows = Loader(tmp_path / "c", batch_size=4)
    classes = {int(y) for y in sample_evenly(rows, len(rows.rows) // 4)[1]}
    assert len(classes) == len(Cache.open(tmp_path / "c").vocab)
