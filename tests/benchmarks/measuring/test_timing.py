"""Turns of contenders: as many as there are rounds, in changing order, by a clock that the calls move."""

import time
from types import SimpleNamespace

import pytest

from onewarp.benchmarks.measuring import timing
from onewarp.pipeline.presizing.progress import NoProgress


def test_rounds_give_everyone_turns():
    calls = {"a": 0, "b": 0}

    def called(name):
        calls[name] += 1

    turns = timing.in_rounds({name: lambda name=name: called(name) for name in calls}, 3, 0.0, NoProgress())
    assert {name: len(found) for name, found in turns.items()} == {"a": 3, "b": 3}
    assert calls == {"a": 4, "b": 4}  # a warm-up, and a call in each round


@pytest.fixture
def clock(monkeypatch):
    """Both clocks, moved by hand: processor time is half of the time that passes."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(time, "perf_counter", lambda: now.seconds)
    monkeypatch.setattr(time, "process_time", lambda: now.seconds / 2)
    return now


class Work:
    """A call of so many seconds, noted by its name."""

    def __init__(self, clock, names, name, seconds):
        self.clock, self.names, self.name, self.seconds = clock, names, name, seconds

    def __call__(self):
        self.names.append(self.name)
        self.clock.seconds += self.seconds


@pytest.mark.parametrize(("seconds", "calls"), [(0.0, 1), (0.25, 1), (0.4, 2), (1.0, 4)])
def test_a_turn_is_the_mean_of_as_many_calls_as_fill_it(clock, seconds, calls):
    names = []
    turn = timing.time_call(Work(clock, names, "a", 0.25), seconds)
    assert (turn.clock, turn.cpu, len(names)) == (0.25, 0.125, calls)


def test_the_slow_have_every_other_turn_and_the_uneven_longer_ones(clock):
    names = []
    calls = {name: Work(clock, names, name, s) for name, s in (("quick", 0.5), ("slow", 0.75), ("uneven", 0.125))}
    turns = timing.in_rounds(calls, 4, 0.5, NoProgress(), uneven=["uneven"])
    assert {name: len(found) for name, found in turns.items()} == {"quick": 4, "slow": 2, "uneven": 4}
    assert names.count("uneven") == 1 + 4 * 4 * timing.LONGER
    assert names.count("quick") == 1 + 4


def test_rounds_differ_in_their_order_and_not_from_run_to_run(clock):
    orders = []
    for _ in range(2):
        names = []
        timing.in_rounds({name: Work(clock, names, name, 0.5) for name in "abcd"}, 4, 0.0, NoProgress())
        orders.append([tuple(names[i : i + 4]) for i in range(4, 20, 4)])
    assert orders[0] == orders[1]
    assert len(set(orders[0])) > 1
    assert {tuple(sorted(order)) for order in orders[0]} == {("a", "b", "c", "d")}


def test_quartiles_lie_between_values():
    assert timing.quartiles([4.0, 1.0, 3.0, 2.0]) == [1.75, 2.5, 3.25]
    assert timing.quartiles([1 / 3], 3) == [0.333] * 3
