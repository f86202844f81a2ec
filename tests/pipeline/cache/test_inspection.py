import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onewarp.pipeline.cache.inspection import describe
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.presizing.presizer import presize


def test_the_numbers_of_a_cache(pictures, tmp_path):
    """Four pictures of each of 24 x 32, 28 x 32 and 32 x 32 pixels become 16 pixels high, and 21, 18 and 16 wide."""
    (pictures / "bad.png").write_bytes(b"no picture")
    presize(pictures, tmp_path / "C", 16, label="parent", split="random:0.25:1")
    facts = describe(Cache.open(tmp_path / "C"))
    assert json.loads(json.dumps(facts)) == facts
    (part,) = (tmp_path / "C").glob("part-*")
    assert facts.pop("pixels")["size"] == 16
    assert len(facts.pop("fingerprint")) == 16
    assert facts == {
        "rows": 12,
        "classes": 2,
        "vocab": ["cat", "dog"],
        "targets": {"label": "category"},
        "counts": {"label": [6, 6]},
        "splits": {"train": 9, "valid": 3},
        "rejected": 1,
        "encoding": "raw",
        "sizes": {
            "height": {"min": 16, "mean": 16.0, "max": 16},
            "width": {"min": 16, "mean": pytest.approx(55 / 3, abs=0.05), "max": 21},
        },
        "bytes": part.stat().st_size,
        "format": 3,
        "parts": 1,
    }


def test_classes_of_several_labels_are_counted_one_by_one(pictures, tmp_path):
    names = ["cat/0.png", "dog/1.png", "cat/2.png"]
    pq.write_table(pa.table({"image": names, "tags": [["a", "c"], [], ["c"]]}), pictures / "t.parquet")
    presize(pictures / "t.parquet", tmp_path / "C", 16, label="column:tags")
    facts = describe(Cache.open(tmp_path / "C"))
    assert (facts["vocab"], facts["counts"], facts["splits"]) == (["a", "c"], {"label": [1, 2]}, {})


def test_a_cache_without_labels_has_no_classes(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16)
    facts = describe(Cache.open(tmp_path / "C"))
    assert (facts["classes"], facts["vocab"], facts["targets"], facts["counts"]) == (0, None, {}, {})
