from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.errors import CacheError
from onewarp.pipeline.cache.pages import value_offsets


def _write(path: Path, table: pa.Table, **options: object) -> None:
    settings = {"compression": "NONE", "use_dictionary": False, "row_group_size": 7}
    pq.write_table(table, path, **{**settings, **options})


def _found(path: Path, values: list[bytes], column: int = 1) -> list[bytes]:
    """Each value, read at the offset that was found for it."""
    data, found, first = path.read_bytes(), [], 0
    with open(path, "rb") as file:
        for group in range(pq.read_metadata(path).num_row_groups):
            count = pq.read_metadata(path).row_group(group).num_rows
            lengths = np.array([len(value) for value in values[first : first + count]], np.int64)
            offsets = value_offsets(file, group, column, lengths)
            found += [data[o : o + n] for o, n in zip(offsets.tolist(), lengths.tolist(), strict=True)]
            first += count
    return found


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.binary(max_size=200), min_size=1, max_size=40),
    st.sampled_from(["1.0", "2.0"]),
    st.booleans(),
    st.sampled_from([64, 1 << 20]),
)
def test_every_value_lies_at_its_offset(tmp_path_factory, values, version, nullable, page_size):
    """Pages of both versions, one or many to a row group, with and without levels."""
    path = tmp_path_factory.mktemp("pages") / "a.parquet"
    schema = pa.schema([pa.field("i", pa.int32()), pa.field("v", pa.binary(), nullable=nullable)])
    table = pa.table([pa.array(range(len(values)), pa.int32()), pa.array(values, pa.binary())], schema=schema)
    _write(path, table, data_page_version=version, data_page_size=page_size, write_batch_size=3)
    assert _found(path, values) == values


def test_fixed_size_values_and_values_inside_a_structure(tmp_path):
    values = [bytes([i] * 10) for i in range(20)]
    fixed = pa.table({"i": range(20), "v": pa.array(values, pa.binary(10))})
    _write(tmp_path / "fixed.parquet", fixed)
    assert _found(tmp_path / "fixed.parquet", values) == values
    inside = pa.table({"i": range(20), "s": pa.array([{"bytes": value, "path": "x"} for value in values])})
    _write(tmp_path / "inside.parquet", inside)
    assert _found(tmp_path / "inside.parquet", values) == values


@pytest.mark.parametrize("options", [{"compression": "zstd"}, {"use_dictionary": True}])
def test_columns_that_are_stored_in_another_way_are_refused(tmp_path, options):
    values = [b"a" * 50] * 20
    _write(tmp_path / "a.parquet", pa.table({"i": range(20), "v": values}), **options)
    with pytest.raises(CacheError, match="uncompressed and without dictionary"):
        _found(tmp_path / "a.parquet", values)


def test_lengths_that_are_not_those_of_the_file_are_refused(tmp_path):
    _write(tmp_path / "a.parquet", pa.table({"i": [1, 2], "v": [b"abc", b"de"]}))
    with pytest.raises(CacheError, match="bytes, expected"):
        _found(tmp_path / "a.parquet", [b"abc", b"def"])
