"""Tensors as columns of Arrow: which types they have there, and arrays that share their memory."""

import pyarrow as pa
import torch
from torch import Tensor

ARROW_TYPES = {
    torch.float32: pa.float32(),
    torch.float64: pa.float64(),
    torch.uint8: pa.uint8(),
    torch.int64: pa.int64(),
    torch.int32: pa.int32(),
    torch.bool: pa.bool_(),
    torch.bfloat16: pa.uint16(),
}
"""What the numbers of tensors are in Arrow, which has no bfloat16: that is sent as its 16 bits."""


def bits_of(values: Tensor) -> Tensor:
    """A tensor as Arrow can hold it, in the same memory: of bfloat16 its 16 bits."""
    return values.view(torch.uint16) if values.dtype == torch.bfloat16 else values


def tensor_array(values: Tensor, kind: pa.DataType, missing: pa.Array | None = None) -> pa.Array:
    """A batch of tensors `[N, ...]` as a column of N: fixed-shape tensors or fixed lists, as the type `kind` says.

    The column shares the tensor's memory where that is contiguous, but of bool, which Arrow packs. `missing` says which
    of them are null.
    """
    storage = kind.storage_type if isinstance(kind, pa.FixedShapeTensorType) else kind
    flat = bits_of(values.contiguous())
    if values.dtype == torch.bool:
        numbers = pa.array(flat.flatten().numpy())
    else:
        numbers = pa.Array.from_buffers(storage.value_type, flat.numel(), [None, pa.py_buffer(flat.numpy())])
    lists = pa.FixedSizeListArray.from_arrays(numbers, type=storage, mask=missing)
    return pa.ExtensionArray.from_storage(kind, lists) if isinstance(kind, pa.FixedShapeTensorType) else lists
