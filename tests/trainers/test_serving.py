"""Train on a cache, export, load, predict: the file's way is that of the validation set."""

import pytest
import torch
from torch import nn

from onewarp.errors import TrainingError
from onewarp.pipeline.commands.transform_texts import read_fused
from onewarp.trainers import Learner
from onewarp.trainers.run import loaders
from onewarp.trainers.serving import load_learner


def test_a_file_is_predicted_as_it_was_in_the_validation_set(trained, cache, photos, transforms):
    dls = loaders(cache, read_fused(transforms), bs=8)
    loaded = load_learner(trained.model)
    expected = Learner(dls, loaded.model, table=False).get_preds()[0]
    keys = [key for batch in dls.valid for key in batch.keys]
    answers = [loaded.predict(photos / key) for key in keys]
    torch.testing.assert_close(torch.stack([p for _, _, p in answers]), expected)
    assert [name for name, _, _ in answers] == [dls.vocab[i] for i in expected.argmax(1).tolist()]


def test_a_model_without_a_name_must_be_given(cache, tmp_path, transforms):
    dls = loaders(cache, read_fused(transforms), bs=8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 6))
    path = Learner(dls, model).export(tmp_path / "m")
    with pytest.raises(TrainingError, match="give load_learner"):
        load_learner(path)
    again = load_learner(path, nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 6)))
    assert torch.equal(again.model[1].weight, model[1].weight)
    with pytest.raises(TrainingError, match=r"another model: \d tensors differ"):
        load_learner(path, nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 7)))
