import copy
import itertools
import pickle
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from onewarp.errors import UsageError
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.pipeline.order.orders import Sequential, Shuffled, Subset, Weighted
from onewarp.transforms.warp.packed import Packed


def mixed_rows(n=9):
    random = np.random.default_rng(0)
    return MemoryRows([random.integers(0, 256, (3 + i % 4, 5 + i % 3, 3), np.uint8) for i in range(n)])


def test_dense_rows_make_dense_batches(dense_rows):
    loader = Loader(dense_rows(labels=range(37)), batch_size=8)
    seen = []
    for batch in loader:
        x, y = batch
        assert x.dtype == torch.uint8
        assert x.shape[1:] == (4, 6, 3)
        assert (x == y[:, None, None, None]).all()
        assert batch.keys == [f"{i:03}.jpg" for i in y.tolist()]
        assert torch.equal(batch.matrix, torch.eye(3, dtype=torch.float64).expand(len(y), 3, 3))
        seen += y.tolist()
    assert sorted(seen) == list(range(37))
    assert seen != list(range(37))


def test_mixed_sizes_are_packed_and_no_label_is_none():
    rows = mixed_rows()
    for x, y, keys in Loader(rows, batch_size=4, keys=True):
        assert isinstance(x, Packed) or len(keys) == 1
        assert y is None
        for i, key in enumerate(keys):
            assert np.array_equal(x[i].numpy(), rows._images[int(key)])


def test_order_depends_on_seed_and_epoch_alone(dense_rows, keys_of):
    rows = dense_rows()
    loader = Loader(rows, batch_size=8, seed=3)
    first, second = keys_of(loader), keys_of(loader)
    assert first != second
    loader.set_epoch(0)
    assert keys_of(loader) == first
    assert keys_of(Loader(rows, batch_size=5, seed=3, threads=1, prefetch=9)) == first
    assert keys_of(Loader(rows, batch_size=8, seed=4)) != first


def test_splits_select_rows(dense_rows, keys_of):
    rows = dense_rows(10, splits=["train", "valid"] * 5)
    assert sorted(keys_of(Loader(rows, "valid"))) == [f"{i:03}.jpg" for i in range(1, 10, 2)]
    with pytest.raises(UsageError, match="split must be one of"):
        Loader(rows, "test")


