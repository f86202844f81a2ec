"""Dispatch, tuples, types, splits, display: the semantics of a transform."""

import pickle
from collections import namedtuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import DispatchError
from onewarp.transforms import (
    Flip,
    Rotate,
    fuse,
)
from onewarp.transforms.transform import ItemTransform, Transform, flatten
from onewarp.transforms.transform_lists import FunctionTransform
from onewarp.transforms.types import TensorImage, TensorMask, TensorPoint


def test_tuples_map_element_by_element_and_unknown_elements_pass(halve):
    image, name = halve()((TensorImage(torch.ones(3, 2, 2)), "cat"))
    assert type(image) is TensorImage
    assert name == "cat"


def test_named_tuples_are_values_of_their_own(halve):
    pair = namedtuple("pair", "a b")(1, 2)
    with pytest.raises(DispatchError, match="Halve cannot encode pair"):
        halve()(pair)


def test_a_type_without_overload_is_an_error_that_lists_what_is_known(halve, named):
    with pytest.raises(DispatchError, match=r"Halve cannot encode TensorMask: it knows .*TensorImage"):
        halve()(TensorMask(torch.ones(2, 2)))
    with pytest.raises(DispatchError, match=r"Named cannot encode \(int, float\)"):
        named()((1, 2.0))


def test_a_transform_may_say_that_it_passes_what_it_does_not_know(halve):
    class Easy(halve):
        passthrough = True

    assert Easy()(b"raw") == b"raw"
    assert Easy()(6) == "3.0"  # inherited overloads stay


def test_decode_takes_back_and_passes_what_it_has_no_overload_for(halve):
    x = TensorImage(torch.rand(3, 4, 4))
    image, label = halve().decode((halve()(x), "cat"))
    assert torch.equal(image, x)
    assert label == "cat"


def test_the_display_shows_the_settings(halve, named):
    assert repr(halve(by=3)) == "Halve -- {'by': 3}"
    assert repr(named()) == "Named"


def test_transforms_are_frozen_and_comparable(halve):
    with pytest.raises(AttributeError):
        halve().by = 3
    assert halve(3) == halve(by=3) != halve(2)


def test_pickle_keeps_settings_and_overloads():
    assert pickle.loads(pickle.dumps(FunctionTransform(str)))(3) == "3"


def test_an_item_transform_gets_the_whole_tuple():
    class Sum(ItemTransform):
        def encode(self, sample: tuple):
            return sum(sample)

    assert Sum()((1, 2, 3)) == 6


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12))
def test_a_tuple_within_a_tuple_is_mapped_as_that_is(value):
    class Next(Transform):
        def encode(self, x: int):
            return x + 1

        def decode(self, y: int):
            return y - 1

    def expected(x):
        return tuple(map(expected, x)) if type(x) is tuple else x + 1 if isinstance(x, int) else x

    if not any(isinstance(leaf, int) for leaf in flatten(value)):
        return
    assert Next()(value) == expected(value)
    assert Next().decode(Next()(value)) == value


def test_fused_transforms_and_plain_ones_treat_nested_tuples_alike():
    image, mask, points = (
        TensorImage(torch.rand(3, 6, 8)),
        TensorMask(torch.zeros(6, 8).long()),
        TensorPoint([[1, 2.0]]),
    )
    flat = fuse([Flip(draw=1), Rotate(draw=5, p=1)])((image, mask, points, "cat"))
    nested = fuse([Flip(draw=1), Rotate(draw=5, p=1)])(((image, mask), (points, ("cat",))))
    assert [type(value) for value in flatten(nested)] == [TensorImage, TensorMask, TensorPoint, str]
    assert all(torch.equal(a, b) for a, b in zip(list(flatten(nested))[:3], flat[:3], strict=True))
