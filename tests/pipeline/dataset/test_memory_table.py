"""A table in memory: of pandas, polars or Arrow, or whatever has its methods."""

import pickle

import pandas as pd
import pyarrow as pa
import pytest

from onewarp.errors import SourceError
from onewarp.pipeline.dataset.memory_table import MemorySource, rows_in_memory

COLUMNS = {"image": ["a.png", "b.png", "a.png"], "y": [1, 2, 3]}
ROWS = tuple({"image": image, "y": y} for image, y in zip(*COLUMNS.values(), strict=True))


class Polars:
    """A table with the two names by which a data frame of polars is known."""

    columns = tuple(COLUMNS)

    def to_dicts(self):
        return list(ROWS)


@pytest.mark.parametrize(
    "table", [pd.DataFrame(COLUMNS), pa.table(COLUMNS), Polars()], ids=["pandas", "arrow", "polars"]
)
def test_a_table_is_its_rows_in_order(table):
    assert rows_in_memory(table) == ROWS


@pytest.mark.parametrize("other", [list(ROWS), {"a": 1}, "t.csv", None, 7])
def test_what_is_no_table_is_none(other):
    assert rows_in_memory(other) is None


def test_two_columns_of_one_name_are_refused():
    for table in (
        pd.DataFrame([[1, 2]], columns=["y", "y"]),
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["y", "y"]),
    ):
        with pytest.raises(SourceError, match="columns must have names of their own, but the table has 'y' twice"):
            rows_in_memory(table)


def test_items_are_sorted_by_key_and_copies_are_numbered():
    items = MemorySource(ROWS).items()
    assert [(item.key, item.origin, item.view["y"]) for item in items] == [
        ("a.png", "a.png", 1),
        ("a.png#1", "a.png", 3),
        ("b.png", None, 2),
    ]
    assert [item.key for item in MemorySource(ROWS, key="y").items()] == ["1", "2", "3"]
    with pytest.raises(SourceError, match=r"keys must be unique, but 'a\.png' names both"):
        MemorySource(ROWS, image="image", key="image").items()
    with pytest.raises(SourceError, match="the table must hold rows, but has none"):
        MemorySource(()).items()


def test_an_image_is_a_path_or_bytes_and_a_row_without_a_path_is_called_by_its_number(tmp_path):
    (tmp_path / "a.png").write_bytes(b"of a file")
    path = str(tmp_path / "a.png")
    images = [
        path,
        b"bytes",
        bytearray(b"array"),
        {"bytes": b"hugging", "path": "x.png"},
        {"bytes": None, "path": path},
    ]
    rows = tuple({"image": image} for image in images)
    source = MemorySource(rows)
    items = source.items()
    read = {item.key: source.read(item.place) for item in items}
    assert read == {
        path: b"of a file",
        f"{path}#1": b"of a file",
        "000000001": b"bytes",
        "000000002": b"array",
        "000000003": b"hugging",
    }
    assert [item.stamp is not None for item in items] == [item.key.startswith(path) for item in items]


@pytest.mark.parametrize("nothing", [None, float("nan"), "", {"bytes": None, "path": None}])
def test_a_row_without_an_image_says_so_when_it_is_read(nothing):
    source = MemorySource(({"image": nothing},))
    (item,) = source.items()
    with pytest.raises(OSError, match="the row names no file"):
        source.read(item.place)


def test_what_is_no_image_names_its_row():
    with pytest.raises(SourceError, match="the image of a row must be a path or bytes, but row 1 has 7"):
        MemorySource(({"image": "a.png"}, {"image": 7})).items()


def test_a_worker_gets_no_rows():
    source = MemorySource(tuple({"image": b"x" * 1000} for _ in range(100)), image="image")
    data = pickle.dumps(source)
    assert len(data) < 500
    assert pickle.loads(data).read(b"bytes") == b"bytes"
    assert pickle.loads(data).where() == source.where()
