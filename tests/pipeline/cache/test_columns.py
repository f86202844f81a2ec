import random

import numpy as np
import pyarrow as pa
import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.columns import Column, piece_of


def several(draws, value, most):
    return [value() for _ in range(draws.randint(0, most))]


VALUES = {
    pa.int64(): lambda draws: draws.randint(-5, 5),
    pa.string(): lambda draws: draws.choice([None, "", "a", "é𝄞", "longer"]),
    pa.list_(pa.int64()): lambda draws: several(draws, lambda: draws.randint(0, 9), 3),
    pa.list_(pa.list_(pa.float32(), 2)): lambda draws: several(draws, lambda: [draws.randint(0, 9) / 4, 1.0], 3),
    pa.list_(pa.float64(), 3): lambda draws: [draws.random() for _ in range(3)],
}


def plain(values):
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in values.tolist()]


@pytest.mark.parametrize("kind", VALUES, ids=str)
@pytest.mark.parametrize("seed", range(20))
def test_a_column_reads_as_arrow_does(kind, seed):
    """Of several record batches, of which each may be a slice of more."""
    draws = random.Random(seed)
    chunks = [several(draws, lambda: VALUES[kind](draws), 6) for _ in range(draws.randint(1, 4))]
    arrays = [pa.array(chunk, kind).slice(draws.randint(0, 3)) for chunk in chunks]
    whole, column = pa.chunked_array(arrays, kind), Column([piece_of("x", array) for array in arrays])
    rows = np.array([draws.randrange(len(whole)) for _ in range(9)] if len(whole) else [], np.int64)
    assert plain(column[rows]) == whole.take(pa.array(rows)).to_pylist()
    assert column.to_arrow().to_pylist() == whole.to_pylist()
    for value in (-1, 0, 3) if kind == pa.int64() else ():
        assert column.where(value).tolist() == [i for i, one in enumerate(whole.to_pylist()) if one == value]


@pytest.mark.parametrize("offsets", [[0, 4, 2], [0, 3, 2**31 - 1], [-1, 1, 2], [0, 2**20, 2**20], [2, 1, 3]])
@pytest.mark.parametrize("kind", [pa.string(), pa.list_(pa.int8())], ids=str)
def test_offsets_that_lead_elsewhere_are_refused_before_they_are_followed(offsets, kind):
    there = np.array([0, 1, 2], np.int32)
    buffers = [None, pa.py_buffer(there)]
    if kind == pa.string():
        array = pa.Array.from_buffers(kind, 2, [*buffers, pa.py_buffer(b"abc")])
    else:
        array = pa.Array.from_buffers(kind, 2, buffers, children=[pa.array([1, 2, 3], pa.int8())])
    there[:] = offsets  # Arrow looks at some of them, when an array is made
    with pytest.raises(CacheError, match="column x"):
        Column([piece_of("x", array)])[np.array([0, 1])]


def test_text_that_is_no_utf8_is_refused():
    buffers = [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff!")]
    with pytest.raises(CacheError, match=r"row 0 .* x that is no UTF-8"):
        Column([piece_of("x", pa.Array.from_buffers(pa.string(), 1, buffers))])[np.array([0])]
