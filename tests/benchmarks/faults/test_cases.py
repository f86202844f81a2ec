"""Which faults are tried, in which order, and how some of them are chosen."""

import errno
from collections import Counter
from types import SimpleNamespace

import pytest

from onewarp.benchmarks.faults import cases
from onewarp.benchmarks.faults.outcomes import Case, Outcome


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, [1]), (5, [1, 2, 3, 4, 5]), (12, list(range(1, 13))), (100, list(range(1, 101, 9)))],
)
def test_of_many_calls_twelve_are_failed_the_first_and_the_last_among_them(count, expected):
    assert cases.spread(count) == expected


@pytest.fixture
def every():
    return [Case(f"kind {i % 2}", "cache", str(i), lambda: Outcome("whole")) for i in range(20)]


def test_a_sample_has_as_many_of_each_kind_in_their_order(every):
    some = cases.sample(every, 3, seed=1)
    assert [case.kind for case in some].count("kind 0") == [case.kind for case in some].count("kind 1") == 3
    assert [int(case.name) for case in some] == sorted(int(case.name) for case in some)
    assert some == cases.sample(every, 3, seed=1) != cases.sample(every, 3, seed=2)


def test_all_are_chosen_where_there_is_no_limit_or_a_larger_one(every):
    assert cases.sample(every, None, seed=1) == cases.sample(every, 100, seed=1) == every


@pytest.fixture
def trials():
    """What a case asks of its trials is what it gives."""

    def asked(name):
        return lambda *arguments: (name, *arguments)

    faults = {name: asked(name) for name in ("harm", "fail_call", "kill", "cut_power", "fail_reading")}
    return SimpleNamespace(subject=SimpleNamespace(name="notes"), **faults)


def test_every_call_that_changes_the_disk_is_failed_with_each_error(trials):
    run = ("first run", None, "old")
    found = list(cases.call_cases(trials, run, Counter(write=13, read=100), {"write"}))
    assert len(found) == (13 + 12) * 4
    assert found[1].title == "notes: calls of a run failed: first run, write 1 of 13, EIO"
    assert found[1].attempt() == ("fail_call", ["write"], 1, errno.EIO, None, "old")


def test_a_run_is_killed_before_each_change_and_the_power_cut_also_after_all(trials):
    found = list(cases.kill_cases(trials, ("run with changes", "old", "new"), 2))
    assert [case.name for case in found if case.kind == "killed"] == [
        "run with changes, before change 1 of 2",
        "run with changes, before change 2 of 2",
    ]
    cuts = [case for case in found if case.kind == "power cut"]
    assert len(cuts) == 3 * 3
    assert cuts[-1].name == "run with changes, after all, removals kept"
    assert cuts[-1].attempt() == ("cut_power", 3, "old", "new", "removals kept")


def test_calls_of_a_reader_fail_at_their_turn(trials):
    calls = [SimpleNamespace(name=name) for name in ("openat", "read", "read")]
    trials.calls_of_reading = lambda reading: calls
    found = list(cases.reading_cases(trials, "open"))
    assert [case.name for case in found[::4]] == [
        f"open, {call}, EIO" for call in ("openat 1 of 1", "read 1 of 2", "read 2 of 2")
    ]
    assert found[-1].attempt() == ("fail_reading", "open", ["read"], 2, errno.EMFILE)
