"""Bytes of rows as Arrow arrays, and back: no copy where views are wanted, no read outside of a buffer."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.pipeline.loading.cache_rows import StoredBytes
from onewarp.pipeline.service.byte_arrays import bytes_of, plain_array, view_array

DATA = np.random.default_rng(0).integers(0, 256, 4000, np.uint8)


@st.composite
def places(draw):
    lengths = draw(st.lists(st.integers(0, 90), max_size=12))
    return StoredBytes(
        DATA,
        np.array([draw(st.integers(0, len(DATA) - length)) for length in lengths], np.int64),
        np.array(lengths, np.int64),
    )


@given(places())
def test_both_kinds_of_arrays_hold_the_bytes_of_the_rows(stored):
    expected = [stored.row(i).tobytes() for i in range(len(stored.starts))]
    for array, kind in ((view_array(stored), pa.binary_view()), (plain_array(stored), pa.binary())):
        array.validate(full=True)
        assert array.type == kind
        assert array.to_pylist() == expected
        assert [found.tobytes() for found in bytes_of(array)] == expected
        assert [found.tobytes() for found in bytes_of(array[1:])] == expected[1:]


@given(places())
def test_what_is_sent_of_an_array_is_what_was_put_in(stored):
    expected = [stored.row(i).tobytes() for i in range(len(stored.starts))]
    batch = pa.record_batch([view_array(stored)], ["image"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    with pa.ipc.open_stream(sink.getvalue()) as reader:
        (received,) = reader
    assert [found.tobytes() for found in bytes_of(received.column(0))] == expected


def test_rows_side_by_side_share_a_buffer_and_others_are_sent_alone():
    array = view_array(StoredBytes(DATA, np.array([0, 104, 3000, 2000]), np.array([100, 100, 50, 50])))
    sizes = [buffer.size for buffer in array.buffers()[2:]]
    assert sizes == [204, 50, 50]
    assert array.buffers()[2].address == DATA.ctypes.data


@pytest.mark.parametrize(
    "views",
    [
        {"length": -1},
        {"length": 20, "buffer": 1},
        {"length": 20, "buffer": -1},
        {"length": 20, "offset": 81},
        {"length": 20, "offset": -1},
        {"length": 2**31 - 1},
    ],
)
def test_a_view_outside_of_its_buffer_is_refused(views):
    view = np.zeros(1, [("length", "<i4"), ("prefix", "V4"), ("buffer", "<i4"), ("offset", "<i4")])
    for name, value in views.items():
        view[name] = value
    array = pa.Array.from_buffers(pa.binary_view(), 1, [None, pa.py_buffer(view), pa.py_buffer(DATA[:100])])
    with pytest.raises(ValueError, match="outside"):
        bytes_of(array)


@pytest.mark.parametrize("ends", [[0, 101], [5, 3], [-1, 3]])
def test_an_offset_outside_of_its_buffer_is_refused(ends):
    buffers = [None, pa.py_buffer(np.array(ends, np.int32)), pa.py_buffer(DATA[:100])]
    with pytest.raises(ValueError, match=r"outside|offset"):
        bytes_of(pa.Array.from_buffers(pa.binary(), 1, buffers))


def test_an_array_that_is_too_short_or_of_another_type_is_refused():
    buffers = [None, pa.py_buffer(np.zeros(1, np.int32)), pa.py_buffer(DATA[:100])]
    with pytest.raises(ValueError, match=r"shorter|too small"):
        bytes_of(pa.Array.from_buffers(pa.binary(), 4, buffers))
    with pytest.raises(ValueError, match="it is string"):
        bytes_of(pa.array(["a"]))
    with pytest.raises(ValueError, match="missing"):
        bytes_of(pa.array([b"a", None]))
