"""What a CSV says is what is read: text as it is written, numbers where nothing else is meant."""

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.errors import SourceError
from onewarp.pipeline.dataset.labels import ColReader
from onewarp.pipeline.dataset.tables import open_source
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.category import label_of

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
