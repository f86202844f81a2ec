import csv
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.errors import LabelError, SourceError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.dataset.item_labels import split_items
from onewarp.pipeline.dataset.labels import ColReader
from onewarp.pipeline.dataset.splits import HashSplitter, RandomSplitter
from onewarp.pipeline.dataset.tables import open_source
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.category import label_of
from onewarp.transforms.decoding.decode import Decoding, decode_pixels
from onewarp.transforms.decoding.resizing import Sizing, resize


@pytest.fixture
def photos(pictures):
    """The bytes of four pictures by key."""
    return {key: (pictures / key).read_bytes() for key in ("cat/0.png", "cat/2.png", "dog/1.png", "dog/3.png")}


def test_a_csv_of_paths_with_labels_and_splits(pictures, tmp_path):
    rows = ["cat/0.png,tom,True", "dog/1.png,rex,False", "dog/3.png,rex,False"]
    (pictures / "list.csv").write_text("\n".join(["path,name,is_valid", *rows]) + "\n")
    done = presize(pictures / "list.csv", tmp_path / "C", 16, label="column:name", split="column:is_valid")
    assert done.rows == 3
    cache = Cache.open(tmp_path / "C")
    assert cache.index.column("key").to_pylist() == ["cat/0.png", "dog/1.png", "dog/3.png"]
    assert (cache.vocab, cache.splits) == (["rex", "tom"], {"train": 2, "valid": 1})
    assert presize(pictures / "list.csv", tmp_path / "C", 16, label="parent").copied == 3
    assert Cache.open(tmp_path / "C").vocab == ["cat", "dog"]


