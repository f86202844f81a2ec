"""What a trainer asks of its data, and what it says where that is not there."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from onewarp.errors import UsageError
from onewarp.trainers import Learner, vision_learner

BATCH = (torch.zeros(2, 3, 4, 4), torch.tensor([0, 1]))
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))


def test_two_iterables_of_batches_train():
    learn = Learner(SimpleNamespace(train=[BATCH], valid=[BATCH]), MODEL, table=False)
    learn.fit(1)
    assert learn.validate().keys() == {"valid_loss"}


def test_new_items_need_data_that_reads_them():
    with pytest.raises(UsageError, match=r"test_dl\(items\).*got SimpleNamespace"):
        Learner(SimpleNamespace(train=[BATCH], valid=[BATCH]), MODEL).predict("a.jpg")


def test_what_has_no_validation_set_wants_batches():
    learn = Learner(SimpleNamespace(train=[BATCH], valid=None), MODEL)
    assert learn.validate() == {}
    with pytest.raises(UsageError, match="no validation set"):
        learn.get_preds()
    assert len(learn.get_preds([BATCH])[0]) == 2


def test_a_model_by_function_needs_the_number_of_classes():
    with pytest.raises(UsageError, match="give n_out="):
        vision_learner(SimpleNamespace(train=[BATCH], valid=[BATCH]), lambda outputs: MODEL)
