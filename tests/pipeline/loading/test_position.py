"""The state of a loader's loop: fits the same samples in the same order, and nothing else."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.position import Position, integer, position_of
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.pipeline.order.orders import FunctionOrder, Subset, Weighted, balanced


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"count": 12}, {"shuffle": False}, {"indices": [1, 2]}],
)
def test_a_state_of_another_loader_is_refused(other, dense_rows):
    state = Loader(dense_rows(10)).state_dict()
    other = {**other}
    rows = dense_rows(other.pop("count", 10))
    with pytest.raises(UsageError, match="taken from another loader"):
        Loader(rows, **other).load_state_dict(state)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1, 2, 3], [1, 2, 4]),
        (Subset([1, 2, 3]), Subset([3, 2, 1])),
        (Subset([1, 2, 3]), Subset([1, 2, 3], shuffle=False)),
        (Weighted([1.0] * 10), Weighted([1.0] * 9 + [2.0])),
        (balanced([0] * 5 + [1] * 5), balanced([0] * 6 + [1] * 4)),
        (FunctionOrder(lambda p: p % 10, 10), FunctionOrder(lambda p: 9 - p % 10, 10)),
        (lambda p: p % 10, lambda p: (p + 1) % 10),
    ],
)
def test_the_state_of_another_order_of_the_same_length_is_refused(first, second, dense_rows):
    state = Loader(dense_rows(10), indices=first).state_dict()
    Loader(dense_rows(10), indices=first).load_state_dict(state)
    with pytest.raises(UsageError, match="its order is"):
        Loader(dense_rows(10), indices=second).load_state_dict(state)


def test_what_differs_is_named_and_rows_are_not_called_by_a_hash(dense_rows):
    state = Loader(dense_rows(10), seed=3).state_dict()
    with pytest.raises(UsageError, match="its seed is 3, and this loader's is 4") as caught:
        Loader(MemoryRows([np.zeros((2, 2, 3), np.uint8)] * 10), seed=4).load_state_dict(state)
    assert "its rows are not those of this loader" in str(caught.value)
    assert state["fingerprint"] not in str(caught.value)


plain = st.one_of(st.none(), st.booleans(), st.integers(-3, 30), st.floats(allow_nan=True), st.text("a1", max_size=2))


nested = st.one_of(plain, st.lists(plain, max_size=2), st.dictionaries(st.text("a1", max_size=2), plain, max_size=2))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(data=st.data(), name=st.sampled_from(["epoch", "delivered", "seed", "split", "order", "fingerprint"]))
def test_a_changed_state_is_refused_or_goes_on_as_a_run_that_was_never_interrupted(data, name, dense_rows, keys_of):
    """Whatever is in the place of one entry, or if it is not there."""
    rows = dense_rows(10)
    loader = Loader(rows, batch_size=4, threads=1)
    next(iter(loader))
    state = loader.state_dict()
    if data.draw(st.booleans()):
        state[name] = data.draw(nested)
    else:
        del state[name]
    resumed = Loader(rows, batch_size=4, threads=1)
    try:
        resumed.load_state_dict(state)
    except UsageError:
        assert resumed.state_dict() == Loader(rows, batch_size=4).state_dict()
        return
    whole = Loader(rows, batch_size=10, threads=1)
    whole.set_epoch(state["epoch"])
    assert keys_of(resumed) == keys_of(whole)[state["delivered"] :]
    assert keys_of(resumed) == keys_of(whole)  # the epoch after it


@pytest.mark.parametrize("state", [None, [], "epoch", {}, {"delivered": -5}])
def test_what_is_no_state_is_refused(state, dense_rows):
    with pytest.raises(UsageError, match="must be what a loader's state_dict"):
        Loader(dense_rows(10)).load_state_dict(state)


IDENTITY = {"seed": 3, "split": None, "order": "Shuffled(size=10)", "fingerprint": "ab"}


def test_a_state_of_the_same_loader_is_a_position():
    assert position_of({"epoch": 2, "delivered": 7, **IDENTITY}, IDENTITY, 10) == Position(2, 7)
    assert position_of({"epoch": 0, "delivered": 10, **IDENTITY, "later": 1}, IDENTITY, 10) == Position(0, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"seed": 4},
            "another loader: its seed is 4, and this loader's is 3. Make the loader as it was then",
        ),
        (
            {"seed": 4, "split": "train"},
            "its seed is 4, and this loader's is 3; its split is 'train', and this",
        ),
        (
            {"fingerprint": "cd"},
            r"its rows are not those of this loader \(other files, or a cache made with other",
        ),
        ({"delivered": 11}, r"delivered must be an integer in 0\.\.10, but got 11"),
        ({"epoch": -1}, "epoch must be an integer of at least 0, but got -1"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    with pytest.raises(UsageError, match=message):
        position_of({"epoch": 0, "delivered": 0, **IDENTITY, **changes}, IDENTITY, 10)


def test_what_lacks_an_entry_is_no_state():
    with pytest.raises(UsageError, match=r"must be what a loader's .* gave, but there is no 'order' in it"):
        position_of({"epoch": 0, "delivered": 0, "seed": 3, "split": None, "fingerprint": "ab"}, IDENTITY, 10)


@pytest.mark.parametrize("value", [0, 5, np.int64(5), np.uint8(7)])
def test_an_integer_is_a_plain_one(value):
    assert (integer("n", value, 0, 9), type(integer("n", value))) == (int(value), int)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, np.float64(1), np.bool_(True)])
def test_what_is_no_integer_is_refused_by_its_name(value):
    with pytest.raises(UsageError, match="batch_size must be an integer of at least 1, but got"):
        integer("batch_size", value, 1)
    with pytest.raises(UsageError, match="seed must be an integer, but got"):
        integer("seed", value)


def test_bounds_belong_to_the_range():
    assert [integer("n", value, 2, 4) for value in (2, 4)] == [2, 4]
    for value in (1, 5):
        with pytest.raises(UsageError, match=rf"n must be an integer in 2\.\.4, but got {value}"):
            integer("n", value, 2, 4)
