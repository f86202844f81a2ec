"""Names and settings as JSON and back: nothing in it is evaluated, and what has no name is refused."""

from pathlib import PurePosixPath

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import SpecError
from onewarp.pipeline import CategoryBlock, PointBlock
from onewarp.pipeline.composition.compose import Pipeline
from onewarp.pipeline.composition.spec import can_write, find, fingerprint, from_json, register, to_json, to_spec
from onewarp.transforms.augment import aug_transforms, fuse
from onewarp.transforms.category import Categorize
from onewarp.transforms.colour import Contrast, Normalize
from onewarp.transforms.geometry import Resize


@register
def named(x):
    return x


def unregistered(x):
    return x


@pytest.mark.parametrize(
    "pipeline",
    [
        Pipeline([Categorize(("cat", "dog"))]),
        Pipeline([Resize(460), *aug_transforms(size=224, min_scale=0.75), Normalize((0.5,) * 3, (0.2,) * 3)]),
        Pipeline([fuse(aug_transforms(size=(3, 4)), dtype=torch.bfloat16)], split="train"),
        Pipeline([named]),
    ],
)
def test_json_and_back(pipeline):
    again = Pipeline.from_json(pipeline.to_json())
    assert again == pipeline
    assert again.fingerprint == pipeline.fingerprint


def test_the_fingerprint_tells_settings_apart():
    assert Pipeline([Resize(1)]).fingerprint != Pipeline([Resize(2)]).fingerprint


def test_a_lambda_is_refused_by_name():
    with pytest.raises(SpecError, match=r"<lambda> cannot be written to JSON: use a named class or function"):
        Pipeline([lambda x: x]).to_json()
    with pytest.raises(SpecError, match="<lambda> cannot be found by its name"):
        register(lambda x: x)


def test_an_unregistered_function_is_refused_by_name():
    with pytest.raises(SpecError, match="unregistered cannot be written to JSON"):
        to_json(unregistered)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "Rotat"}', "unknown name 'Rotat' in the pipeline's JSON: did you mean Rotate"),
        ('{"kind": "os:system"}', "unknown name 'os:system'"),
        ('{"kind": "Resize", "colour": 3}', "Resize has no setting colour: it has method, pad_mode, size"),
        ('{"kind": ', "cannot be read"),
        ('{"kind": "dtype", "name": "load"}', "unknown dtype 'load'"),
        ("3", "must hold a Pipeline, but got a int"),
    ],
)
def test_bad_json_is_one_clear_error(text, message):
    with pytest.raises(SpecError, match=message):
        Pipeline.from_json(text)


def test_plain_values_come_back():
    value = {"a": (1, 2.5, None, "x"), 3: True}
    assert from_json(to_json(value)) == value


def test_a_setting_named_kind_comes_back():
    for block in (CategoryBlock(("a", "b")), PointBlock()):
        again = from_json(to_json(block))
        assert (again.kind, again.vocab, repr(again)) == (block.kind, block.vocab, repr(block))


def test_a_setting_that_a_later_version_added_is_written_only_where_it_is_set():
    """So that the fingerprints of recipes that do not use it stay what they were."""
    assert "factor" not in to_json(Contrast())
    for transform in (Contrast(), Contrast(factor=(0.5, 2.0))):
        assert from_json(to_json(transform)) == transform


NUMBERS = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(max_size=3)
VALUES = st.recursive(
    st.none() | NUMBERS | NAMES,
    lambda some: st.lists(some, max_size=3).map(tuple) | st.dictionaries(NAMES | st.integers(), some, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_any_plain_value_comes_back_and_has_one_text(value):
    assert from_json(to_json(value)) == value
    assert to_json(from_json(to_json(value))) == to_json(value)
    assert can_write(value)


@pytest.mark.parametrize(
    ("value", "spec"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (PurePosixPath("a/b"), "a/b"),
        (torch.bfloat16, {"kind": "dtype", "name": "bfloat16"}),
        ([1, (2, 3)], [1, [2, 3]]),
        (named, {"kind": "function", "name": f"{__name__}:named"}),
        (Resize(3), {"kind": "Resize", "size": 3, "method": "crop", "pad_mode": "reflection"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_in_terms_of_json(value, spec):
    written = to_spec(value)
    assert written.items() >= spec.items() if value == Resize(3) else written == spec


@pytest.mark.parametrize("value", [float("nan"), {"x": float("inf")}])
def test_what_is_no_number_of_json_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(value)


@pytest.mark.parametrize(
    "value", [object(), lambda x: x, {1, 2}, b"bytes", unregistered], ids=lambda value: type(value).__name__
)
def test_what_has_no_place_in_json_is_refused_wherever_it_stands(value):
    assert not can_write(value)
    for holder in (value, [value], {"x": value}):
        with pytest.raises(SpecError, match="cannot be written to JSON: use a named class or function"):
            to_json(holder)


def test_a_setting_without_a_default_must_be_there():
    with pytest.raises(SpecError, match="RegexLabeller needs the setting pat, and the pipeline's JSON has it not"):
        from_json('{"kind": "RegexLabeller"}')


def test_a_name_is_looked_for_among_names_that_are_near():
    names = {"Rotate": 1, "Rotates": 2, "Flip": 3}
    assert find("Flip", lambda: names, "here") == 3
    with pytest.raises(SpecError, match="unknown name 'Rotat' in here: did you mean Rotate or Rotates\\?"):
        find("Rotat", lambda: names, "here")
    for name in ("zzz", "own:Rotate", 3):
        with pytest.raises(SpecError, match=r"import the module that defines it first \(--import MODULE\)"):
            find(name, lambda: names, "here")


def test_a_function_within_another_cannot_be_registered():
    def local(x):
        return x

    with pytest.raises(SpecError, match=r"local cannot be found by its name: define it at the top of a module"):
        register(local)


def test_a_fingerprint_is_of_the_settings_and_not_of_their_order():
    assert fingerprint({"a": 1, "b": 2}) != fingerprint({"a": 2, "b": 1})
    assert fingerprint(Resize(3)) == fingerprint(from_json(to_json(Resize(3))))
    assert len(fingerprint(None)) == 32
