"""The names of a table's rows: each its own, and the same whatever comes beside it."""

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.errors import SourceError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.dataset.item_labels import split_items
from onewarp.pipeline.dataset.sources import Item
from onewarp.pipeline.dataset.splits import HashSplitter, RandomSplitter
from onewarp.pipeline.dataset.table_rows import image_column, keys_in, names_of_rows, read_path, with_keys
from onewarp.pipeline.dataset.tables import open_source
from onewarp.pipeline.presizing.presizer import presize


def test_keys_and_paths_that_look_like_numbers_stay_as_they_are(photos, tmp_path):
    (tmp_path / "001").write_bytes(photos["cat/0.png"])
    (tmp_path / "t.csv").write_text("path,id\n001,007\n")
    presize(tmp_path / "t.csv", tmp_path / "C", 16, image="path", key="id")
    assert Cache.open(tmp_path / "C").index.column("key").to_pylist() == ["007"]


PATHS = st.lists(
    st.sampled_from(["", "a.jpg", "b.jpg", "a.jpg#1", "c/d.jpg", "t/000000001", "é.jpg"]), min_size=1, max_size=9
)


@settings(max_examples=60, deadline=None)
@given(PATHS, st.integers(0, 8))
def test_a_row_keeps_its_key_whatever_comes_beside_it(paths, other):
    """Each row has a key of its own; what is there once is called by its path, and copies stay on one side."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"

        def items(rows):
            with path.open("w", newline="") as file:
                csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
                    [["path", "n"], *([p, n] for n, p in enumerate(rows))]
                )
            return open_source(path).items()

        before, after = items(paths), items([*paths, paths[other % len(paths)]])
        assert len({item.key for item in before}) == len(paths)
        assert {item.key for item in before} <= {item.key for item in after}
        named = {item.view["n"]: item.key for item in before}
        assert all(named[n] == p for n, p in enumerate(paths) if p and paths.count(p) == 1)
        for splitter in (HashSplitter(0.5), RandomSplitter(0.5)):
            sides = dict(zip([item.view["n"] for item in after], split_items(after, splitter), strict=True))
            for p in set(paths) - {""}:
                assert len({sides[n] for n, q in enumerate([*paths, paths[other % len(paths)]]) if q == p}) == 1


def test_copies_in_a_table_are_rows_and_an_empty_path_is_set_aside(pictures, tmp_path):
    names = ["cat/0.png", "dog/1.png", "", "cat/0.png", "dog/3.png"]
    (pictures / "t.csv").write_text("path,y\n" + "".join(f"{name},{n}\n" for n, name in enumerate(names)))
    done = presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y")
    cache = Cache.open(tmp_path / "C")
    assert cache.index.column("key").to_pylist() == ["cat/0.png", "cat/0.png#1", "dog/1.png", "dog/3.png"]
    assert [cache[key].label for key in ("cat/0.png", "cat/0.png#1")] == [0, 3]
    assert [(e.key, e.reason) for e in done.rejected] == [("t/000000002", "cannot be read: the row names no file")]
    assert cache.vocab == [0, 1, 3, 4]  # the class of the row without a photo is none


def test_the_column_of_images_is_the_one_that_is_named_or_the_first_of_a_usual_name():
    names = ["y", "path", "image", "jpg"]
    assert image_column(names, names, None, "t") == "image"
    assert image_column(names, ["path", "jpg"], None, "t") == "path"
    assert image_column(names, [], "jpg", "t") == "jpg"
    with pytest.raises(SourceError, match="image column must be one of y, path, image, jpg, but got 'photo'"):
        image_column(names, names, "photo", "t")
    with pytest.raises(
        SourceError, match=r"t must have a column of paths or bytes, but none of y, jpg has a usual name: .*image="
    ):
        image_column(["y", "jpg"], ["jpg"], None, "t")


def test_keys_are_texts_and_each_row_has_one():
    columns = {"id": [7, "x"], "n": ["a", None]}
    assert keys_in(["id", "n"], columns.__getitem__, "id") == ["7", "x"]
    with pytest.raises(SourceError, match="key column must be one of id, n, but got 'k'"):
        keys_in(["id", "n"], columns.__getitem__, "k")
    with pytest.raises(SourceError, match=r"key column 'n' must hold a key in every row, but is empty in row 1"):
        keys_in(["id", "n"], columns.__getitem__, "n")


def test_a_row_without_a_path_has_the_name_of_no_other():
    assert names_of_rows(["a//b.jpg", None, ""], "t/") == ["a/b.jpg", "t/000000001", "t/000000002"]
    assert names_of_rows([None, "t/000000000"], "t/") == ["t/000000000_", "t/000000000"]


def test_copies_know_what_they_are_copies_of():
    items = [Item(key, "", None, None) for key in ("a", "b", "a")]
    assert [(item.key, item.origin) for item in with_keys(items)] == [("a", "a"), ("b", None), ("a#1", "a")]


def test_a_row_that_names_no_file_says_so(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    assert read_path(str(tmp_path / "a")) == b"1"
    with pytest.raises(OSError, match="the row names no file"):
        read_path("")
