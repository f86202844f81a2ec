"""What decides a row's pixels has a name; what does not, has none in it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.pipeline.cache.recipe import Recipe, canonical, decoder_build, differences, fingerprint
from onewarp.transforms.decoding.decode import Decoding
from onewarp.transforms.decoding.resizing import Sizing

RECIPE = Recipe(Sizing(64), Decoding(), "jpeg", 90)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "bmp"}, "encoding must be one of raw, jpeg, png, webp, but got 'bmp'"),
        ({"jpeg_quality": 0}, "jpeg_quality must be from 1 to 100, but got 0"),
        ({"jpeg_quality": 101}, "jpeg_quality must be from 1 to 100, but got 101"),
        ({"memory": 0}, "memory must be positive, but got 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        replace(RECIPE, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"sizing": Sizing(65)},
        {"sizing": Sizing(64, "crop")},
        {"sizing": Sizing(64, enlarge=True)},
        {"decoding": Decoding(quality=2.0)},
        {"decoding": Decoding(background=(0, 0, 0))},
        {"decoding": Decoding(truncated="accept")},
        {"encoding": "png"},
        {"jpeg_quality": 91},
    ],
    ids=str,
)
def test_what_decides_pixels_gives_another_fingerprint(settings):
    other = replace(RECIPE, **settings)
    assert fingerprint(other.pixels()) != fingerprint(RECIPE.pixels())
    assert other.limits() == RECIPE.limits()


@pytest.mark.parametrize(
    "settings",
    [
        {"memory": 5},
        {"workers": 3},
        {"decoding": Decoding(max_pixels=9)},
        {"decoding": Decoding(max_bytes=9)},
        {"decoding": Decoding(max_memory=9)},
        {"decoding": Decoding(max_seconds=9)},
    ],
    ids=str,
)
def test_what_decides_no_pixels_gives_the_same_one(settings):
    other = replace(RECIPE, **settings)
    assert other.pixels() == RECIPE.pixels()
    assert (other.limits() == RECIPE.limits()) == ("decoding" not in settings)


def test_a_quality_counts_where_there_is_a_jpeg():
    raw = replace(RECIPE, encoding="raw")
    assert raw.pixels() == replace(raw, jpeg_quality=10).pixels()
    assert (raw.column, RECIPE.column) == ("pixels", "image")


def test_the_build_of_the_decoder_is_part_of_it():
    assert RECIPE.pixels()["decoder"] == decoder_build()
    assert {"pillow's jpeg", "littlecms", "simplejpeg", "torch", "enlarging"} < decoder_build().keys()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=2), some, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=2), VALUES, max_size=4))
def test_json_is_the_same_for_the_same_value_and_comes_back(value):
    assert canonical(value) == canonical(dict(reversed(value.items())))
    assert json.loads(canonical(value)) == value
    assert "\n" not in canonical(value)


def test_a_fingerprint_stays_what_it_was():
    """Every cache has one: another one makes all caches anew."""
    assert canonical({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'
    assert fingerprint({"b": [1, None], "a": "é"}) == "67fefb53f186c5e1"


SETTINGS = st.dictionaries(
    st.sampled_from("abc"), st.integers(0, 3) | st.dictionaries(st.sampled_from("xy"), st.integers(0, 3))
)


@given(SETTINGS, SETTINGS)
def test_differences_are_none_exactly_where_two_recipes_agree(before, now):
    lines = differences(before, now)
    assert (lines == []) == (differences(now, before) == [])
    if all(before.get(name) == now.get(name) for name in before.keys() | now.keys()):
        assert lines == []
    else:
        assert len(lines) == len(set(lines))
        assert all(" was " in line and ", now " in line for line in lines)


def test_a_difference_names_the_way_to_it():
    before, now = {"a": 1, "d": {"x": 1, "y": 2}}, {"b": 3, "d": {"x": 1, "y": 4}}
    assert differences(before, now) == ["a was 1, now None", "b was None, now 3", "d y was 2, now 4"]
