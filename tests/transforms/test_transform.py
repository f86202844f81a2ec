"""Dispatch, tuples, types, splits, display: the semantics of a transform."""

import pickle
import re
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import DispatchError, UsageError
from onewarp.transforms import (
    Brightness,
    Flip,
    Invert,
    Kornia,
    Normalize,
    RandomErasing,
    Resize,
    Rotate,
    Warp,
    Zoom,
    aug_transforms,
    fuse,
    trivial_augment,
)
from onewarp.transforms.overloads import applies, decodes, encodes
from onewarp.transforms.random_transform import Params, RandTransform
from onewarp.transforms.transform import ItemTransform, Transform, flatten
from onewarp.transforms.transform_lists import FunctionTransform
from onewarp.transforms.types import TensorCategory, TensorImage, TensorMask, TensorPoint


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


class Marked(RandTransform):
    """As Halve, by marked methods, one of which it takes back; and a random one for two types."""

    by: int = 2

    @encodes
    def image(self, x: TensorImage):
        return x.plain() / self.by

    @encodes
    def number(self, x: int | float) -> str:
        return f"{x / self.by}"

    @decodes
    def restored(self, y: TensorImage):
        return y * self.by

    @applies
    def moved(self, x: TensorImage, params: Params):
        return x + 1

    @applies
    def named(self, x: str, params: Params) -> str:
        return x.upper()


class MarkedAgain(Marked):
    @encodes
    def other(self, x: int) -> str:
        return "an integer"


@pytest.mark.parametrize("value", [TensorImage(torch.ones(3, 2, 2)), 6, 2.5], ids=str)
def test_marked_methods_are_overloads_under_any_name(value):
    ours, theirs = Marked().encode(value), Halve().encode(value)
    assert type(ours) is type(theirs)
    assert torch.equal(ours.plain(), theirs.plain()) if isinstance(ours, TensorImage) else ours == theirs
    assert Marked().number(6) == "3.0"  # and methods of their names still
    assert torch.equal(Marked().decode(TensorImage(torch.ones(2, 2))).plain(), torch.full((2, 2), 2.0))
    image, name = Marked()((TensorImage(torch.zeros(3, 2, 2)), "cat"), keys=["a"])
    assert (float(image.max()), name) == (1.0, "CAT")


def test_a_marked_method_of_a_subclass_goes_before_those_of_its_base():
    assert (MarkedAgain().encode(6), MarkedAgain().encode(6.0), Marked().encode(6)) == ("an integer", "3.0", "3.0")
    assert pickle.loads(pickle.dumps(MarkedAgain())).encode(6) == "an integer"


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
    assert Shift()(1.0, split="train", keys="a") != 1.0


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


class Threshold(Transform):
    def encode(self, x: TensorImage) -> TensorMask:
        return x[0] > 0.5

    def encode(self, x: TensorPoint) -> torch.Tensor:  # noqa: F811
        return x * 2


def test_a_result_is_of_the_type_that_the_overload_is_annotated_with():
    image, points = TensorImage(torch.rand(3, 4, 4)), TensorPoint([[1.0, 2.0]])
    assert type(Threshold()(image)) is TensorMask
    assert type(Threshold()(points)) is torch.Tensor
    assert [type(value) for value in Threshold()((image, points))] == [TensorMask, torch.Tensor]


def test_a_functions_annotation_holds_too():
    def mask(x: TensorImage) -> TensorMask:
        return x[0] > 0.5

    def plain(x: TensorImage) -> torch.Tensor:
        return x + 1

    def unsaid(x: TensorImage):
        return x.plain() + 1

    image = TensorImage(torch.rand(3, 4, 4))
    assert [type(FunctionTransform(f)(image)) for f in (mask, plain, unsaid)] == [TensorMask, torch.Tensor, TensorImage]


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


PHOTO = TensorImage(torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(0)))
DRAWN = [
    Shift(),
    Rotate(),
    Resize(8),
    RandomErasing(p=0.5),
    Kornia("RandomGaussianNoise"),
    fuse(aug_transforms()),
    *trivial_augment()[:1],
]


@pytest.mark.parametrize("transform", DRAWN, ids=lambda t: type(t).__name__)
def test_a_lone_sample_without_a_key_is_refused_where_it_is_drawn_for(transform):
    x = 1.0 if isinstance(transform, Shift) else PHOTO
    for sample in (x, (x, "cat")):
        with pytest.raises(UsageError, match=r"draws at random.*name it by keys=path.*epoch=epoch"):
            transform(sample)
        transform(sample, keys="a.jpg")
        transform(sample, split="valid")


@pytest.mark.parametrize(
    "transform",
    [
        Flip(draw=1),
        Rotate(draw=20, p=1),
        Rotate(p=0),
        Rotate(max_deg=0),
        Zoom(draw=1.2, draw_x=0.5, draw_y=0.5, p=1),
        Warp(draw_x=0.1, draw_y=0.1, p=1),
        Rotate(draw=lambda draw: np.full(len(draw), 9.0), p=1),
        Rotate(p=1, batch=True),
        Invert(p=1),
        Brightness(draw=0.6, p=1),
        Resize(8, method="squish"),
        Normalize((0.5,) * 3, (0.2,) * 3),
        fuse([Flip(draw=1), Rotate(p=0)]),
    ],
    ids=lambda transform: re.sub(" at 0x.*?>", ">", str(transform)),  # the same in every process
)
def test_what_leaves_nothing_to_chance_needs_no_key(transform):
    assert torch.equal(transform(PHOTO), transform(PHOTO, keys="b.jpg"))


def test_a_batch_without_keys_has_its_row_numbers():
    batch = torch.randint(0, 256, (3, 8, 8, 3), dtype=torch.uint8)
    fused = fuse(aug_transforms())
    assert torch.equal(fused(batch), fused(batch, keys=range(3)))


def test_the_verbs_take_a_key_where_something_is_left_to_chance():
    assert torch.equal(PHOTO.rotate(keys="a", epoch=2), Rotate(p=1)(PHOTO, keys="a", epoch=2))
    with pytest.raises(UsageError, match="draws at random"):
        PHOTO.rotate()


def test_a_key_may_be_a_path_or_a_number_of_numpy():
    assert torch.equal(Rotate(p=1)(PHOTO, keys=Path("a.jpg")), Rotate(p=1)(PHOTO, keys="a.jpg"))
    assert torch.equal(Rotate(p=1)(PHOTO, keys=np.int64(7)), Rotate(p=1)(PHOTO, keys=7))
