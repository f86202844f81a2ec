"""Whole numbers that a Hugging Face data set declares to be classes, read as the names of these classes."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onewarp.errors import SourceError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.dataset.declared_classes import class_names
from onewarp.pipeline.presizing.presizer import presize


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


def schema(features):
    return pa.schema([], metadata={"huggingface": json.dumps({"info": {"features": features}})})


def test_names_are_those_of_classes_and_of_lists_of_classes():
    one = {"_type": "ClassLabel", "names": ["no", "yes"]}
    features = {"y": one, "ys": {"_type": "List", "feature": one}, "n": {"_type": "Value"}, "two": [one, one], "x": 3}
    names = class_names(schema(features), "t.parquet")
    assert {name: column.names for name, column in names.items()} == {"y": ("no", "yes"), "ys": ("no", "yes")}
    assert names["y"].name_of(1, 0) == "yes"
    assert names["ys"].name_of([1, 0], 0) == ["yes", "no"]
    assert [names["y"].name_of(nothing, 0) for nothing in (None, -1)] == [None, None]
    with pytest.raises(SourceError, match=r"column 'y' of t\.parquet must hold classes from 0 to 1, .* row 5 .* has 2"):
        names["y"].name_of(2, 5)
    assert class_names(pa.schema([]), "t.parquet") == {}


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"info": []}', '{"info": {"features": 3}}'])
def test_metadata_that_cannot_be_read_names_the_table(text):
    with pytest.raises(SourceError, match=r"table t\.parquet must say in JSON what its columns are"):
        class_names(pa.schema([], metadata={"huggingface": text}), "t.parquet")
