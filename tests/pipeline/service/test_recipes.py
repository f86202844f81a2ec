"""What a stranger may ask to be done to images: transforms that are numbers alone, and outputs of a bounded size."""

import json
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.pipeline import Pipeline
from onewarp.pipeline.composition.spec import to_json
from onewarp.pipeline.service.limits import Limits
from onewarp.pipeline.service.recipes import MOST_TRANSFORMS, plan_of, read_recipe, recipe_json, size_of_output
from onewarp.transforms import Brightness, Flip, MixUp, Normalize, Resize, aug_transforms, fuse, rand_augment
from onewarp.transforms.decoding.resizing import Sizing

NORMALIZE = Normalize((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


@pytest.mark.parametrize(
    "transforms",
    [[Resize(64), *aug_transforms(size=32), NORMALIZE], [Resize(32), *rand_augment()], [Resize((8, 9))]],
    ids=["usual", "picked", "one"],
)
@pytest.mark.parametrize("form", [fuse, lambda t: Pipeline((fuse(t),)), list], ids=["fused", "pipeline", "list"])
def test_what_was_written_is_read(transforms, form):
    recipe = read_recipe(to_json(form(transforms)))
    assert recipe == fuse(transforms)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"kind":"Kornia"}', "'Kornia' is no transform that a client may ask for"),
        ('{"kind":"function","name":"get_image_files"}', "'function' is no transform"),
        ('[{"kind":"Resize","pad_mode":{"kind":"RegexLabeller","pattern":"(a+)+"}}]', "'RegexLabeller' is no tr"),
        ('{"kind":["Resize"]}', "is no transform"),
        ('{"size": 3}', "'None' is no transform"),
        (json.dumps([{"kind": "Flip"}] * (MOST_TRANSFORMS + 1)), "at most 64 transforms"),
        ("[" * 100_000, "nested too deeply|is not"),
        ("{", "must be JSON"),
        ("7", "must be a transform"),
        ('{"kind":"Resize","size":"a"}', "must be a whole number"),
        ('{"kind":"Resize","sise":3}', "no setting sise"),
        ('{"kind":"Fused","transforms":[3]}', "made of transforms"),
        ('{"kind":"Fused","transforms":[{"kind":"Resize"}],"dtype":{"kind":"dtype","name":"load"}}', "unknown dtype"),
        (to_json(fuse([Resize(8), MixUp(classes=2)])), "'MixUp' is no transform"),
    ],
)
def test_what_is_no_recipe_is_refused(text, reason):
    with pytest.raises(UsageError, match=reason):
        read_recipe(text)


def test_what_mixes_samples_is_not_sent():
    assert read_recipe(recipe_json(fuse([Resize(8), MixUp(classes=2)]))) == fuse([Resize(8)])
    with pytest.raises(UsageError, match="give them to fuse"):
        recipe_json([Resize(8)])


@pytest.mark.parametrize(
    ("transforms", "sizing", "reason"),
    [
        ([Resize(100_000)], None, "at most 16,777,216 pixels"),
        ([Resize((2, 10_000_000))], None, "at most 16,777,216 pixels"),
        ([Resize(5000), Flip(size=8)], None, None),  # one step, which makes 8 x 8
        ([], Sizing(60_000, "pad"), "at most 16,777,216 pixels"),
        ([Flip()], Sizing(64), "one size: add Resize"),
        ([Brightness()], None, "one size: add Resize"),
        ([Flip()], Sizing(64, "squish"), None),
        ([Normalize(), Resize(8)], None, "no mean and std yet"),
    ],
)
def test_outputs_are_of_one_bounded_size(transforms, sizing, reason):
    if reason is None:
        assert size_of_output(fuse(transforms), sizing, Limits()) in ((8, 8), (64, 64))
        return
    with pytest.raises(UsageError, match=reason):
        size_of_output(fuse(transforms), sizing, Limits())


def test_a_step_in_between_is_bounded_too():
    steps = fuse([Resize(5000), *aug_transforms(size=8)], one_by_one=True)
    assert len(steps.segments) > 1
    with pytest.raises(UsageError, match="at most 16,777,216 pixels, but makes 5000 x 5000"):
        plan_of(steps, [(10, 10)], np.zeros(1, np.uint64), {"split": "train"}, Limits())


NUMBERS = st.one_of(st.integers(-3, 300), st.floats(-3, 300), st.just(float("nan")), st.booleans(), st.none())
VALUES = st.one_of(NUMBERS, st.text(max_size=5), st.lists(NUMBERS, max_size=4))
OF_ALL = ["size", "p", "draw", "draw_x", "draw_y", "max_deg", "magnitude", "min_zoom", "max_zoom", "pad_mode", "method"]
SETTINGS = [
    *OF_ALL,
    "mean",
    "std",
    "matrix",
    "max_lighting",
    "area",
    "ratio",
    "batch",
    "transforms",
    "dtype",
    "antialias",
]
GEOMETRIC = ["Flip", "Dihedral", "Rotate", "Zoom", "Warp", "Affine", "ShearX", "Resize", "RandomResizedCrop"]
OTHERS = [
    "Homography",
    "Brightness",
    "Contrast",
    "Hue",
    "Normalize",
    "RandomErasing",
    "Solarize",
    "Gamma",
    "Fused",
    "dtype",
]
OBJECTS = st.builds(
    lambda kind, values: {"kind": kind} | values,
    st.sampled_from([*GEOMETRIC, *OTHERS]),
    st.dictionaries(st.sampled_from(SETTINGS), VALUES, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(OBJECTS, max_size=4))
def test_whatever_a_stranger_writes_is_a_recipe_of_a_bounded_size_or_refused(spec):
    limits = Limits(output_pixels=64 * 64)
    with suppress(UsageError):
        recipe = read_recipe(json.dumps(spec))
        height, width = size_of_output(recipe, Sizing(32), limits)
        assert height * width <= 64 * 64
        image = torch.zeros(1, 32, 48, 3, dtype=torch.uint8)
        plan = plan_of(recipe, [(32, 48)], np.zeros(1, np.uint64), {"split": "valid"}, limits)
        assert recipe.images(image, plan).shape == (1, 3, height, width)