@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("tail", ["ragged", "pad", "drop"])
def test_ranks_share_one_global_order(world, tail, dense_rows, keys_of):
    rows = dense_rows(101)
    whole = keys_of(Loader(rows, batch_size=101))
    ranks = [keys_of(Loader(rows, batch_size=4, rank=r, world_size=world, tail=tail)) for r in range(world)]
    together = [key for step in itertools.zip_longest(*ranks) for key in step if key is not None]
    assert together == (whole if tail != "drop" else whole[: 101 // (4 * world) * 4 * world])


def test_padding_repeats_and_says_so(dense_rows):
    batches = list(Loader(dense_rows(10), batch_size=4, tail="pad"))
    assert [len(b.keys) for b in batches] == [4, 4, 4]
    assert batches[-1].valid.tolist() == [True, True, False, False]
    assert batches[-1].keys[2:] == batches[0].keys[:2]


@pytest.mark.parametrize("before", [1, 2, 3, 8])
@pytest.mark.parametrize("after", [1, 2, 3, 8])
def test_resuming_gives_the_rest_once_at_any_world_size(before, after, dense_rows, brighten):
    rows = dense_rows(101)
    make = lambda world, rank: Loader(rows, batch_size=3, rank=rank, world_size=world, batch_tfms=brighten)  # noqa: E731
    reference = {}
    for x, _ in [(b[0], reference.update(zip(b.keys, b[0], strict=True))) for b in make(1, 0)]:
        assert len(x)
    done, states = [], []
    for rank in range(before):
        loader = make(before, rank)
        for batch in itertools.islice(loader, 3):
            done += zip(batch.keys, batch[0], strict=True)
        states.append(loader.state_dict())
    assert all(state == states[0] for state in states)
    for rank in range(after):
        loader = make(after, rank)
        loader.load_state_dict(states[0])
        done += [pair for batch in loader for pair in zip(batch.keys, batch[0], strict=True)]
    assert len(done) == 101
    assert {key for key, _ in done} == set(reference)
    assert all(torch.equal(x, reference[key]) for key, x in done)


def test_the_state_counts_what_was_delivered_and_moves_on_with_epochs(dense_rows):
    loader = Loader(dense_rows(10), batch_size=4, prefetch=8)
    iterator = iter(loader)
    assert loader.state_dict()["delivered"] == 0
    next(iterator)
    next(iterator)
    assert (loader.state_dict()["epoch"], loader.state_dict()["delivered"]) == (0, 8)
    list(iterator)
    assert (loader.state_dict()["epoch"], loader.state_dict()["delivered"]) == (1, 0)


@pytest.mark.parametrize("epoch", [-1, 1.5, True, "1", None])
def test_an_epoch_is_a_number_from_0_on(epoch, dense_rows):
    loader = Loader(dense_rows(10))
    for ask in (
        loader.set_epoch,
        lambda epoch: loader.replay("001.jpg", epoch),
        lambda epoch: loader.batch_at([0], epoch),
    ):
        with pytest.raises(UsageError, match="epoch must be an integer of at least 0"):
            ask(epoch)
    with pytest.raises(UsageError, match="repeat must be an integer of at least 0"):
        loader.replay("001.jpg", 0, repeat=-1)


def test_an_iterable_that_ends_before_the_place_of_a_state_is_refused(dense_rows):
    state = {**Loader(dense_rows(10), indices=iter(range(9))).state_dict(), "delivered": 12}
    resumed = Loader(dense_rows(10), indices=iter(range(9)))
    resumed.load_state_dict(state)
    with pytest.raises(UsageError, match="ended after 9 rows, but 12 of it were delivered before"):
        list(resumed)


def test_every_loop_is_an_epoch_of_its_own_even_where_the_one_before_was_left(dense_rows, keys_of):
    rows = dense_rows()
    reference = Loader(rows, batch_size=4)
    whole = [keys_of(reference) for _ in range(3)]
    loader = Loader(rows, batch_size=4)
    for epoch in range(3):
        assert [b.keys for b in itertools.islice(loader, 2)] == [whole[epoch][:4], whole[epoch][4:8]]
        state = loader.state_dict()
        resumed = Loader(rows, batch_size=4)
        resumed.load_state_dict(state)
        assert keys_of(resumed) == whole[epoch][8:]  # a state is that of the loop that was left
    side_by_side = [(a.keys, b.keys) for a, b in itertools.islice(zip(reference, reference, strict=True), 1)]
    assert side_by_side[0][0] != side_by_side[0][1]


def test_a_look_at_the_first_batch_moves_nothing(dense_rows):
    loader = Loader(dense_rows(), batch_size=4)
    for _ in itertools.islice(loader, 2):
        pass
    state = loader.state_dict()
    first = loader.peek()
    assert loader.state_dict() == state
    assert next(iter(loader)).keys == first.keys
    assert loader.state_dict()["epoch"] == 1


@pytest.mark.parametrize("name", ["seed", "shuffle", "batch_size", "tail", "rank", "split", "rows"])
def test_a_setting_is_fixed_when_the_loader_is_made(name, dense_rows):
    loader = Loader(dense_rows())
    with pytest.raises(UsageError, match=f"a loader's {name} is fixed when it is made"):
        setattr(loader, name, 5)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda loader: pickle.loads(pickle.dumps(loader))])
@pytest.mark.parametrize("more", [{}, {"indices": Weighted([1.0] * 37)}, {"rank": 1, "world_size": 2}])
def test_a_copy_stands_where_its_original_stood_and_both_go_on_alone(copied, more, dense_rows, brighten):
    loader = Loader(dense_rows(), batch_size=4, seed=3, batch_tfms=brighten, keys=True, **more)
    next(loop := iter(loader))
    again = copied(loader)
    assert again.state_dict() == loader.state_dict()
    again.load_state_dict(again.state_dict())
    for mine, theirs in zip(loop, again, strict=True):
        assert mine[2] == theirs[2]
        assert torch.equal(mine[0], theirs[0])


def test_no_global_generator_is_read_or_set(dense_rows, brighten):
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    list(Loader(dense_rows(), batch_size=4, indices=Weighted([1.0] * 37), batch_tfms=brighten, threads=3))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()


OPEN = """
import builtins
import numpy as np
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.rows import MemoryRows

builtins.loop = iter(Loader(MemoryRows([np.zeros((4, 6, 3), np.uint8)] * 37), batch_size=4))
next(builtins.loop)
"""


def test_a_script_may_end_with_an_open_loop():
    run = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_augmentation_follows_keys_and_replay_equals_the_batch(dense_rows, brighten):
    rows = dense_rows(20, labels=range(20))
    loader = Loader(rows, batch_size=8, batch_tfms=brighten)
    epochs = []
    for epoch in range(2):
        values = {}
        for batch in loader:
            x, y = batch
            assert batch.matrix[:, 0, 2].tolist() == [1.0] * len(y)
            for i, key in enumerate(batch.keys):
                values[key] = x[i]
                again, label = loader.replay(key, epoch)
                assert torch.equal(again, x[i])
                assert label == y[i]
        epochs.append(values)
    assert not any(torch.equal(epochs[0][key], epochs[1][key]) for key in epochs[0])
    with pytest.raises(UsageError, match=r"no\.jpg"):
        loader.replay("no.jpg", 0)


