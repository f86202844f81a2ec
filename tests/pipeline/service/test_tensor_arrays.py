"""Tensors as columns of Arrow: in the same memory, of every type that is sent, with nulls where there is none."""

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.pipeline.service.tensor_arrays import ARROW_TYPES, tensor_array


@given(st.integers(0, 4), st.integers(1, 5))
def test_tensors_share_their_memory(count, side):
    values = torch.arange(count * 3 * side * side, dtype=torch.float32).reshape(count, 3, side, side)
    kind = pa.fixed_shape_tensor(pa.float32(), (3, side, side))
    array = tensor_array(values, kind)
    assert array.type == kind
    assert array.to_numpy_ndarray().tolist() == values.tolist()
    assert not count or array.storage.values.buffers()[1].address == values.data_ptr()


@pytest.mark.parametrize("dtype", ARROW_TYPES, ids=str)
def test_each_type_comes_back_with_its_bits_and_its_gaps(dtype):
    values = torch.tensor([[0, 1], [1, 1], [1, 0]], dtype=torch.float64).to(dtype)
    kind = pa.fixed_shape_tensor(ARROW_TYPES[dtype], [2])
    array = tensor_array(values, kind, pa.array([False, True, False]))
    array.validate(full=True)
    assert (array.type, array.is_valid().to_pylist()) == (kind, [True, False, True])
    bits = values.view(torch.uint16) if dtype == torch.bfloat16 else values
    assert [array.storage[0].as_py(), array.storage[2].as_py()] == [bits[0].tolist(), bits[2].tolist()]


def test_a_list_of_numbers_is_no_tensor_where_the_column_is_of_lists():
    kind = pa.list_(pa.float64(), 2)
    array = tensor_array(torch.tensor([[0.0, 1.5]], dtype=torch.float64), kind)
    assert (array.type, array.to_pylist()) == (kind, [[0.0, 1.5]])
