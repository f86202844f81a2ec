from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from onewarp.pipeline.dataset.keys import keys_of, number_copies

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