def test_endless_indices_repeat_an_item_with_new_draws(dense_rows, brighten):
    for endless in (itertools.repeat(3), lambda positions: np.full_like(positions, 3)):
        loader = Loader(dense_rows(), batch_size=4, indices=endless, batch_tfms=brighten)
        with pytest.raises(TypeError, match="no length"):
            len(loader)
        batches = list(itertools.islice(loader, 3))
        assert all(batch.keys == ["003.jpg"] * 4 for batch in batches)
        values = [float(x.mean()) for batch in batches for x in batch[0]]
        assert len(set(values)) == 12
        assert torch.equal(loader.replay("003.jpg", 0, repeat=5)[0], batches[1][0][1])


def test_a_stream_resumes_and_is_shared_by_ranks(dense_rows):
    rows = dense_rows()
    make = lambda rank: Loader(rows, batch_size=2, indices=range(30).__iter__(), rank=rank, world_size=2)  # noqa: E731
    ranks = [[b.keys for b in make(rank)] for rank in (0, 1)]
    assert ranks[1][0] == ["001.jpg", "003.jpg"]
    half = make(0)
    next(iter(half))
    resumed = Loader(rows, batch_size=5, indices=iter(range(30)), world_size=1)
    state = half.state_dict()
    resumed.load_state_dict({**state, "order": "Stream(range_iterator)"})
    assert next(iter(resumed)).keys[0] == "004.jpg"


def test_weights_and_finite_indices_are_delivered_as_they_stand(dense_rows, keys_of):
    rows = dense_rows(4)
    assert keys_of(Loader(rows, indices=[2, 2, 0])) == ["002.jpg", "002.jpg", "000.jpg"]
    assert set(keys_of(Loader(rows, indices=Weighted([0, 1, 0, 0])))) == {"001.jpg"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be"),
        ({"tail": "drop", "batch_size": 40}, "needs at least"),
        ({"tail": "keep"}, "tail must be"),
        ({"rank": 3, "world_size": 3}, "rank must be"),
        ({"indices": []}, "nothing to load"),
        ({"prefetch": 0}, "prefetch must be"),
        ({"threads": 0}, "threads must be"),
        ({"batch_size": 2.5}, "batch_size must be an integer"),
        ({"seed": "7"}, "seed must be an integer"),
    ],
)
def test_settings_that_fit_no_batch_are_refused(settings, message, dense_rows):
    with pytest.raises(UsageError, match=message):
        Loader(dense_rows(), **settings)


def test_no_rows_and_indices_outside_are_refused(dense_rows):
    with pytest.raises(UsageError, match="nothing to load"):
        Loader(MemoryRows([]))
    outside = [1, 37], [-1], Subset([37]), Shuffled(38), Sequential(38), Weighted([1, 3], size=37), Weighted([1.0] * 38)
    for indices in outside:
        with pytest.raises(UsageError, match=r"0\.\.36|one for each of the 37 rows"):
            Loader(dense_rows(), indices=indices)
    with pytest.raises(UsageError, match=r"0\.\.36"):  # known only when it is asked
        list(Loader(dense_rows(), indices=lambda positions: positions + 30))


def test_a_batch_larger_than_the_data_is_short_or_padded(dense_rows):
    assert [len(b.keys) for b in Loader(dense_rows(3), batch_size=64)] == [3]
    assert [b.valid.sum() for b in Loader(dense_rows(3), batch_size=8, tail="pad")] == [3]


def test_rank_and_world_size_come_from_the_environment(monkeypatch, dense_rows):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    loader = Loader(dense_rows())
    assert (loader.rank, loader.world_size) == (1, 2)
    monkeypatch.setenv("RANK", "one")
    with pytest.raises(UsageError, match="RANK must be an integer"):
        Loader(dense_rows())


def test_tensors_may_be_kept_over_many_batches(dense_rows):
    loader = Loader(dense_rows(labels=range(37)), batch_size=3, prefetch=1)
    kept = [batch for _ in range(4) for batch in loader]
    assert all((x == y[:, None, None, None]).all() for x, y in kept)


def loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("onewarp-loader")]


def test_leaving_the_loop_early_frees_all_threads(dense_rows):
    loader = Loader(dense_rows(), batch_size=2, threads=3, prefetch=5)
    for _ in loader:
        assert loader_threads()
        break
    assert not loader_threads()
    iterator = iter(loader)
    next(iterator)
    del iterator
    assert not loader_threads()
