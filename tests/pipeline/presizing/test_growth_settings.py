import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import CacheError, UsageError
from onewarp.pipeline.cache.footer import read_footer
from onewarp.pipeline.presizing.growth_settings import GrowthSettings, settle
from onewarp.pipeline.presizing.presizer import presize

BESIDE = GrowthSettings(label="column:label", split="column:split")
SEVERAL = GrowthSettings(label="column:label:;")
NAMED = GrowthSettings(label=r"regex:^(.+)_\d+.jpg$", split="hash:0.2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"label": "column:breed"},
        {"label": "regex:("},
        {"label": "folder"},
        {"split": "column:is_valid"},
        {"split": "half"},
        {"encoding": "tiff"},
        {"square": "round"},
        {"jpeg_quality": 101},
    ],
)
def test_settings_that_cannot_be_used_are_refused(wrong):
    with pytest.raises(UsageError):
        GrowthSettings(**wrong)


@pytest.mark.parametrize(
    ("settings", "label", "split", "reason"),
    [
        (BESIDE, "cat", "train", None),
        (BESIDE, 7, True, None),
        (BESIDE, None, None, None),
        (BESIDE, ["cat"], None, "label must be one label"),
        (BESIDE, 1.5, None, "label must be a text or a whole number"),
        (BESIDE, True, None, "label must be a text or a whole number"),
        (BESIDE, 1 << 70, None, "label must be a text or a whole number"),
        (BESIDE, "x" * 2000, None, "label must be a text or a whole number"),
        (BESIDE, "\udce9", None, "label must be a text or a whole number"),
        (BESIDE, "cat", 3, "split must be a text, true or false"),
        (SEVERAL, ["cat", "dog"], None, None),
        (SEVERAL, [], None, None),
        (SEVERAL, "cat;dog", None, None),
        (SEVERAL, 7, None, "label must be a list of labels"),
        (SEVERAL, ["cat", 1.5], None, "label must be a text or a whole number"),
        (SEVERAL, ["cat"] * 2000, None, "has 2000 labels, and may have 1024"),
        (SEVERAL, ["cat"], "train", "send none"),
        (NAMED, None, None, None),
        (NAMED, "cat", None, "send none"),
        (NAMED, None, True, "send none"),
        (GrowthSettings(), "cat", None, "send none"),
    ],
)
def test_a_label_or_a_split_that_does_not_fit_is_refused(settings, label, split, reason):
    fault = settings.fault("cat_1.jpg", label, split)
    assert fault is None if reason is None else reason in fault


def test_a_key_of_which_no_label_can_be_made_is_refused():
    assert "was not found in 'cat.jpg'" in NAMED.fault("cat.jpg", None, None)
    assert "lies in none" in GrowthSettings(label="parent").fault("cat.jpg", None, None)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.text()))


@given(st.sampled_from([BESIDE, SEVERAL, NAMED]), VALUES, VALUES)
def test_whatever_comes_is_taken_or_refused(settings, label, split):
    fault = settings.fault("cat_1.jpg", label, split)
    assert fault is None or fault.isprintable()
    if fault is None:
        assert json.loads(json.dumps([label, split])) == [label, split]


def test_the_first_settings_stay(tmp_path):
    assert settle(tmp_path, NAMED) == settle(tmp_path, None) == settle(tmp_path, NAMED) == NAMED
    with pytest.raises(UsageError, match=r"size was 460, now 64"):
        settle(tmp_path, GrowthSettings(64, NAMED.label, NAMED.split))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version":2}', '{"version":1}', '{"version":1,"colour":3}'])
def test_settings_that_cannot_be_read_are_refused(tmp_path, text):
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(CacheError, match=r"settings\.json cannot be read"):
        settle(tmp_path, None)


def test_a_cache_of_other_settings_is_refused(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16, label="parent", split="hash:0.5")
    footer = read_footer(tmp_path / "C")
    GrowthSettings(16, "parent", "hash:0.5").refuse_other("C", footer)
    GrowthSettings(16, "parent", "hash:0.5", "raw").refuse_other("C", footer)
    for other in (
        GrowthSettings(32, "parent", "hash:0.5"),
        GrowthSettings(16, "none", "hash:0.5"),
        GrowthSettings(16, "parent", "hash:0.2"),
        GrowthSettings(16, "parent", "hash:0.5", "jpeg"),
        GrowthSettings(16, "parent", "hash:0.5", square="crop"),
    ):
        with pytest.raises(CacheError, match="cache C was made with other settings"):
            other.refuse_other("C", footer)
