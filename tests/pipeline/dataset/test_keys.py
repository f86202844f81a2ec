import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onewarp.pipeline.dataset.keys import key_fault, keys_of, number_copies

NAMES = st.lists(st.sampled_from(["a", "b", "a#1", "a#2", "a#1#1", ""]), max_size=9)


@given(NAMES)
def test_each_name_has_a_key_of_its_own_and_one_that_is_there_once_keeps_its_name(names):
    keys = number_copies(names)
    assert len(set(keys)) == len(keys) == len(names)
    for name, key in zip(names, keys, strict=True):
        assert key == name or key.rpartition("#")[0] == name
        if names.count(name) == 1:
            assert key == name
        assert name in keys  # the first copy


@given(NAMES, NAMES)
def test_names_that_come_later_take_no_key_away(names, more):
    once = [name for name in names if (names + more).count(name) == 1]
    assert set(once) <= set(number_copies(names)) & set(number_copies(names + more))


def test_an_item_is_called_by_its_path_from_the_source_or_by_its_number():
    items = [Path("/photos/cat/1.jpg"), "/photos/cat/1.jpg", {"row": 3}, "/elsewhere/2.jpg", b"bytes"]
    assert keys_of(items, Path("/photos")) == ["cat/1.jpg", "cat/1.jpg#1", "2", "/elsewhere/2.jpg", "4"]
    assert keys_of(items[:1]) == ["/photos/cat/1.jpg"]
    assert keys_of([Path("/photos/caf\udce9.jpg")], Path("/photos")) == [r"caf\xe9.jpg"]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("/etc/passwd", "relative"),
        ("../x", "relative"),
        ("a/../../x", "relative"),
        ("a/./x", "relative"),
        ("a//x", "relative"),
        ("a/", "relative"),
        (".", "relative"),
        ("a\0.jpg", "control"),
        ("a\n.jpg", "control"),
        ("a\u2028.jpg", "control"),
        ("a\udce9.jpg", "control"),
        ("\x1b[31mred", "control"),
        ("x" * 10_240, "at most 1024 bytes"),
        ("\u00e9" * 513, "at most 1024 bytes"),
        ("cafe\u0301.jpg", "normal form C"),
    ],
)
def test_a_hostile_key_is_refused_in_one_short_line(key, reason):
    fault = key_fault(key)
    assert reason in fault
    assert len(fault) < 200
    assert fault.isprintable()


@pytest.mark.parametrize(
    "key", ["1.jpg", "cat/1.jpg", "caf\u00e9.jpg", r"caf\xe9.jpg", "a b#1", "..a/...b", "\u732b/\U0001f408.png"]
)
def test_a_key_of_a_file_is_taken(key):
    assert key_fault(key) is None


@given(st.text(max_size=40))
@example("a/..")
def test_a_key_that_is_taken_stays_under_its_folder_and_has_one_spelling(key):
    if key_fault(key) is None:
        path = Path("/root", key)
        assert path.relative_to("/root").as_posix() == key == unicodedata.normalize("NFC", key)
        assert ".." not in path.parts
        assert key.encode().decode() == key
        assert "\0" not in key
