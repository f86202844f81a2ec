import pytest
import torch

from onewarp.benchmarks.resuming import data


def test_pictures_are_26_to_train_on_and_13_to_validate_on_in_three_classes():
    dls = data.loaders(rank=0, world_size=1)
    assert [len(part.rows.select(split)) for part, split in ((dls.train, "train"), (dls.valid, "valid"))] == [26, 13]
    assert dls.vocab == ("a", "b", "c")
    x, y = next(iter(dls.valid))
    assert x.shape == (4, 3, data.SIZE, data.SIZE)
    assert y.tolist() == [number % 3 for number in range(26, 30)]


@pytest.mark.parametrize(("train", "bs"), [(97, 16), (5, 2)])
def test_as_many_as_are_asked_for(train, bs):
    loader = data.loaders(train, bs, rank=0, world_size=1).train
    assert sum(len(x) for x, _ in loader) == train


def test_the_model_has_the_same_weights_each_time():
    one, other = data.model(), data.model()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert one(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
