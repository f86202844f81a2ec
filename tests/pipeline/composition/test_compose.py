"""Pipelines: order, incremental setup, reverse decode, show."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.pipeline.composition.compose import Pipeline
from onewarp.transforms.augment import aug_transforms, fuse, setup_aug_tfms
from onewarp.transforms.category import Categorize
from onewarp.transforms.colour import Normalize
from onewarp.transforms.geometry import Rotate, Warp, Zoom
from onewarp.transforms.to_tensor import ToTensor
from onewarp.transforms.transform import Transform
from onewarp.transforms.types import TensorImage


class Add(Transform):
    by: int = 1

    def encode(self, x: int):
        return x + self.by

    def decode(self, y: int | float):
        return y - self.by


class Mean(Transform):
    """Subtracts what it learnt."""

    mean: float | None = None

    def setup(self, items):
        return Mean(sum(items) / len(items))

    def encode(self, x: int | float):
        return x - self.mean

    def decode(self, y: int | float):
        return y + self.mean


class Early(Add):
    order = -1


def image(seed=0, size=32):
    return TensorImage(torch.rand(3, size, size, generator=torch.Generator().manual_seed(seed)))


def test_transforms_are_sorted_by_order_and_ties_keep_their_place():
    assert list(Pipeline([Add(1), Early(2), Add(3)])) == [Early(2), Add(1), Add(3)]


def test_decode_runs_in_reverse():
    pipeline = Pipeline([Add(3), Mean(2.0)])
    assert pipeline(10) == 11
    assert pipeline.decode(pipeline(10)) == 10


def test_setup_is_incremental_and_returns_a_new_pipeline():
    unset = Pipeline([Add(10), Mean()])
    ready = unset.setup([1, 2, 3])
    assert ready[1] == Mean(12.0)
    assert unset[1] == Mean()
    assert ready.setup([3, 4, 5])[1] == Mean(14.0)


def test_a_sample_draws_by_its_key_and_without_one_by_row_number():
    pipeline = Pipeline(aug_transforms())
    assert torch.equal(pipeline(image(), seed=1, keys="a"), pipeline(image(), seed=1, keys=["a"]))
    assert not torch.equal(pipeline(image(), seed=1, keys="a"), pipeline(image(), seed=2, keys="a"))
    batch = TensorImage(torch.stack([image(0), image(1)]))
    assert torch.equal(pipeline(batch)[1], pipeline(image(1), keys=1))


def test_a_split_confines_it():
    assert torch.equal(Pipeline(aug_transforms(), split="valid")(image()), image())


def test_composed_and_one_by_one_are_the_same_map_on_the_same_draws():
    """The chapter's comparison: four resamplings beside one."""
    transforms = setup_aug_tfms([Rotate(draw=12, p=1), Zoom(draw=1.1, p=1), Warp(draw_x=-0.1, draw_y=0.1, p=1)])
    smooth = TensorImage(torch.nn.functional.interpolate(image(0, 6)[None].plain(), (96, 96), mode="bicubic")[0])
    apart = Pipeline(transforms)(smooth, keys="k")
    together = Pipeline([fuse(transforms)])(smooth, keys="k")
    error = (apart - together)[:, 24:-24, 24:-24].plain().square().mean()
    assert 10 * torch.log10(1 / error) > 35
    assert not torch.equal(apart, together)


def test_show_decodes_until_it_reaches_what_can_be_shown():
    pipeline = Pipeline([ToTensor(), Normalize((0.5,) * 3, (0.1,) * 3)])
    done = pipeline(image())
    assert torch.allclose(pipeline.decode_to_show(done), image(), atol=1e-5)
    axes = Pipeline([Categorize(("cat", "dog"))]).show((image(), Categorize(("cat", "dog"))("dog")))
    assert axes.get_title() == "dog"


def test_functions_are_transforms():
    assert Pipeline([lambda x: x * 2, abs])(-4) == 8


def test_repr_shows_every_transform_with_its_settings():
    assert repr(Pipeline([Categorize(), Add(2)])) == (
        "Pipeline: Add -- {'by': 2} -> Categorize -- {'vocab': None, 'sort': True, 'add_na': False}"
    )


class AddInTraining(Add):
    split = "train"


class AddInValidation(Add):
    split = "valid"


class DarkerInTraining(Transform):
    split = "train"

    def encode(self, x: TensorImage):
        return x * 0.5

    def decode(self, y: TensorImage):
        return y * 2


KINDS = st.sampled_from([Add, AddInTraining, AddInValidation, Early])


@given(
    st.lists(st.tuples(KINDS, st.integers(-9, 9)), max_size=6), st.integers(), st.sampled_from(["train", "valid", None])
)
def test_decode_undoes_what_encode_did_on_each_split(chosen, x, split):
    pipeline = Pipeline([kind(by) for kind, by in chosen], split=split)
    assert pipeline.decode(pipeline(x)) == x


@pytest.mark.parametrize("split", ["train", "valid", None])
def test_decode_of_fused_transforms_undoes_what_the_split_did(split):
    normalize = Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    pipeline = Pipeline([fuse([DarkerInTraining(), normalize])], split=split)
    assert torch.allclose(pipeline.decode(pipeline(image())), image(), atol=1e-5)


def test_what_is_no_transform_is_refused_where_it_is_given():
    with pytest.raises(UsageError, match=r"Pipeline: transform 1 is the class Rotate: write Rotate\(\)"):
        Pipeline([Add(), Rotate])
    with pytest.raises(UsageError, match="Pipeline: transform 0 is None"):
        Pipeline([None])
    with pytest.raises(UsageError, match="Pipeline takes a list of transforms, but got the text"):
        Pipeline("Resize(460)")
    with pytest.raises(UsageError, match="split must be"):
        Pipeline([Add()], split="test")
