import itertools

import pytest
import torch
from torch.utils.data import DataLoader

from onewarp.errors import UsageError
from onewarp.trainers.adapters import Positions, as_dataloader, shared


def test_a_dataloader_of_positions_gives_the_same_batches_in_the_same_order(dls):
    theirs = as_dataloader(dls.train)
    assert isinstance(theirs, DataLoader)
    assert len(theirs) == len(dls.train) == 4
    for epoch in range(2):
        theirs.dataset.set_epoch(epoch)
        for (x, y), batch in zip(dls.train, theirs, strict=True):
            assert torch.equal(x, batch[0])
            assert torch.equal(y, batch[1])


def test_positions_pass_through_any_sampler(dls):
    positions = Positions(dls.train)
    positions.set_epoch(3)
    assert len(positions) == 16
    assert positions[5] == (3, 5)
    with pytest.raises(ValueError, match=r"must lie in one epoch, but got positions of \[0, 1\]"):
        as_dataloader(dls.train).collate_fn([(0, 1), (1, 1)])


@pytest.mark.parametrize("world_size", [2, 3])
def test_every_sample_once_over_the_ranks(dls, world_size):
    whole = [key for batch in dls.train for key in batch.keys]
    ranks = [shared(dls, rank, world_size) for rank in range(world_size)]
    seen = [key for part in ranks for batch in part.train for key in batch.keys]
    assert sorted(seen) == sorted(whole)
    assert len(set(seen)) == 16


def test_an_endless_order_has_no_positions(make_loaders):
    dls = make_loaders(indices=itertools.cycle(range(16)))
    with pytest.raises(UsageError, match="iterate over it"):
        dls.train.batch_at([0], 0)
    with pytest.raises(TypeError, match="endless"):
        len(Positions(dls.train))
