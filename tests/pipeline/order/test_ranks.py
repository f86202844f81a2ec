import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.pipeline.order.ranks import Share

worlds = st.integers(1, 9)
sizes = st.integers(1, 12)
totals = st.integers(1, 200)


def positions(share):
    slices = [share.slice(b) for b in range(len(share))]
    if not slices:
        return np.empty(0, np.int64)
    return np.concatenate([s.positions[s.valid] for s in slices])


def shares(total, batch_size, world_size, tail, start=0):
    return [Share(total, batch_size, rank, world_size, tail, start) for rank in range(world_size)]


@given(totals, sizes, worlds)
def test_ragged_ranks_partition_the_order(total, batch_size, world):
    taken = np.concatenate([positions(s) for s in shares(total, batch_size, world, "ragged")])
    assert sorted(taken.tolist()) == list(range(total))


@given(totals, sizes, worlds)
def test_padded_batches_are_whole_and_valid_ones_partition(total, batch_size, world):
    ranks = shares(total, batch_size, world, "pad")
    assert len({len(s) for s in ranks}) == 1
    assert all(len(s.slice(b).positions) == batch_size for s in ranks for b in range(len(s)))
    assert all((s.slice(b).positions < total).all() for s in ranks for b in range(len(s)))
    assert sorted(np.concatenate([positions(s) for s in ranks]).tolist()) == list(range(total))


@given(totals, sizes, worlds)
def test_dropping_keeps_whole_steps(total, batch_size, world):
    ranks = shares(total, batch_size, world, "drop")
    taken = np.concatenate([positions(s) for s in ranks])
    steps = total // (batch_size * world)
    assert sorted(taken.tolist()) == list(range(steps * batch_size * world))
    assert all(len(s) == steps for s in ranks)


@given(totals, sizes, worlds, worlds, st.data())
def test_resuming_at_another_world_size_takes_the_rest_once(total, batch_size, before, after, data):
    ranks = shares(total, batch_size, before, "ragged")
    steps = data.draw(st.integers(0, max(len(s) for s in ranks)))
    done = [s.slice(b).positions for s in ranks for b in range(min(steps, len(s)))]
    start = ranks[0].position_after(steps)
    rest = [positions(s) for s in shares(total, batch_size, after, "ragged", start)]
    assert sorted(np.concatenate([*done, *rest]).tolist()) == list(range(total))


def test_the_global_order_of_a_step_does_not_depend_on_the_world_size():
    steps = [np.stack([s.slice(1).positions for s in shares(64, 16 // w, w, "ragged")], 1).ravel() for w in (1, 2, 4)]
    assert all(np.array_equal(steps[0], other) for other in steps)


@pytest.mark.parametrize(
    "settings",
    [{"batch_size": 0}, {"rank": 2, "world_size": 2}, {"rank": -1}, {"world_size": 0}, {"tail": "cut"}],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(UsageError, match="must be"):
        Share(**{"total": 10, "batch_size": 2, **settings})
