import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onewarp.errors import LabelError, SourceError, UsageError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.dataset.tables import open_source
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.decoding.decode import Decoding, decode_pixels
from onewarp.transforms.decoding.resizing import Sizing, resize


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


def test_what_is_neither_folder_nor_table(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(SourceError, match=r"must be a folder, a \.csv or a \.parquet file"):
        open_source(tmp_path / "a.txt")
    (tmp_path / "a.parquet").write_text("no table")
    with pytest.raises(SourceError, match=r"a\.parquet cannot be read"):
        open_source(tmp_path / "a.parquet").items()


@pytest.mark.parametrize("source", [7, None, b"photos", {"image": ["a.png"]}, object()])
def test_what_is_no_source_is_refused_before_anything_is_written(tmp_path, source):
    for refuse in (open_source, lambda source: presize(source, tmp_path / "C", 16)):
        with pytest.raises(UsageError, match="source must be a folder, a table, or an object with items"):
            refuse(source)
    assert not (tmp_path / "C").exists()
