"""Labels to numbers: the chapter's displays, and errors that name the label."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import LabelError
from onewarp.transforms.category import Categorize, MultiCategorize
from onewarp.transforms.types import TensorCategory, TensorImage, TensorMultiCategory


def test_the_display_is_the_chapters():
    assert repr(Categorize()) == "Categorize -- {'vocab': None, 'sort': True, 'add_na': False}"


@pytest.mark.parametrize(("unset", "labels"), [(Categorize(), ["a"]), (MultiCategorize(), [["a"]])])
def test_setup_returns_a_new_transform(unset, labels):
    assert unset.setup(labels).vocab == ("a",)
    assert unset.vocab is None


def test_the_image_beside_the_label_passes():
    image = TensorImage(torch.zeros(3, 2, 2))
    passed, label = Categorize(("cat",))((image, "cat"))
    assert passed is image
    assert label == 0


@given(st.lists(st.text(), min_size=1))
def test_every_label_comes_back(labels):
    fitted = Categorize().setup(labels)
    assert [fitted.decode(fitted(label)) for label in labels] == labels
    assert list(fitted.vocab) == sorted(set(labels))


@given(st.lists(st.sets(st.sampled_from("abcdef")), min_size=1))
def test_every_set_of_labels_comes_back(sets):
    fitted = MultiCategorize().setup(sets)
    assert [set(fitted.decode(fitted(labels))) for labels in sets] == sets


def test_a_batch_decodes_to_a_list():
    fitted = Categorize().setup(["a", "b"])
    assert fitted.decode(TensorCategory([1, 0])) == ["b", "a"]
    assert MultiCategorize(("a", "b")).decode(TensorMultiCategory([[1.0, 0.0], [1.0, 1.0]])) == [["a"], ["a", "b"]]


def test_unsorted_keeps_the_order_in_which_labels_are_met():
    assert Categorize(sort=False).setup(["dog", "cat"]).vocab == ("dog", "cat")


def test_an_unknown_label_is_named():
    with pytest.raises(LabelError, match=r"label 'cow' is not among the 2 of the vocabulary \('cat', 'dog'\)"):
        Categorize(("cat", "dog"))("cow")


def test_add_na_takes_unknown_labels_as_number_0():
    fitted = Categorize(add_na=True).setup(["cat"])
    assert fitted("cow") == 0
    assert fitted.decode(fitted("cat")) == "cat"


def test_without_a_vocabulary_the_error_says_what_to_do():
    with pytest.raises(LabelError, match="call setup"):
        Categorize()("cat")


def test_labels_of_several_kinds_are_refused_in_sorting():
    with pytest.raises(LabelError, match=r"\['int', 'str'\]: use sort=False"):
        Categorize().setup(["a", 1])


def test_whole_numbers_are_labels_too():
    assert Categorize().setup([7, 3])(7) == 1
    assert MultiCategorize().setup([["a"], []])([]).equal(TensorMultiCategory(torch.zeros(1)))
