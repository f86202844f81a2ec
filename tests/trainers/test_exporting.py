"""A learner in one file: what can be written, and what a file must be."""

import pytest
from torch import nn

from onewarp.errors import SpecError, TrainingError
from onewarp.trainers import Learner
from onewarp.trainers.run import loaders
from onewarp.trainers.serving import load_learner


def test_what_is_not_an_exported_learner_is_refused(cache, data, model, tmp_path):
    learn = Learner(data, model)
    with pytest.raises(TrainingError, match="must have DataLoaders with a pipeline, but got Data"):
        learn.export(tmp_path / "m")
    with pytest.raises(TrainingError, match="must be an exported learner"):
        load_learner(learn.save(tmp_path / "c"))


def test_a_lambda_cannot_be_exported(cache, tmp_path):
    from onewarp.transforms import Resize, fuse

    dls = loaders(cache, fuse([Resize(48), lambda x: x]), bs=8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 6))
    with pytest.raises(SpecError, match="lambda"):
        Learner(dls, model).export(tmp_path / "m")
