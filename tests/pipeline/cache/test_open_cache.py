"""Rows one by one are what `presize` made of the pictures."""

import numpy as np
import pytest
from PIL import Image

from onewarp.errors import UsageError
from onewarp.pipeline import Cache, presize


@pytest.fixture
def stored(pictures, tmp_path):
    presize(pictures, tmp_path / "cache", 24, label="parent", split="random:0.25:1", encoding="raw")
    return Cache.open(tmp_path / "cache")


def test_a_row_is_found_by_its_key(stored, pictures):
    row = stored["cat/0.png"]
    with Image.open(pictures / "cat/0.png") as image:
        assert (row.pixels == np.asarray(image)).all()  # it is 24 pixels high, and so stays as it is
    assert (row.key, row.label, row.places) == ("cat/0.png", "cat", {})
    assert row.split in stored.splits
    assert row.matrix.tolist() == np.eye(3).tolist()
    with pytest.raises(UsageError, match="'bird'"):
        stored["bird"]


def test_splits_have_the_rows_that_say_so(stored):
    for split in stored.splits:
        assert {stored.columns(int(row))["split"] for row in stored.rows(split)} == {split}
    assert stored.rows().tolist() == list(range(12))


def test_labels_have_names(stored):
    assert stored.vocab == ["cat", "dog"]
    assert (stored.names(1), stored.names([1, 0]), stored.names(None)) == ("dog", ["dog", "cat"], None)
    assert stored.masks == []


def test_the_table_is_what_the_columns_say(stored):
    table = stored.index
    assert table.num_rows == len(stored) == 12
    for row, values in enumerate(table.to_pylist()):
        columns = stored.columns(row)
        assert (values["key"], values["label"]) == (columns["key"], columns["label"])
