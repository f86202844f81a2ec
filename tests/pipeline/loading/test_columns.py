import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.pipeline.loading.columns import Column


@given(st.lists(st.lists(st.integers(-5, 5), max_size=6), max_size=5), st.data())
def test_a_column_reads_like_an_array(chunks, data):
    whole = np.array([value for chunk in chunks for value in chunk], np.int64)
    column = Column(pa.chunked_array(chunks, pa.int64()))
    rows = np.array(data.draw(st.lists(st.integers(0, len(whole) - 1))) if len(whole) else [], np.int64)
    assert np.array_equal(column[rows], whole[rows])
    for value in range(-5, 6):
        assert np.array_equal(column.where(value), np.flatnonzero(whole == value))


@pytest.mark.parametrize("cuts", [[4], [1, 3], [0, 2, 4]])
def test_lists_of_fixed_length_are_rows(cuts):
    values = np.arange(12.0).reshape(4, 3)
    array = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 3)
    pieces = [array.slice(a, b - a) for a, b in zip([0, *cuts], [*cuts, 4], strict=True)]
    column = Column(pa.chunked_array(pieces, array.type))
    assert np.array_equal(column[np.array([3, 0])], values[[3, 0]])
    assert column[np.array([], np.int64)].shape == (0, 3)


def test_numbers_are_not_copied():
    array = pa.array(np.arange(1000))
    column = Column(pa.chunked_array([array]))
    assert column._chunks[0].ctypes.data == array.buffers()[1].address
