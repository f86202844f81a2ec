"""Which files share a part, and which parts are used again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.cache.recipe import Recipe
from onewarp.pipeline.dataset.labels import RegexLabeller, parent_label
from onewarp.pipeline.dataset.sources import FolderSource
from onewarp.pipeline.presizing.catalogue import catalogue_of
from onewarp.pipeline.presizing.existing_parts import find_parts
from onewarp.pipeline.presizing.file_hashes import load_hash_memo
from onewarp.pipeline.presizing.part_plan import PartPlan, borders
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.decoding.resizing import Sizing


def test_other_labels_and_splits_rewrite_columns_without_decoding(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16, label="parent")
    done = presize(pictures, tmp_path / "C", 16, label=RegexLabeller(r"(\d)\.png$"), split="random:0.5:1")
    assert (done.decoded, done.copied) == (0, 12)
    cache = Cache.open(tmp_path / "C")
    assert cache["dog/11.png"].label == "1"
    assert cache.splits == {"train": 6, "valid": 6}


KEYS = st.lists(st.integers(0, 10**6), unique=True, max_size=900).map(
    lambda numbers: sorted(f"{n:07d}.jpg" for n in numbers)
)


def parts_of(keys):
    """The keys of each part."""
    return [tuple(keys[begin:end]) for begin, end in borders(keys)]


@given(KEYS)
def test_parts_hold_every_key_once_in_order_and_are_neither_small_nor_large(keys):
    parts = parts_of(keys)
    assert [key for part in parts for key in part] == keys
    assert all(64 <= len(part) <= 256 for part in parts[:-1])
    assert all(1 <= len(part) <= 256 for part in parts)


@given(KEYS.filter(len), st.integers(0, 10**6))
def test_a_file_that_comes_moves_no_border_before_it(keys, number):
    key = f"{number:07d}.png"
    after = parts_of(sorted([*keys, key]))
    before = parts_of(keys)
    whole = [part for part in before if part[-1] < key]
    assert after[: max(0, len(whole) - 1)] == whole[: max(0, len(whole) - 1)]


def test_a_file_that_comes_moves_few_borders_behind_it():
    """Of 80 parts or so, in each of 40 trials."""
    keys = [f"{i:06d}.jpg" for i in range(0, 20_000, 2)]
    before = set(parts_of(keys))
    for trial in range(40):
        after = set(parts_of(sorted([*keys, f"{trial * 487 + 1:06d}.jpg"])))
        assert len(before - after) <= 8
        assert len(before & after) >= len(before) - 8


RAW = Recipe(Sizing(8))


@pytest.fixture
def plan(many, tmp_path):
    """plan(labeller, recipe): the plan of a cache that was made without labels, raw."""

    def make(labeller=None, recipe=RAW):
        catalogue = catalogue_of(FolderSource(str(many)), labeller, None)
        hashes = load_hash_memo("elsewhere")
        return PartPlan(catalogue, tmp_path / "C", recipe, find_parts(tmp_path / "C", verify=False), hashes)

    presize(many, tmp_path / "C", 8, encoding="raw")
    return make


def test_a_part_that_stays_needs_no_task_once_its_files_are_known(plan):
    first = plan()
    tasks = list(first.tasks())
    assert [task.number for task in tasks] == list(range(len(tasks)))
    assert len(tasks) > 1
    assert all(task.existing is not None for task in tasks)  # whose files must be hashed
    for item in first.catalogue.items:
        first.hashes._entries[item.key] = (item.stamp, first.existing.find(item.key, first.recipe.limits()).sha256)
    assert list(first.tasks()) == []
    assert [part.number for part in first.reusable] == [task.number for task in tasks]
    assert sum(part.rows.num_rows for part in first.reusable) == 400


def test_a_part_of_other_labels_is_made_anew_out_of_its_rows(plan):
    tasks = list(plan(parent_label).tasks())
    assert sum(len(task.entries) for task in tasks) == 400
    for task in tasks:
        assert task.existing is None
        assert all(entry.prior is not None and entry.targets == {"label": 0} for entry in task.entries)
    assert "label" in tasks[0].schema.names


def test_what_a_cache_says_of_its_plan_names_no_memory_and_no_workers(plan):
    one, two = plan(), plan(recipe=Recipe(Sizing(8), memory=5 << 30, workers=3))
    assert one.cache_footer == two.cache_footer
    assert one.footer.items() <= one.cache_footer.items()
    assert plan(recipe=Recipe(Sizing(9))).cache_footer["fingerprint"] != one.cache_footer["fingerprint"]
