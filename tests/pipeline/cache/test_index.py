"""The index in a file: opened without reading its rows, which are compared with their checksums when they are read."""

import numpy as np
import pyarrow as pa
import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.checksums import BLOCK, block_checksums
from onewarp.pipeline.cache.index import Index, fitting, open_index

ROWS = BLOCK // 2
"""Of eight bytes: four blocks of numbers."""


def write(path, table):
    """The footer's entry of an index that is written to `path`."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    data = sink.getvalue().to_pybytes()
    path.write_bytes(data)
    return {"bytes": len(data), "checksums": block_checksums(data)}


@pytest.fixture
def table():
    """Numbers, texts of which one is missing, and lists."""
    texts = pa.array(["a", None, "c", "dé"])
    lists = pa.array([[1.0, 2.0], [], [3.0], [4.0]], pa.list_(pa.float32()))
    return pa.table({"n": pa.array([5, 6, 7, 8], pa.int64()), "split": texts, "points": lists})


@pytest.mark.parametrize("way", ["memory", "file"])
def test_rows_are_those_of_the_table(tmp_path, table, way):
    if way == "memory":
        index = Index(table)
    else:
        index = open_index(tmp_path / "i", write(tmp_path / "i", table), 4, table.schema, {})
    assert (len(index), index.names) == (4, ["n", "split", "points"])
    assert index["n"][np.array([3, 0])].tolist() == [8, 5]
    assert [index.nulls(name) for name in index.names] == [0, 1, 0]
    assert [index.row(row) for row in range(4)] == table.to_pylist()
    assert index.table().equals(table)
    assert index.take(np.array([2, 2, 1])).table().to_pylist() == table.take([2, 2, 1]).to_pylist()
    assert list(index.damages()) == []


def test_a_damaged_block_does_no_harm_until_a_row_of_it_is_read(tmp_path):
    table = pa.table({"n": pa.array(np.arange(ROWS), pa.int64())})
    path = tmp_path / "i"
    entry = write(path, table)
    data = bytearray(path.read_bytes())
    data[2 * BLOCK + 8] ^= 1
    path.write_bytes(data)
    index = open_index(path, entry, ROWS, table.schema, {})
    assert index["n"][np.array([0, ROWS - 1])].tolist() == [0, ROWS - 1]
    for read in (lambda: index.row(2 * BLOCK // 8 + 5), index.table, lambda: index.take(np.array([0]))):
        with pytest.raises(CacheError, match=r"the checksum of block 2 \(n\) is not that of the cache"):
            read()
    assert len(list(index.damages())) == 1


def test_a_value_that_cannot_be_is_refused(tmp_path, table):
    entry, tests = write(tmp_path / "i", table), {"n": lambda values: values > 7}
    index = open_index(tmp_path / "i", entry, 4, table.schema, tests)
    with pytest.raises(CacheError, match="value 3 of its column n cannot be 8"):
        index["n"][np.array([0])]
    with pytest.raises(CacheError, match="value 3 of its column n cannot be 8"):
        Index(table, tests)


@pytest.mark.parametrize("data", [b"", b"no index", b"ARROW1\0\0" * 9], ids=str)
def test_what_is_no_index_is_refused(tmp_path, table, data):
    (tmp_path / "i").write_bytes(data)
    entry = {"bytes": len(data), "checksums": block_checksums(data) or [0]}
    with pytest.raises(CacheError, match=f"{tmp_path / 'i'} is (no index of a cache|damaged)") as caught:
        open_index(tmp_path / "i", entry, 4, table.schema, {})
    assert "\n" not in str(caught.value)


def test_columns_must_be_there_once_and_of_their_type_and_others_are_left_out(tmp_path, table):
    schema = table.schema
    for other, reason in (
        (table.slice(1), "has 3 rows, and the cache says 4: run presize again"),
        (table.drop_columns("n"), "must have a column n of int64, but it is missing"),
        (table.append_column("n", table["n"]), "must have a column n of int64, but it is int64, int64"),
        (table.set_column(0, "n", table["n"].cast(pa.int32())), "must have a column n of int64, but it is int32"),
        (
            table.set_column(1, "split", table["split"].cast(pa.large_string())),
            "split of string, but it is large_string",
        ),
    ):
        with pytest.raises(CacheError, match=f"i {reason}|i must have a column {reason}"):
            fitting(other, 4, schema, tmp_path / "i")
    later = table.append_column("later", table["n"])
    assert fitting(later, 4, schema, tmp_path / "i").equals(table)
    renamed = pa.schema([*list(schema)[:2], pa.field("points", pa.list_(pa.field("element", pa.float32())))])
    assert fitting(table, 4, renamed, tmp_path / "i").equals(table)  # whatever the elements of lists are called
