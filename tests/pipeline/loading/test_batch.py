import pickle

import pytest
import torch

from onewarp.pipeline.loading.batch import Batch


def test_a_batch_unpacks_and_remembers():
    x, y = torch.zeros(2, 3, 4, 4), torch.tensor([0, 1])
    batch = Batch((x, y), keys=["a", "b"], valid=torch.tensor([True, False]))
    first, second = batch
    assert first is x
    assert second is y
    assert isinstance(batch, tuple)
    assert batch.keys == ["a", "b"]


def test_points_go_back_through_the_matrix():
    shrink = torch.tensor([[[2.0, 0, 10], [0, 3, 20], [0, 0.1, 1]]], dtype=torch.float64)
    back = Batch((None, None), matrix=shrink).original_points(torch.tensor([[[1.0, 2.0], [0.0, 0.0]]]))
    assert back[0].tolist() == [pytest.approx([12 / 1.2, 26 / 1.2]), [10, 20]]


def test_a_batch_survives_pickling_moving_and_rebuilding():
    batch = Batch((torch.ones(1), {"a": torch.ones(1)}), keys=["k"], matrix=torch.eye(3)[None])
    again = pickle.loads(pickle.dumps(batch))
    assert again.keys == ["k"]
    assert torch.equal(again.matrix, batch.matrix)
    assert batch.to("cpu").keys == ["k"]
    rebuilt = type(batch)(value for value in batch)  # as accelerate does
    assert len(rebuilt) == 2
    with pytest.raises(ValueError, match="without its matrix"):
        rebuilt.original_points(torch.zeros(1, 1, 2))
