"""The targets of rows: numbers and shapes out of the index, masks out of the part files."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from onewarp.errors import CacheError, DamagedRowError
from onewarp.pipeline.cache.checksums import checksum
from onewarp.pipeline.cache.encodings import encode_mask
from onewarp.pipeline.cache.files import ReadFiles
from onewarp.pipeline.cache.index import Index
from onewarp.pipeline.cache.row_store import RowStore
from onewarp.pipeline.loading.cache_targets import CacheTargets

MASKS = [np.full((2, 3), number) for number in (1, 200, 40_000)]


@pytest.fixture
def store(tmp_path):
    """store(columns): three rows of these columns, each with a mask in one file."""
    data = [encode_mask(mask) for mask in MASKS]
    path = tmp_path / "part-0.bin"
    path.write_bytes(b"head" + b"".join(data))

    def make(**columns):
        columns = {name: pa.array(*column) for name, column in columns.items()}
        table = pa.table(
            {
                "key": [f"{i}.png" for i in range(3)],
                "part": pa.array([0, 0, 0], pa.int32()),
                "mask_offset": 4 + np.cumsum([0, *map(len, data)])[:3],
                "mask_length": [len(file) for file in data],
                "mask_checksum": pa.array([checksum(file) for file in data], pa.uint32()),
                **columns,
            }
        )
        return RowStore(Index(table), ReadFiles([path]), "raw", None)

    make.path = path
    return make


def read(store, kind, rows, vocab=None, name="label", verify=True):
    described = {name: {"name": name, "kind": kind, "vocab": vocab}}
    targets = CacheTargets(store, described, store.bytes_of, verify)[np.array(rows)]
    assert list(targets) == [name]
    assert targets[name].kind == kind
    return targets[name].values


def test_a_class_is_a_number(store):
    values = read(store(label=([2, 0, 1], pa.int64())), "category", [2, 0])
    assert (values.dtype, values.tolist()) == (torch.int64, [1, 2])


def test_lists_of_labels_are_zeros_and_ones(store):
    column = ([[0, 1], [], [1]], pa.list_(pa.int64()))
    values = read(store(label=column), "multicategory", [2, 0, 1], vocab=["cat", "dog"])
    assert (values.dtype, values.tolist()) == (torch.float32, [[0, 1], [1, 1], [0, 0]])


@pytest.mark.parametrize("kind", ["category", "points"])
def test_rows_without_a_label_are_refused(store, kind):
    with pytest.raises(CacheError, match="1 rows of the cache have no label: presize again with one for all"):
        read(store(label=([0, None, 1], pa.int64())), kind, [0])


@pytest.mark.parametrize(("kind", "width"), [("points", 2), ("boxes", 4)])
def test_shapes_are_lists_of_tensors_of_their_own(store, kind, width):
    shapes = [[[1.0] * width, [2.0] * width], [], [[3.0] * width]]
    rows = store(label=(shapes, pa.list_(pa.list_(pa.float32(), width))))
    values = read(rows, kind, [2, 1, 0])
    assert [tuple(value.shape) for value in values] == [(1, width), (0, width), (2, width)]
    values[0].zero_()
    assert read(rows, kind, [2])[0].tolist() == [[3.0] * width]


def test_masks_are_read_from_their_files_and_held_against_their_checksums(store):
    values = read(store(), "mask", [2, 0, 1], name="mask")
    assert [int(value.unique()) for value in values] == [40_000, 1, 200]
    assert [value.dtype for value in values] == [torch.int32] * 3
    data = bytearray(store.path.read_bytes())
    data[-5] ^= 1  # behind the pixels of the last mask: only its checksum tells
    store.path.write_bytes(data)
    with pytest.raises(DamagedRowError, match=r"row '2\.png' \(number 2 in part-0\.bin\) .* the checksum of its mask"):
        read(store(), "mask", [0, 2], name="mask")
    assert int(read(store(), "mask", [1], name="mask")[0].max()) == 200


def test_masks_of_one_batch_have_one_dtype(store):
    masks = read(store(), "mask", [0, 1], name="mask")
    assert [mask.dtype for mask in masks] == [torch.uint8] * 2
    masks = read(store(), "mask", [0, 2], name="mask")
    assert [mask.dtype for mask in masks] == [torch.int32] * 2
    assert [int(mask.max()) for mask in masks] == [1, 40_000]