def test_a_column_of_bytes_and_a_column_of_keys(photos, tmp_path):
    table = pa.table({"jpg": list(photos.values()), "id": [f"id{i}" for i in range(4)], "y": [1, 0, 1, 0]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=3)
    presize(tmp_path / "t.parquet", tmp_path / "C", 16, label="column:y", image="jpg", key="id")
    cache = Cache.open(tmp_path / "C")
    assert cache.index.column("key").to_pylist() == ["id0", "id1", "id2", "id3"]
    assert [cache[f"id{i}"].label for i in range(4)] == [1, 0, 1, 0]
    small = Decoding(max_bytes=max(map(len, photos.values())))  # which the table is not
    assert presize(tmp_path / "t.parquet", tmp_path / "E", 16, image="jpg", key="id", decoding=small).rows == 4
    presize(tmp_path / "t.parquet", tmp_path / "D", 16, image="jpg")
    assert Cache.open(tmp_path / "D").index.column("key")[2].as_py() == "t/000000002"


def test_a_hugging_face_data_set_of_several_files(photos, tmp_path):
    (tmp_path / "data").mkdir()
    label = {"_type": "ClassLabel", "names": ["no", "yes"]}
    said = json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": label}}})
    for part, keys in enumerate((["cat/0.png", "cat/2.png"], ["dog/1.png", "dog/3.png"])):
        images = [{"bytes": photos[key], "path": key.split("/")[1]} for key in keys]
        table = pa.table({"image": images, "label": [part, 1 - part]})
        table = table.replace_schema_metadata({"huggingface": said})
        pq.write_table(table, tmp_path / "data" / f"train-{part}.parquet")
    presize(tmp_path / "data", tmp_path / "C", 16, label="column:label")
    cache = Cache.open(tmp_path / "C")
    assert cache.index.column("key").to_pylist() == ["0.png", "1.png", "2.png", "3.png"]
    assert [cache[f"{i}.png"].label for i in range(4)] == ["no", "yes", "yes", "no"]
    again = presize(tmp_path / "data", tmp_path / "C", 16, label="column:label")
    assert (again.decoded, again.kept) == (0, 4)


def test_a_row_without_an_image_is_set_aside(photos, tmp_path):
    table = pa.table({"image": pa.array([*list(photos.values())[:2], None], pa.binary()), "id": ["a", "b", "c"]})
    pq.write_table(table, tmp_path / "t.parquet")
    done = presize(tmp_path / "t.parquet", tmp_path / "C", 16, key="id")
    assert [(entry.key, entry.reason) for entry in done.rejected] == [("c", "cannot be read: the row holds no bytes")]
    (tmp_path / "t.csv").write_text("file,y\nnone.png,1\n" + "".join(f"pictures/{key},2\n" for key in photos))
    done = presize(tmp_path / "t.csv", tmp_path / "D", 16, label="column:y")
    assert [(entry.key, entry.reason) for entry in done.rejected] == [
        ("none.png", "cannot be read: No such file or directory")
    ]


def test_keys_and_paths_that_look_like_numbers_stay_as_they_are(photos, tmp_path):
    (tmp_path / "001").write_bytes(photos["cat/0.png"])
    (tmp_path / "t.csv").write_text("path,id\n001,007\n")
    presize(tmp_path / "t.csv", tmp_path / "C", 16, image="path", key="id")
    assert Cache.open(tmp_path / "C").index.column("key").to_pylist() == ["007"]


@pytest.mark.parametrize(
    ("text", "settings", "error", "message"),
    [
        ("a,b\n1,2\n", {}, SourceError, "must have a column of paths or bytes, but none of a, b"),
        ("a,b\n1,2\n", {"image": "c"}, SourceError, "image column must be one of a, b, but got 'c'"),
        ("path,b\nx.png,2\n", {"key": "k"}, SourceError, "key column must be one of b, but got 'k'"),
        ("path,b\nx.png,2\nx.png,3\n", {"key": "b"}, LabelError, "column must be one of b, path, but got 'y'"),
        ("path,b\nx.png,2\ny.png,2\n", {"key": "b"}, SourceError, "keys must be unique, but '2' names both"),
        ("path,b\n", {}, SourceError, "must hold rows, but has none"),
        ("", {}, SourceError, "cannot be read"),
    ],
)
def test_bad_tables_are_one_line(tmp_path, text, settings, error, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(error, match=message) as raised:
        presize(tmp_path / "t.csv", tmp_path / "C", 16, label="column:y", **settings)
    assert "\n" not in str(raised.value)


def test_a_column_that_holds_no_images(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="must hold paths or bytes, but is int64"):
        presize(tmp_path / "t.parquet", tmp_path / "C", 16, image="a")


WRITTEN = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=6) | st.sampled_from(
    [
        "007",
        "07",
        "7",
        "true",
        "True",
        "false",
        "1e5",
        "1.0",
        "1",
        "-0",
        "0",
        "nan",
        "NA",
        "None",
        "null",
        "inf",
        "2020-01-01",
    ]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(WRITTEN, min_size=1, max_size=8))
def test_labels_of_a_csv_are_what_is_written(labels):
    """No two become one, none becomes another, and what is empty is missing, among names and among numbers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerows([["path", "label"], *([f"{i}.jpg", label] for i, label in enumerate(labels))])
        rows = sorted(open_source(path).items(), key=lambda item: int(item.key.split(".")[0]))
        read = [label_of(ColReader("label")(item.view)) if item.view["label"] is not None else None for item in rows]
    numbers = any(isinstance(label, int) for label in read)
    for label, seen in zip(labels, read, strict=True):
        missing = label == "" or (numbers and label.lower() == "nan")
        assert seen is None if missing else seen == label or (isinstance(seen, int) and float(label) == seen)
    kept = {label for label, seen in zip(labels, read, strict=True) if seen is not None}
    assert len({seen for seen in read if seen is not None}) == len(kept)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["007", "07", "7"], ["007", "07", "7"]),
        (["true", "false"], ["true", "false"]),
        (["1e5", "100000"], ["1e5", "100000"]),
        (["7", "", "3"], [7, None, 3]),
        (["cat", "", "NA"], ["cat", None, "NA"]),
        (["1.5", "NaN", "2.0"], [1.5, None, 2.0]),
        (["-0.0", "0.0"], ["-0.0", "0.0"]),
        (["12345678901234567890", "1"], ["12345678901234567890", "1"]),
        (["2020-01-01", "2020-01-02"], ["2020-01-01", "2020-01-02"]),
    ],
)
def test_a_column_is_one_of_numbers_where_it_plainly_is(tmp_path, written, read):
    lines = [f"{i}.jpg,{value}" for i, value in enumerate(written)]
    (tmp_path / "t.csv").write_text("\n".join(["path,y", *lines]))
    assert [item.view["y"] for item in open_source(tmp_path / "t.csv").items()] == read


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


@pytest.mark.parametrize("feature", ["ClassLabel", "Sequence", "List", "list"])
def test_a_class_of_minus_one_is_missing_and_one_out_of_range_names_its_row(photos, tmp_path, feature):
    one = {"_type": "ClassLabel", "names": ["crane", "owl", "crane"]}
    said = {"ClassLabel": one, "list": [one]}.get(feature, {"_type": feature, "feature": one})
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": said}}})}
    labels = [0, 2, -1, 1] if feature == "ClassLabel" else [[0, 1], [], [-1], [2]]

    def write(labels):
        table = pa.table({"image": list(photos.values()), "id": ["a", "b", "c", "d"], "label": labels})
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "t.parquet")

    write(labels)
    done = presize(tmp_path / "t.parquet", tmp_path / "C", 16, key="id", label="column:label")
    assert [(entry.key, entry.reason) for entry in done.rejected] == [("c", "label: is missing")]
    cache = Cache.open(tmp_path / "C")
    seen = [cache[key].label for key in "abd"]
    assert seen == (
        ["crane #0", "crane #2", "owl"] if feature == "ClassLabel" else [["crane #0", "owl"], [], ["crane #2"]]
    )
    for wrong in (7, -100, 3):
        write([0, wrong, 1, 1] if feature == "ClassLabel" else [[0], [wrong], [1], [1]])
        with pytest.raises(
            SourceError, match=rf"classes from 0 to 2, or -1 for none, but row 1 \(from 0\) has {wrong}"
        ):
            presize(tmp_path / "t.parquet", tmp_path / "D", 16, key="id", label="column:label")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,y\n1.jpg,caf\xe9\n".encode("latin-1"), "must be UTF-8, but line 2 is not: convert it, as by `iconv"),
        ("path,caf\xe9\n".encode("latin-1"), "must be UTF-8, but line 1 is not"),
        (b"path,y,y\n1.jpg,2,3\n", "columns must have names of their own, but .* has 'y' 2 times"),
        (b"path,y\n1.jpg,2,3\n", "cannot be read: CSV parse error: Expected 2 columns, got 3"),
        ("path,y\n1.jpg,2\n".encode("utf-16"), "cannot be read|must be UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_read_as_it_is_meant(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message) as raised:
        presize(tmp_path / "t.csv", tmp_path / "C", 16)
    assert "\n" not in str(raised.value)


def test_a_table_that_was_written_anew_is_read_anew(photos, tmp_path):
    """In one process, as in a notebook: nothing of the file before is remembered."""
    for keys in (["cat/0.png", "dog/1.png"], ["dog/1.png", "cat/0.png"]):
        pq.write_table(pa.table({"image": [photos[key] for key in keys], "id": ["a", "b"]}), tmp_path / "t.parquet")
        presize(tmp_path / "t.parquet", tmp_path / "C", 16, key="id")
        cache = Cache.open(tmp_path / "C")
        for name, key in zip(("a", "b"), keys, strict=True):
            assert np.array_equal(cache[name].pixels, resize(decode_pixels(photos[key], 16), Sizing(16))[0])


def test_a_table_that_is_lost_is_named(photos, tmp_path):
    """As in a download of which parts were removed: the rows would be missing without a word."""
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"image": list(photos.values())}), tmp_path / "data" / "a.parquet")
    (tmp_path / "data" / "b.parquet").symlink_to("blobs/0123")
    with pytest.raises(SourceError, match=r"tables that can be read, but b\.parquet is a link that leads nowhere"):
        open_source(tmp_path / "data")


def test_a_path_to_what_is_no_regular_file_is_set_aside_and_not_waited_for(pictures, tmp_path):
    os.mkfifo(pictures / "pipe.jpg")
    names = ["cat/0.png", "pipe.jpg", "/dev/zero", "cat", "no\tfile"]
    (pictures / "t.csv").write_text("path\n" + "\n".join(names) + "\n")
    done = presize(pictures / "t.csv", tmp_path / "C", 16)
    assert done.rows == 1
    assert {entry.key: entry.reason.removeprefix("cannot be read: ") for entry in done.rejected} == {
        "/dev/zero": "is a device, and no regular file",
        "cat": "is a folder, and no regular file",
        "no\tfile": "No such file or directory",
        "pipe.jpg": "is a named pipe, and no regular file",
    }


def test_what_is_neither_folder_nor_table(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(SourceError, match=r"must be a folder, a \.csv or a \.parquet file"):
        open_source(tmp_path / "a.txt")
    (tmp_path / "a.parquet").write_text("no table")
    with pytest.raises(SourceError, match=r"a\.parquet cannot be read"):
        open_source(tmp_path / "a.parquet").items()


def test_a_source_of_the_callers_own(pictures, tmp_path):
    from onewarp.pipeline.dataset.sources import FolderSource

    source = FolderSource(str(pictures))
    assert open_source(source) is source
    assert presize(source, tmp_path / "C", 16).rows == 12
