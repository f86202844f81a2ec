"""Methods for several types: which of them runs, and of which type its result is."""

import pickle

import pytest
import torch

from onewarp.transforms.overloads import applies, decodes, encodes
from onewarp.transforms.random_transform import Params, RandTransform
from onewarp.transforms.transform import Transform
from onewarp.transforms.transform_lists import FunctionTransform
from onewarp.transforms.types import TensorCategory, TensorImage, TensorMask, TensorPoint


def test_the_annotation_picks_the_overload(halve):
    assert halve()(6) == "3.0"
    assert torch.equal(halve()(TensorImage(torch.ones(3, 2, 2))).plain(), torch.full((3, 2, 2), 0.5))


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
def test_marked_methods_are_overloads_under_any_name(value, halve):
    ours, theirs = Marked().encode(value), halve().encode(value)
    assert type(ours) is type(theirs)
    assert torch.equal(ours.plain(), theirs.plain()) if isinstance(ours, TensorImage) else ours == theirs
    assert Marked().number(6) == "3.0"  # and methods of their names still
    assert torch.equal(Marked().decode(TensorImage(torch.ones(2, 2))).plain(), torch.full((2, 2), 2.0))
    image, name = Marked()((TensorImage(torch.zeros(3, 2, 2)), "cat"), keys=["a"])
    assert (float(image.max()), name) == (1.0, "CAT")


def test_a_marked_method_of_a_subclass_goes_before_those_of_its_base():
    assert (MarkedAgain().encode(6), MarkedAgain().encode(6.0), Marked().encode(6)) == ("an integer", "3.0", "3.0")
    assert pickle.loads(pickle.dumps(MarkedAgain())).encode(6) == "an integer"


def test_the_type_is_kept_unless_annotated_otherwise(halve, named):
    assert type(halve()(TensorImage(torch.ones(3, 2, 2)))) is TensorImage
    assert type(named()("abc")) is TensorCategory


def test_a_subclass_replaces_one_overload_and_keeps_the_others(halve):
    class Third(halve):
        def encode(self, x: int):
            return x / 3

    assert Third()(9) == 3
    assert type(Third()(TensorImage(torch.ones(3, 1, 1)))) is TensorImage


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
