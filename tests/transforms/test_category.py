"""Labels to numbers: the chapter's displays, and errors that name the label."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import LabelError, UsageError
from onewarp.pipeline.composition.spec import from_json, to_json
from onewarp.transforms.category import MISSING, Categorize, MultiCategorize, is_missing, label_of
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


NOTHING = [None, float("nan"), np.float32("nan"), "", pd.NA, pd.NaT]
LABELS = st.text(min_size=1) | st.integers() | st.sampled_from(["007", "07", "7", "nan", "None", "1e5", "True"])


@given(st.lists(st.text(min_size=1), min_size=1))
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


@given(st.lists(LABELS, min_size=1, unique=True), LABELS, st.booleans())
def test_an_unknown_label_with_add_na_is_no_known_one_whether_the_vocabulary_is_given_or_learnt(vocab, other, learn):
    fitted = Categorize(add_na=True, sort=False).setup(vocab) if learn else Categorize(tuple(vocab), add_na=True)
    assert fitted.vocab[0] == MISSING
    assert [fitted.decode(fitted(label)) for label in vocab] == vocab
    assert fitted.decode(fitted(other)) == (other if other in vocab else MISSING)
    assert fitted.decode(fitted(None)) == MISSING
    several = MultiCategorize(fitted.vocab, add_na=True)
    assert several.decode(several([other])) == [fitted.decode(fitted(other))]
    assert from_json(to_json(fitted)) == fitted


@pytest.mark.parametrize("nothing", NOTHING)
def test_missing_is_missing_whatever_says_so(nothing):
    assert is_missing(nothing)
    assert label_of(nothing) is None
    assert Categorize().setup(["cat", nothing]).vocab == ("cat",)
    assert MultiCategorize().setup([["cat", nothing], nothing]).vocab == ("cat",)


@pytest.mark.parametrize("nothing", [None, float("nan"), ""])
def test_a_missing_label_is_an_error_unless_it_has_a_class(nothing):
    with pytest.raises(LabelError, match=r"label is missing .*leave the item out, or make it a class by add_na=True"):
        Categorize(("cat",))(nothing)
    with pytest.raises(LabelError, match="label is missing"):
        MultiCategorize(("cat",))([nothing])
    assert Categorize(("cat",), add_na=True)(nothing) == 0


@pytest.mark.parametrize("label", [float("inf"), 0.5, b"cat", ("cat",), object()])
def test_what_is_neither_a_name_nor_a_whole_number_is_no_label(label):
    with pytest.raises(LabelError, match="must be a name or a whole number"):
        label_of(label)


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, unique=True))
def test_a_name_with_bytes_that_are_not_utf8_can_be_written(names):
    labels = [name.decode("utf-8", "surrogateescape") for name in names]
    fitted = Categorize().setup(labels)
    assert [fitted.decode(fitted(label)) for label in labels] == [label_of(label) for label in labels]
    assert all(label.encode() for label in fitted.vocab)


@pytest.mark.parametrize("vocab", ["cats", ["a", "b", "a"], [1, 1.0], ["a", None], ["a", ""]])
def test_a_vocabulary_names_each_class_once(vocab):
    for made in (Categorize, MultiCategorize):
        with pytest.raises(UsageError, match="vocab must"):
            made(vocab)


def test_without_a_vocabulary_the_error_says_what_to_do():
    with pytest.raises(LabelError, match="call setup"):
        Categorize()("cat")


def test_labels_of_several_kinds_are_refused_in_sorting():
    with pytest.raises(LabelError, match=r"got 1 and 'a', \['int', 'str'\]: use sort=False"):
        Categorize().setup(["a", 1])


def test_whole_numbers_are_labels_too():
    assert Categorize().setup([7, 3])(7) == 1
    assert MultiCategorize().setup([["a"], []])([]).equal(TensorMultiCategory(torch.zeros(1)))


@pytest.mark.parametrize(("labels", "one"), [(Categorize, "b"), (MultiCategorize, ["b"])])
def test_what_was_looked_up_is_not_pickled(labels, one):
    vocab = labels([f"class {i}" for i in range(500)] + ["b"])
    before = len(pickle.dumps(vocab))
    assert vocab(one) is not None
    assert len(pickle.dumps(vocab)) == before
    assert pickle.loads(pickle.dumps(vocab)) == vocab
