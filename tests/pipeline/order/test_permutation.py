import itertools
from collections import Counter
from math import factorial, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.pipeline.order.permutation import permute

seeds = st.integers(-(2**70), 2**70)
epochs = st.integers(0, 10**6)


def z_score(counts, expected):
    """By how many of its standard deviations chi-square exceeds its mean."""
    counts = np.asarray(counts, float)
    freedom = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / sqrt(2 * freedom)


@given(n=st.integers(1, 5000), seed=seeds, epoch=epochs)
def test_every_row_comes_once(n, seed, epoch):
    assert np.array_equal(np.sort(permute(np.arange(n), n, seed, epoch)), np.arange(n))


@pytest.mark.parametrize("n", [*range(1, 40), 255, 256, 257, 258, 2**16 - 1, 2**16, 2**16 + 1])
def test_every_row_comes_once_at_the_edges(n):
    assert np.array_equal(np.sort(permute(np.arange(n), n, 5, 6)), np.arange(n))


@given(n=st.integers(257, 2**62), seed=seeds, epoch=epochs, data=st.data())
@settings(max_examples=50)
def test_access_is_random_and_injective_up_to_huge_n(n, seed, epoch, data):
    positions = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=50, unique=True))
    together = permute(positions, n, seed, epoch)
    assert ((together >= 0) & (together < n)).all()
    assert len(set(together.tolist())) == len(positions)
    assert np.array_equal(together, np.concatenate([permute([p], n, seed, epoch) for p in positions]))


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_every_permutation_of_a_few_rows_is_as_likely(n):
    counts = Counter(tuple(permute(np.arange(n), n, 0, epoch).tolist()) for epoch in range(10_000))
    every = [counts[p] for p in itertools.permutations(range(n))]
    assert abs(z_score(every, 10_000 / factorial(n))) < 4


@pytest.mark.parametrize("n", [100, 300, 1000])
def test_every_row_is_as_likely_at_every_position(n):
    orders = np.stack([permute(np.arange(n), n, seed, 0) for seed in range(1000)])
    counts = np.stack([np.bincount(orders[:, position], minlength=n) for position in range(n)])
    assert abs(z_score(counts, 1000 / n)) < 4
    steps = np.diff(orders, axis=1) % n
    assert abs(z_score(np.bincount(steps.ravel(), minlength=n)[1:], steps.size / (n - 1))) < 4


def test_epochs_and_seeds_are_independent():
    n = 2000
    a, b, c = permute(np.arange(n), n, 0, 0), permute(np.arange(n), n, 0, 1), permute(np.arange(n), n, 1, 0)
    for other in (b, c):
        assert np.sum(a == other) < 10  # one is expected
        assert abs(np.corrcoef(a, other)[0, 1]) < 4 / sqrt(n)


def test_an_order_is_written_in_stone():
    assert permute(np.arange(8), 8, 42, 3).tolist() == [3, 4, 5, 6, 1, 0, 2, 7]
    assert permute(np.arange(4), 10**6, 42, 3).tolist() == [180409, 878277, 680897, 931541]


@pytest.mark.parametrize("positions", [[-1], [10], [0, 11]])
def test_a_position_outside_is_refused(positions):
    with pytest.raises(UsageError, match=r"0\.\.9"):
        permute(positions, 10, 0, 0)
