import itertools

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from onewarp.errors import UsageError
from onewarp.pipeline import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.trainers.adapters import Positions, as_dataloader, as_numpy, shared
from onewarp.transforms import Flip, Resize, Rotate, fuse


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


@pytest.mark.parametrize("tail", ["ragged", "pad", "drop"])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_a_dataloader_of_a_rank_has_the_batches_of_its_loader_and_no_others(dls, world_size, tail):
    """Each rank had all samples."""
    for rank in range(world_size):
        loader = shared(dls, rank, world_size, tail=tail, bs=3).train
        theirs = as_dataloader(loader)
        assert len(theirs) == len(loader)
        for (x, y), (their_x, their_y) in zip(loader, theirs, strict=True):
            assert torch.equal(x, their_x)
            assert torch.equal(y, their_y)


UNEQUAL = """
import warnings
import torch
from conftest import loaders
from onewarp.transforms import Resize

dls = loaders([Resize(8)], indices=range(9))
drop = loaders([Resize(8)], indices=range(9), tail="drop")
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    list(dls.train)
    assert not found, found
    torch.distributed.init_process_group("gloo")
    for batches in (dls.train, dls.train, drop.train, dls.valid):
        list(batches)
assert [str(one.message)[:46] for one in found] == ["2 ranks have unequal numbers of batches, and o"], found
assert "tail='drop' or tail='pad'" in str(found[0].message)
print("warned")
"""


def test_ranks_that_would_wait_for_each_other_are_warned_once_and_only_in_a_process_group(two_processes):
    assert two_processes(UNEQUAL) == [(0, "warned\n")] * 2


def test_an_endless_order_has_no_positions(make_loaders):
    dls = make_loaders(indices=itertools.cycle(range(16)))
    with pytest.raises(UsageError, match="iterate over it"):
        dls.train.batch_at([0], 0)
    with pytest.raises(TypeError, match="endless"):
        len(Positions(dls.train))


def two_epochs(loader):
    return itertools.chain.from_iterable(itertools.repeat(loader, 3))


@pytest.mark.parametrize(("workers", "stops"), [(0, range(8)), (2, [3, 6])])
def test_a_dataloader_with_workers_goes_on_in_the_middle_of_an_epoch_by_states_of_the_loader(workers, stops):
    whole = list(itertools.islice(two_epochs(small_loader()), 8))
    for done in stops:
        first = as_dataloader(small_loader(), num_workers=workers)
        begun = list(itertools.islice(two_epochs(first), done))
        state = first.state_dict()
        for again in (as_dataloader(small_loader(), num_workers=workers), small_loader()):
            again.load_state_dict(state)
            rest = itertools.islice(two_epochs(again), 8 - done)
            for (x, y), (whole_x, whole_y) in zip([*begun, *rest], whole, strict=True):
                assert torch.equal(x, whole_x)
                assert torch.equal(y, whole_y)


def test_a_state_of_another_loader_is_refused_by_a_dataloader_too():
    state = as_dataloader(small_loader()).state_dict()
    with pytest.raises(UsageError, match="its seed is"):
        as_dataloader(small_loader()).load_state_dict(state | {"seed": 5})


def test_batches_as_arrays_share_the_tensors_memory_and_travel_by_dlpack():
    jax = pytest.importorskip("jax", reason="jax comes with the group adapters")
    loader = small_loader()
    for (x, y), (array, labels) in zip(list(loader), as_numpy(small_loader()), strict=True):
        assert isinstance(array, np.ndarray)
        assert (array == x.numpy()).all()
        assert (labels == y.numpy()).all()
        assert (np.asarray(jax.dlpack.from_dlpack(x)) == array).all()
    half = Loader(loader.rows, batch_size=4, batch_tfms=fuse([Resize(8)], dtype=torch.bfloat16), threads=1)
    assert jax.dlpack.from_dlpack(next(iter(half))[0]).dtype == "bfloat16"
    with pytest.raises(UsageError, match="numpy has no bfloat16"):
        next(as_numpy(half))
