"""Where rows lie as files: whatever their keys and labels are, no two in one place."""

import io
import json
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from onewarp.pipeline.cache.export import export
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.presizing.presizer import presize

PARTS = st.text(st.sampled_from("aA.é/_"), min_size=1, max_size=3) | st.sampled_from(
    [
        "p.jpg",
        "p.jpg.png",
        "p",
        "p-1.jpg",
        "P.JPG",
        "train",
        "cat",
        "x" * 255,
        "y" * 251 + ".jpg",
        "metadata.jsonl",
        "...",
    ]
)


KEYS = st.lists(st.lists(PARTS, min_size=1, max_size=3).map("/".join), min_size=1, max_size=8, unique=True)


@pytest.fixture(scope="module")
def picture():
    stream = io.BytesIO()
    Image.new("RGB", (2, 2)).save(stream, "PNG")
    return stream.getvalue()


@settings(max_examples=25, deadline=None)
@given(keys=KEYS, labels=st.lists(PARTS, min_size=8, max_size=8))
def test_every_row_has_a_file_of_its_own_whatever_its_key_and_label(picture, keys, labels):
    """Also where names are too long, differ by an extension, or one is the folder of another."""
    keys = [key for key in keys if not key.startswith("/") and ".." not in key.split("/")]
    assume(keys)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        columns = {"bytes": [picture] * len(keys), "id": keys, "y": labels[: len(keys)], "s": ["train"] * len(keys)}
        pq.write_table(pa.table(columns), root / "t.parquet")
        presize(root / "t.parquet", root / "C", 4, key="id", label="column:y", split="column:s")
        cache = Cache.open(root / "C")
        assert export(cache, root / "out") == len(keys)
        files = [path for path in (root / "out").rglob("*") if path.is_file() and path.name != "metadata.jsonl"]
        assert len(files) == len(keys)
        tops = {label: set() for label in labels}
        listed = root / "out" / "metadata.jsonl"
        for line in map(json.loads, listed.read_text().splitlines() if listed.exists() else []):
            assert (root / "out" / line["file_name"]).is_file()
            tops[cache[line["key"]].label].add(Path(line["file_name"]).parts[1])
        if listed.exists():  # each label has a folder of its own
            assert all(len(names) <= 1 for names in tops.values())
            seen = [name for names in tops.values() for name in names]
            assert len(set(seen)) == len(seen)


def test_split_and_label_are_not_said_twice(pictures, tmp_path):
    for side, names in (("train", ["0", "2"]), ("valid", ["4"])):
        for name in names:
            (tmp_path / "src" / side / "cat").mkdir(parents=True, exist_ok=True)
            shutil.copy(pictures / "cat" / f"{name}.png", tmp_path / "src" / side / "cat")
    presize(tmp_path / "src", tmp_path / "C", 16, label="parent", split="folders")
    export(Cache.open(tmp_path / "C"), tmp_path / "out")
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"train/cat/0.png", "train/cat/2.png", "valid/cat/4.png"}
