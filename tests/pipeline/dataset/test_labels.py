import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import LabelError, UsageError
from onewarp.pipeline.composition.spec import from_json, to_json
from onewarp.pipeline.dataset.labels import ColReader, RegexLabeller, labeller_from, labels_of, parent_label, using_attr

PATTERN = r"(.+)_\d+.jpg$"


@pytest.mark.parametrize(
    ("name", "label"), [("great_pyrenees_182.jpg", "great_pyrenees"), ("Birman_121.jpg", "Birman")]
)
def test_the_chapters_labeller(name, label):
    assert using_attr(RegexLabeller(PATTERN), "name")(Path("images") / name) == label


def test_without_using_attr_the_folder_is_part_of_the_label():
    assert RegexLabeller(PATTERN)(Path("images/Birman_121.jpg")) == "images/Birman"


def test_a_pattern_that_is_not_found_names_the_file_and_shows_the_pattern():
    with pytest.raises(LabelError) as raised:
        RegexLabeller(PATTERN)("images/cat.png")
    assert "images/cat.png" in str(raised.value)
    assert repr(PATTERN) in str(raised.value)


def test_match_anchors_the_pattern():
    assert RegexLabeller(r"([a-z]+)")("1cat") == "cat"
    with pytest.raises(LabelError):
        RegexLabeller(r"([a-z]+)", match=True)("1cat")


@pytest.mark.parametrize("pattern", ["(", "no group"])
def test_patterns_without_a_label_are_refused_at_once(pattern):
    with pytest.raises(UsageError, match="pattern must"):
        RegexLabeller(pattern)


def test_parent_label():
    assert parent_label(Path("a/images/1.jpg")) == "images"
    with pytest.raises(LabelError, match=r"1\.jpg lies in none"):
        parent_label("1.jpg")


def test_columns_of_mappings_and_objects():
    assert ColReader("y")({"y": 3}) == 3
    assert ColReader("y")(SimpleNamespace(y="dog")) == "dog"
    assert ColReader(["a", "b"], pref="x/", suff=".png")({"a": 1, "b": "q"}) == ("x/1.png", "x/q.png")


NAMES = ["name", "size", "index", "values", "count", "keys", "dtype", "shape", "label", "y", "two words", "_x"]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(min_size=1) | st.integers(0, 9), min_size=1))
def test_a_column_comes_before_what_the_rows_class_calls_so(columns):
    """Rows of pandas have attributes of their own: `name` is a row's index, `size` how many columns it has."""
    table = pd.DataFrame([columns], index=[77])
    rows = [columns, next(table.iterrows())[1], table.to_dict("records")[0], SimpleNamespace(**columns)]
    if not any(" " in name or name.startswith("_") for name in columns):
        rows.append(next(table.itertuples(index=False)))
        rows.append(table.to_records(index=False)[0])
    for row in rows[: 3 if "two words" in columns else None]:
        for column, value in columns.items():
            assert ColReader(column)(row) == value


@pytest.mark.parametrize("nothing", [None, float("nan"), "", pd.NA, pd.NaT])
def test_a_value_that_is_missing_is_none(nothing):
    for row in ({"y": nothing}, pd.Series({"y": nothing}, dtype=object)):
        assert ColReader("y")(row) is None
        assert ColReader("y", pref="x/")(row) is None
        assert ColReader("y", label_delim=";")(row) == []


def test_a_folder_before_the_value_ends_in_a_slash(tmp_path):
    for folder in (tmp_path, Path("photos"), Path("/")):
        reader = ColReader("y", pref=folder)
        assert Path(reader({"y": "1.jpg"})) == folder / "1.jpg"
        assert from_json(to_json(reader)) == reader
    assert ColReader("y", pref="train_")({"y": "1.jpg"}) == "train_1.jpg"


def test_the_command_lines_several_labels():
    assert labeller_from("column:tags: ") == ColReader("tags", label_delim=" ")
    assert labeller_from("column:a:b:|") == ColReader("a:b", label_delim="|")
    assert labeller_from("column:a:b") == ColReader("a:b")
    with pytest.raises(UsageError, match="label_delim must be the text between two labels"):
        ColReader("tags", label_delim="")


def test_several_labels_in_one_column():
    assert ColReader("tags", label_delim=";")({"tags": "cat;indoor"}) == ["cat", "indoor"]
    assert ColReader("tags", label_delim=";")({"tags": ""}) == []
    assert ColReader("tags", label_delim=";")({"tags": ";cat;;"}) == ["cat"]
    assert ColReader("tags")({"tags": np.array(["cat", "dog"])}) == ["cat", "dog"]
    assert ColReader("tags")({"tags": ["cat", "dog"]}) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a": 1, "b": 2}, "must be one of a, b, but got 'y'"),
        (pd.Series({"a": 1}), "must be one of a, but got 'y', which is not among them"),
        (pd.DataFrame([[1, 2]], columns=["y", "y"]).iloc[0], "got 'y', which is there several times"),
        (Path("1.jpg"), "is no row of a table"),
    ],
)
def test_columns_that_are_not_there(row, message):
    with pytest.raises(LabelError, match=message):
        ColReader("y")(row)


def test_an_error_in_a_labeller_of_the_users_own_names_the_item():
    with pytest.raises(LabelError, match=r"failed on 'cat\.jpg': ZeroDivisionError"):
        labels_of(["cat.jpg"], lambda item: 1 / 0)


def test_settings_are_fields_that_json_can_hold():
    for labeller in (RegexLabeller(PATTERN), ColReader(("a", "b"), label_delim=",")):
        again = type(labeller)(**json.loads(json.dumps(asdict(labeller))))
        assert again == labeller
