import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from onewarp.errors import LabelError, UsageError
from onewarp.pipeline.labels import ColReader, RegexLabeller, labels_of, parent_label, using_attr

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


def test_several_labels_in_one_column():
    assert ColReader("tags", label_delim=";")({"tags": "cat;indoor"}) == ["cat", "indoor"]
    assert ColReader("tags", label_delim=";")({"tags": ""}) == []
    assert ColReader("tags")({"tags": ["cat", "dog"]}) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a": 1, "b": 2}, "must be one of a, b, but got 'y'"),
        ({"y": None}, "empty"),
        ({"y": float("nan")}, "empty"),
        (Path("1.jpg"), "is no row of a table"),
    ],
)
def test_columns_that_are_not_there_and_values_that_are_missing(row, message):
    with pytest.raises(LabelError, match=message):
        ColReader("y")(row)


def test_an_error_in_a_labeller_of_the_users_own_names_the_item():
    with pytest.raises(LabelError, match=r"failed on 'cat\.jpg': ZeroDivisionError"):
        labels_of(["cat.jpg"], lambda item: 1 / 0)


def test_settings_are_fields_that_json_can_hold():
    for labeller in (RegexLabeller(PATTERN), ColReader(("a", "b"), label_delim=",")):
        again = type(labeller)(**json.loads(json.dumps(asdict(labeller))))
        assert again == labeller
