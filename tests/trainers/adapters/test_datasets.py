"""Data sets of other people in our order, under our augmentations."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from onewarp.errors import UsageError
from onewarp.pipeline import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.pipeline.order.orders import Weighted
from onewarp.trainers.adapters import Augment, OrderSampler
from onewarp.transforms import Flip, Resize, Rotate, TensorImage

RECIPE = [Resize(8), Flip(), Rotate(90, p=1.0)]


@given(st.integers(1, 97), st.integers(1, 4), st.integers(0, 3), st.sampled_from(["ragged", "pad", "drop"]), st.data())
def test_every_sample_comes_once_an_epoch_over_all_ranks_and_goes_on_on_any_number_of_them(
    size, ranks, epoch, tail, data
):
    def pass_of(rank, world_size, position):
        sampler = OrderSampler(size, 7, rank=rank, world_size=world_size, tail=tail)
        sampler.seek(position)
        return list(sampler)

    whole = [pass_of(rank, ranks, epoch * size) for rank in range(ranks)]
    assert [len(one) for one in whole] == [
        len(OrderSampler(size, rank=r, world_size=ranks, tail=tail)) for r in range(ranks)
    ]
    dealt = [row for one in whole for row in one]
    match tail:
        case "ragged":
            assert sorted(dealt) == list(range(size))
        case "pad":
            assert set(dealt) == set(range(size))
            assert len({len(one) for one in whole}) == 1
        case "drop":
            assert len(set(dealt)) == len(dealt) == size // ranks * ranks
    order = pass_of(0, 1, epoch * size)
    stop = data.draw(st.integers(0, size - 1))
    others = data.draw(st.integers(1, 3))
    if tail == "ragged":
        rest = [pass_of(rank, others, epoch * size + stop) for rank in range(others)]
        assert sorted(row for one in rest for row in one) == sorted(order[stop:])


def test_it_is_the_order_of_our_loader():
    rows = MemoryRows([np.full((1, 1, 3), i, np.uint8) for i in range(23)])
    loader, sampler = Loader(rows, batch_size=5, seed=3), OrderSampler(23, 3)
    for _ in range(3):
        assert [int(x) for batch in loader for x in batch[0][:, 0, 0, 0]] == list(sampler)
    assert len(list(OrderSampler(1, order=Weighted([1.0, 2.0, 1.0], size=40)))) == 40


@pytest.mark.parametrize("call", [lambda s: s.seek(-1), lambda s: s.set_epoch(-1), lambda s: s.seek(1.5)])
def test_places_that_are_none_are_refused(call):
    with pytest.raises(UsageError, match="must be an integer of at least 0"):
        call(OrderSampler(5))
    with pytest.raises(UsageError, match="size must be"):
        OrderSampler(0)


class Photos(Dataset):
    """A data set of somebody else's."""

    def __init__(self, images):
        self.images, self.augment = images, Augment(RECIPE, seed=5)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = TensorImage(torch.from_numpy(self.images[i]).permute(2, 0, 1))
        return i, self.augment(image, f"{i}")


def test_a_data_set_in_workers_that_live_on_has_the_draws_of_our_loader_in_every_epoch():
    images = [np.random.default_rng(i).integers(0, 256, (9, 11, 3), np.uint8) for i in range(12)]
    rows = MemoryRows(images, keys=[f"{i}" for i in range(12)])
    loader = Loader(rows, batch_size=4, seed=5, batch_tfms=RECIPE, keys=True)
    photos = Photos(images)
    theirs = DataLoader(photos, 4, sampler=OrderSampler(12, 5), num_workers=1, persistent_workers=True)
    for epoch in range(3):
        photos.augment.set_epoch(epoch)
        for (x, _, keys), (numbers, images_of) in zip(loader, theirs, strict=True):
            assert keys == [str(int(i)) for i in numbers]
            torch.testing.assert_close(x, images_of.plain() / 255, atol=0.6 / 255, rtol=0)  # which are uint8
