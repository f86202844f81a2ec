import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onewarp.pipeline.cache.selection import Selection


@given(
    st.lists(st.integers(0, 1500), max_size=5),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0]),
)
def test_a_selection_reads_like_the_list_of_its_rows(lengths, seed, share):
    random = np.random.default_rng(seed)
    pieces = [random.random(length) < share for length in lengths]
    rows = np.flatnonzero(np.concatenate([np.empty(0, bool), *pieces]))
    selection = Selection(pieces)
    assert len(selection) == len(rows)
    order = random.permutation(len(rows))
    assert np.array_equal(selection[order], rows[order])
    assert np.array_equal(selection.rows(), rows)
    for i in order[:20].tolist():
        assert selection.index(int(rows[i])) == i


def test_a_selection_is_small():
    selection = Selection(np.ones(1_000_000, bool) for _ in range(4))
    assert selection._bits.nbytes + selection._ends.nbytes < 4_000_000 / 4 * 0.6
