"""Dispatch, tuples, types, splits, display: the semantics of a transform."""

import pickle
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from onewarp.errors import DispatchError
from onewarp.transforms.transform import FunctionTransform, ItemTransform, RandTransform, Transform
from onewarp.transforms.types import TensorCategory, TensorImage, TensorMask


class Halve(Transform):
    by: int = 2

    def encode(self, x: TensorImage):
        return x.plain() / self.by

    def encode(self, x: int | float) -> str:  # noqa: F811
        return f"{x / self.by}"

    def decode(self, y: TensorImage):
        return y * self.by


class Named(Transform):
    def encode(self, x: str) -> TensorCategory:
        return TensorCategory(len(x))


def test_the_annotation_picks_the_overload():
    assert Halve()(6) == "3.0"
    assert torch.equal(Halve()(TensorImage(torch.ones(3, 2, 2))).plain(), torch.full((3, 2, 2), 0.5))


def test_the_type_is_kept_unless_annotated_otherwise():
    assert type(Halve()(TensorImage(torch.ones(3, 2, 2)))) is TensorImage
    assert type(Named()("abc")) is TensorCategory


def test_tuples_map_element_by_element_and_unknown_elements_pass():
    image, name = Halve()((TensorImage(torch.ones(3, 2, 2)), "cat"))
    assert type(image) is TensorImage
    assert name == "cat"


def test_named_tuples_are_values_of_their_own():
    pair = namedtuple("pair", "a b")(1, 2)
    with pytest.raises(DispatchError, match="Halve cannot encode pair"):
        Halve()(pair)


def test_a_type_without_overload_is_an_error_that_lists_what_is_known():
    with pytest.raises(DispatchError, match=r"Halve cannot encode TensorMask: it knows .*TensorImage"):
        Halve()(TensorMask(torch.ones(2, 2)))
    with pytest.raises(DispatchError, match=r"Named cannot encode \(int, float\)"):
        Named()((1, 2.0))


def test_a_transform_may_say_that_it_passes_what_it_does_not_know():
    class Easy(Halve):
        passes = True

    assert Easy()(b"raw") == b"raw"
    assert Easy()(6) == "3.0"  # inherited overloads stay


def test_a_subclass_replaces_one_overload_and_keeps_the_others():
    class Third(Halve):
        def encode(self, x: int):
            return x / 3

    assert Third()(9) == 3
    assert type(Third()(TensorImage(torch.ones(3, 1, 1)))) is TensorImage


def test_decode_takes_back_and_passes_what_it_has_no_overload_for():
    x = TensorImage(torch.rand(3, 4, 4))
    image, label = Halve().decode((Halve()(x), "cat"))
    assert torch.equal(image, x)
    assert label == "cat"


def test_the_display_shows_the_settings():
    assert repr(Halve(by=3)) == "Halve -- {'by': 3}"
    assert repr(Named()) == "Named"


def test_transforms_are_frozen_and_comparable():
    with pytest.raises(AttributeError):
        Halve().by = 3
    assert Halve(3) == Halve(by=3) != Halve(2)


def test_pickle_keeps_settings_and_overloads():
    assert pickle.loads(pickle.dumps(FunctionTransform(str)))(3) == "3"


def test_an_item_transform_gets_the_whole_tuple():
    class Sum(ItemTransform):
        def encode(self, sample: tuple):
            return sum(sample)

    assert Sum()((1, 2, 3)) == 6


def test_a_function_is_a_transform_for_its_annotated_type():
    def mean(x: TensorImage):
        return x.float().mean(0, keepdim=True)

    image, label = FunctionTransform(mean)((TensorImage(torch.ones(3, 2, 2)), "cat"))
    assert (type(image), image.shape, label) == (TensorImage, (1, 2, 2), "cat")
    with pytest.raises(DispatchError, match="it knows TensorImage"):
        FunctionTransform(mean)(3)


class Shift(RandTransform):
    draws = 1

    def params(self, draw):
        return {"by": draw.uniform(0)}

    def apply(self, x: float, params):
        return x + params["by"][0]


def test_a_random_transform_is_confined_to_training():
    assert Shift()(1.0, split="valid") == 1.0
    assert Shift()(1.0, split="train") != 1.0


def test_a_random_transform_is_a_function_of_seed_epoch_and_key():
    assert Shift()(0.0, seed=1, epoch=2, keys="a") == Shift()(0.0, seed=1, epoch=2, keys=["a"])
    assert len({Shift()(0.0, seed=s, epoch=e, keys=k) for s in (0, 1) for e in (0, 1) for k in "ab"}) == 8


def test_one_transform_is_safe_among_threads():
    shift = Shift()
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda k: shift(0.0, keys=k), range(500)))
    assert threaded == [shift(0.0, keys=k) for k in range(500)]


def test_keys_must_name_every_sample():
    with pytest.raises(ValueError, match="keys must name 1 samples, one each, but got 2"):
        Shift()(0.0, keys=["a", "b"])
