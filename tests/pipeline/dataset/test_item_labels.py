"""Labels as numbers of a vocabulary that names what there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import LabelError, MissingLabelError
from onewarp.pipeline.dataset.item_labels import (
    Labels,
    label_items,
    label_name,
    number_labels,
    origins,
    refuse_all_missing,
    split_items,
)
from onewarp.pipeline.dataset.sources import Item
from onewarp.pipeline.dataset.splits import HashSplitter
from onewarp.transforms.category import MISSING

NAMES = st.sampled_from(["cat", "dog", "cow", "7"])
SINGLE = st.lists(NAMES | st.none(), min_size=1, max_size=8).filter(lambda values: any(v is not None for v in values))
SEVERAL = st.lists(st.lists(NAMES, max_size=3) | st.none(), min_size=1, max_size=8).filter(
    lambda values: any(v is not None for v in values)
)


def keys(values):
    return [f"{i}.jpg" for i in range(len(values))]


def names(labels, value):
    return {labels.vocab[number] for number in value} if isinstance(value, list) else labels.vocab[value]


@given(SINGLE)
def test_a_number_leads_back_to_its_label(values):
    labels = number_labels(keys(values), values, several=False)
    assert labels.vocab == sorted(set(values) - {None})
    assert labels.missing == {i for i, value in enumerate(values) if value is None}
    for value, number in zip(values, labels.values, strict=True):
        assert number is None if value is None else names(labels, number) == value
    assert (labels.kind, str(labels.type), labels.learnt) == ("category", "int64", True)


@given(SEVERAL)
def test_several_numbers_lead_back_to_their_labels_and_none_is_a_list_too(values):
    labels = number_labels(keys(values), values, several=True)
    assert labels.missing == {i for i, value in enumerate(values) if value is None}
    for value, numbers in zip(values, labels.values, strict=True):
        assert numbers is None if value is None else names(labels, numbers) == set(value)
        assert numbers is None or numbers == sorted(set(numbers))
    assert (labels.kind, str(labels.type)) == ("multicategory", "list<item: int64>")


@given(SINGLE | SEVERAL, st.data())
def test_a_narrow_vocabulary_has_the_classes_of_the_rest_and_changes_no_label_of_it(values, data):
    several = any(isinstance(value, list) for value in values)
    labels = number_labels(keys(values), values, several)
    left_out = data.draw(st.sets(st.integers(0, len(values) - 1)))
    narrow = labels.narrow(left_out)
    rest = [i for i in range(len(values)) if i not in left_out and values[i] is not None]
    used = {name for i in rest for name in (values[i] if several else [values[i]])}
    assert set(narrow.vocab) == used or (not left_out and narrow is labels)
    for i in rest:
        assert names(narrow, narrow.values[i]) == names(labels, labels.values[i])
    counts = labels.count_classes(left_out)
    assert {name for name, count in counts.items() if count} == used


def test_a_vocabulary_that_was_given_and_the_class_of_the_missing_stay():
    fixed = Labels([0, 1], ["cat", "dog"], several=False)
    assert fixed.narrow({0}) is fixed
    labels = Labels([1, 2], [MISSING, "cat", "dog"], several=False, learnt=True)
    assert labels.narrow({1}).vocab == [MISSING, "cat"]
    assert labels.narrow({1}).values == [1, None]


@pytest.mark.parametrize(
    ("values", "several", "message"),
    [
        ([3, 1.5], False, r"1\.jpg: label must be a name or a whole number, but got 1\.5"),
        (["a", ["b"]], False, r"1\.jpg: label must be a name or a whole number, but got \['b'\]"),
        ([["a"], 7], True, r"1\.jpg: 'int' object is not iterable"),
    ],
)
def test_what_is_no_label_names_its_item(values, several, message):
    with pytest.raises(LabelError, match=message):
        number_labels(keys(values), values, several)


def test_labels_that_are_missing_in_all_items_are_the_fault_of_the_column():
    refuse_all_missing([], [])
    refuse_all_missing(["a", "b"], [1])
    with pytest.raises(MissingLabelError, match=r"labels are missing in all of 2 items, as in a: name another column"):
        refuse_all_missing(["a", "b"], [0, 1])


def item(key, view, origin=None):
    return Item(key, key, view, None, origin)


def test_one_list_among_the_labels_makes_all_of_them_lists():
    items = [item("a", "x"), item("b", ("x", "y"))]
    assert label_items(items, lambda view: view).values == [[0], [0, 1]]
    assert label_items(items[:1], lambda view: view).values == [0]
    assert label_items(items, None) is None


def test_copies_go_to_the_split_of_what_they_are_copies_of():
    items = [item(f"{i}.jpg#{copy}" if copy else f"{i}.jpg", "", f"{i}.jpg") for i in range(40) for copy in range(3)]
    sides = split_items(items, HashSplitter(0.5))
    assert all(len(set(sides[i : i + 3])) == 1 for i in range(0, 120, 3))
    assert set(sides) == {"train", "valid"}
    assert origins([item("a", ""), item("b#1", "", "b")]) == ["a", "b"]
    assert split_items(items, None) is None


def test_a_name_of_a_vocabulary_is_a_text_or_a_whole_number():
    assert [label_name(label) for label in ("cat", 7, 7.0, True)] == ["cat", 7, 7, "True"]
    with pytest.raises(LabelError, match="a vocabulary must hold names and whole numbers, but has None"):
        label_name(None)
