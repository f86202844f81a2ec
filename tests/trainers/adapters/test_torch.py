import itertools

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from onewarp.errors import UsageError
from onewarp.pipeline import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.trainers.adapters import Positions, as_dataloader, shared
from onewarp.transforms import Flip, Resize, Rotate


def test_a_dataloader_of_positions_gives_the_same_batches_in_the_same_order(dls):
    theirs = as_dataloader(dls.train)
    assert isinstance(theirs, DataLoader)
    assert len(theirs) == len(dls.train) == 4
    for epoch in range(2):
        theirs.dataset.set_epoch(epoch)
        for (x, y), batch in zip(dls.train, theirs, strict=True):
            assert torch.equal(x, batch[0])
            assert torch.equal(y, batch[1])


def small_loader():
    rows = MemoryRows([np.full((8, 8, 3), 9 * i, np.uint8) for i in range(16)], labels=range(16))
    return Loader(rows, batch_size=4, batch_tfms=[Resize(8), Flip(), Rotate(p=1.0)], threads=1)


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_workers_that_live_on_follow_the_epochs(start):
    """However they were started: a loader that is spawned is a copy."""
    loader = small_loader()
    theirs = as_dataloader(loader, num_workers=1, persistent_workers=True, multiprocessing_context=start)
    for epoch in (0, 1, 1, 2):
        if loader.epoch != epoch:
            loader.set_epoch(epoch)
            theirs.dataset.set_epoch(epoch)
        for (x, y), batch in zip(loader, theirs, strict=True):
            assert torch.equal(x, batch[0])
            assert torch.equal(y, batch[1])


def test_every_loop_is_over_the_next_epoch_and_one_that_was_left_is_over():
    loader = small_loader()
    theirs = as_dataloader(loader)
    for _ in range(3):
        for (_, y), (_, theirs_y) in itertools.islice(zip(loader, theirs, strict=True), 2):
            assert torch.equal(y, theirs_y)


def test_samplers_of_others_get_positions_of_the_epoch_that_was_set_also_in_workers_that_live_on():
    loader = small_loader()
    theirs = as_dataloader(loader, sampler=range(16), num_workers=1, persistent_workers=True)
    for epoch in (0, 2):
        loader.set_epoch(epoch)
        theirs.dataset.set_epoch(epoch)
        assert all(torch.equal(y, batch[1]) for (_, y), batch in zip(loader, theirs, strict=True))
    with pytest.raises(UsageError, match="shuffle must be left out"):
        as_dataloader(loader, shuffle=True)


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
