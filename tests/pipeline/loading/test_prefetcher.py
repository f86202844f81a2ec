"""What is expected is fetched ahead, in order, within its bytes, and once."""

from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.pipeline.loading.prefetcher import Prefetcher


@pytest.fixture
def prefetcher():
    made = Prefetcher(threads=1, most_bytes=10)
    yield made
    made.close()


def test_what_is_expected_is_fetched_once_and_before_it_is_taken(prefetcher):
    fetched = Event()
    prefetcher.expect("a", lambda: fetched.set() or "early", 5)
    assert fetched.wait(30)
    assert prefetcher.take("a", lambda: "late") == "early"
    assert prefetcher.take("a", lambda: "late") == "late"  # it was taken


def test_what_does_not_fit_waits_until_something_is_taken(prefetcher):
    fetched = {name: Event() for name in "abc"}
    for name in "abc":
        prefetcher.expect(name, lambda name=name: fetched[name].set() or name, 5)
    assert fetched["b"].wait(30)
    assert prefetcher.held == 10
    assert not fetched["c"].is_set()
    assert prefetcher.take("a", lambda: None) == "a"
    assert fetched["c"].wait(30)
    assert prefetcher.held == 10


def test_one_thing_larger_than_the_room_is_fetched_alone(prefetcher):
    prefetcher.expect("large", lambda: "large", 99)
    prefetcher.expect("next", lambda: "next", 1)
    assert prefetcher.held == 99
    assert prefetcher.take("large", lambda: None) == "large"
    assert prefetcher.held == 1


def test_what_is_forgotten_makes_room(prefetcher):
    for name in "abc":
        prefetcher.expect(name, lambda name=name: name, 10)
    prefetcher.forget("a")
    prefetcher.forget("c")
    prefetcher.forget("never expected")
    assert prefetcher.take("b", lambda: None) == "b"
    assert prefetcher.held == 0


def test_what_fetching_raises_is_raised_where_it_is_taken(prefetcher):
    def fail():
        raise ValueError("gone")

    prefetcher.expect("a", fail, 1)
    with pytest.raises(ValueError, match="gone"):
        prefetcher.take("a", lambda: "late")
    assert prefetcher.held == 0


def test_what_is_expected_twice_can_be_taken_twice(prefetcher):
    calls = []
    for _ in range(2):
        prefetcher.expect("a", lambda: calls.append(1) or "early", 1)
    assert [prefetcher.take("a", lambda: "late") for _ in range(2)] == ["early", "early"]
    assert (calls, prefetcher.held) == ([1], 0)


def test_after_its_end_nothing_is_held(prefetcher):
    prefetcher.expect("a", lambda: "early", 4)
    prefetcher.close()
    assert (prefetcher.held, prefetcher.take("a", lambda: "late")) == (0, "late")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["expect", "take", "forget"]), st.integers(0, 4)), max_size=30))
def test_the_bytes_held_are_those_of_what_is_left(steps):
    prefetcher = Prefetcher(threads=2, most_bytes=8)
    counts = dict.fromkeys(range(5), 0)
    for step, n in steps:
        if step == "expect":
            prefetcher.expect(n, lambda n=n: n, n)
            counts[n] += 1
        elif step == "take":
            assert prefetcher.take(n, lambda n=n: n) == n
            counts[n] = max(0, counts[n] - 1)
        else:
            prefetcher.forget(n)
            counts[n] = max(0, counts[n] - 1)
        assert 0 <= prefetcher.held <= 8
    for n, count in counts.items():
        for _ in range(count):
            prefetcher.take(n, lambda n=n: n)
    assert prefetcher.held == 0
    prefetcher.close()
