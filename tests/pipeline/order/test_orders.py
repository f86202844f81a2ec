import itertools
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.pipeline.order.orders import (
    FunctionOrder,
    ListOrder,
    Order,
    Sequential,
    Shuffled,
    Stream,
    Subset,
    Weighted,
    as_order,
    balanced,
)

seeds = st.integers(-(2**70), 2**70)


def z_score(counts, expected):
    """By how many of its standard deviations chi-square exceeds its mean."""
    counts = np.asarray(counts, float)
    freedom = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / sqrt(2 * freedom)


@given(weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=60).filter(lambda w: sum(w) > 1e-3), seed=seeds)
def test_weighted_counts_and_repeats(weights, seed):
    order = Weighted(weights, size=500)
    picks = order.at(np.arange(500), seed, 1)
    expected = 500 * np.array(weights) / sum(weights)
    counts = np.bincount(picks.rows, minlength=len(weights))
    assert (np.abs(counts - expected) < 2 + 1e-6).all()
    for row in np.unique(picks.rows):
        assert sorted(picks.repeats[picks.rows == row].tolist()) == list(range(counts[row]))


def test_weighted_is_unbiased_for_rare_rows():
    order = Weighted([1.0] * 7 + [0.5] * 6, size=5)
    rows = np.concatenate([order.at(np.arange(5), 0, epoch).rows for epoch in range(4000)])
    counts = np.bincount(rows, minlength=13)
    assert abs(z_score(counts[:7], 2000)) < 4
    assert abs(z_score(counts[7:], 1000)) < 4


def test_weighted_is_random_access():
    order = Weighted(np.arange(100), size=77)
    together = order.at(np.arange(77), 3, 4)
    alone = [order.at(np.array([p]), 3, 4) for p in range(77)]
    assert together.rows.tolist() == [picks.rows[0] for picks in alone]
    assert together.repeats.tolist() == [picks.repeats[0] for picks in alone]


def test_balanced_classes_come_equally_often():
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    rows = balanced(labels).at(np.arange(1000), 0, 0).rows
    assert np.abs(np.bincount(labels[rows]) - 1000 / 3).max() < 3


@pytest.mark.parametrize("weights", [[], [0, 0], [-1, 2], [np.nan, 1], [np.inf]])
def test_bad_weights_are_refused(weights):
    with pytest.raises(UsageError, match="weights must be"):
        Weighted(weights)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_given_counts_repeats(rows):
    picks = ListOrder(rows).at(np.arange(len(rows)), 0, 0)
    assert picks.rows.tolist() == rows
    assert picks.repeats.tolist() == [rows[:i].count(row) for i, row in enumerate(rows)]


def test_a_subset_is_shuffled_and_complete():
    order = Subset([9, 4, 7, 1])
    epochs = [order.at(np.arange(4), 0, epoch).rows.tolist() for epoch in range(5)]
    assert all(sorted(rows) == [1, 4, 7, 9] for rows in epochs)
    assert len({tuple(rows) for rows in epochs}) > 1
    assert Subset([9, 4], shuffle=False).at(np.arange(2), 0, 0).rows.tolist() == [9, 4]


def test_a_stream_counts_repeats_over_chunks():
    picks = list(itertools.islice(Stream(itertools.cycle([3, 4])).chunks(3), 2))
    assert [p.rows.tolist() for p in picks] == [[3, 4, 3], [4, 3, 4]]
    assert [p.repeats.tolist() for p in picks] == [[0, 0, 1], [1, 2, 2]]
    assert [p.rows.tolist() for p in Stream([1, 2, 3]).chunks(2)] == [[1, 2], [3]]


def test_what_indices_may_be():
    assert as_order(None, 5, shuffle=True) == Shuffled(5)
    assert as_order(None, 5, shuffle=False) == Sequential(5)
    assert isinstance(as_order(range(3), 5, shuffle=True), ListOrder)
    assert isinstance(as_order(np.array([1]), 5, shuffle=True), ListOrder)
    assert isinstance(as_order(itertools.repeat(1), 5, shuffle=True), Stream)
    endless = as_order(lambda positions: positions % 2, 5, shuffle=True)
    assert isinstance(endless, FunctionOrder)
    assert isinstance(endless, Order)
    assert endless.at(np.array([4, 5]), 0, 0).rows.tolist() == [0, 1]
    with pytest.raises(UsageError, match="indices must be"):
        as_order(5, 5, shuffle=True)
    with pytest.raises(UsageError, match="must be integers"):
        as_order([0.5], 5, shuffle=True)
