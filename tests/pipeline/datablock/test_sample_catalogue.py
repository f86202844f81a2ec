"""Typed samples as what `presize` works on: sorted by key, with the value or the error of each target."""

import pytest

from onewarp.errors import LabelError, MissingLabelError, UsageError
from onewarp.pipeline.datablock.sample_catalogue import Pictures, catalogue_of_samples
from onewarp.pipeline.dataset.blocks import CategoryBlock, ImageBlock, MaskBlock, MultiCategoryBlock, PointBlock
from onewarp.pipeline.dataset.samples import Samples

KEYS = ["c.png", "a.png", "b.png"]
SOURCE = Pictures("/photos")


def catalogue(*targets, items=("3", "1", "2"), splits=("train", None, "valid"), **settings):
    """The catalogue of three samples with targets of (block, getter), which are paths."""
    blocks = (ImageBlock(), *(block for block, _ in targets))
    samples = Samples(items, blocks, (None, *(getter for _, getter in targets))).setup()
    return catalogue_of_samples(samples, KEYS, splits, SOURCE, **settings)


def test_items_labels_and_splits_are_sorted_by_key_together():
    made = catalogue(
        (CategoryBlock(), lambda item: f"class {item}"), (MultiCategoryBlock(vocab=("x", "y")), lambda i: ["y"])
    )
    assert [item.key for item in made.items] == ["a.png", "b.png", "c.png"]
    assert [item.place for item in made.items] == ["1", "2", "3"]
    assert [made.columns(i) for i in range(3)] == [
        {"label": 0, "label2": [1], "split": None},
        {"label": 1, "label2": [1], "split": "valid"},
        {"label": 2, "label2": [1], "split": "train"},
    ]
    assert made.vocab == ["class 1", "class 2", "class 3"]
    assert [target["name"] for target in made.targets] == ["label", "label2"]


def test_what_is_drawn_on_a_photo_is_asked_of_the_getter_of_its_item():
    made = catalogue((PointBlock(), lambda item: (int(item), 0)), (MaskBlock(("a",)), lambda item: f"{item}.mask.png"))
    assert [made.contents(i) for i in range(3)] == [{"points": (n, 0), "mask": f"{n}.mask.png"} for n in (1, 2, 3)]
    assert made.targets[1] == {"name": "mask", "kind": "mask", "vocab": ["a"]}
    assert list(made.spatial_blocks) == ["points", "mask"]


def fail(item):
    match item:
        case "1":
            raise LabelError("no annotation")
        case "2":
            raise FileNotFoundError(2, "No such file or directory", "/home/somebody/2.xml")
        case _:
            return None if item == "3" else (1, 2)


def test_the_error_of_a_getter_stands_in_its_place_without_paths_of_this_machine():
    keys = [*KEYS, "d.png"]
    samples = Samples(("3", "1", "2", "4"), (ImageBlock(), PointBlock()), (None, fail))
    made = catalogue_of_samples(samples, keys, [None] * 4, SOURCE)
    contents = [made.contents(i)["points"] for i in range(4)]
    assert [(type(error), str(error)) for error in contents[:3]] == [
        (LabelError, "no annotation"),
        (LabelError, "FileNotFoundError: No such file or directory"),
        (MissingLabelError, "is missing"),
    ]
    assert contents[3] == (1, 2)


def test_a_getter_that_fails_on_every_item_is_wrong_itself():
    with pytest.raises(LabelError, match="ZeroDivisionError: division by zero"):
        catalogue((PointBlock(), lambda item: 1 / 0))
    with pytest.raises(MissingLabelError, match="labels are missing in all of 3 items"):
        catalogue((CategoryBlock(("x",)), lambda item: None))


def test_a_missing_label_is_missing_of_its_item():
    made = catalogue((CategoryBlock(), lambda item: None if item == "2" else item))
    assert [str(made.contents(i).get("label", "")) for i in range(3)] == ["", "is missing", ""]
    assert made.columns(1)["label"] is None


def test_a_vocabulary_that_was_learnt_may_become_narrower_and_one_that_was_given_may_not():
    learnt = catalogue((CategoryBlock(), lambda item: item), learnt=[1])
    fixed = catalogue((CategoryBlock(("1", "2", "3")), lambda item: item))
    assert learnt.narrow_vocab(["b.png"]).vocab == ["1", "3"]
    assert fixed.narrow_vocab(["b.png"]).vocab == ["1", "2", "3"]


def test_pictures_are_files_or_bytes(tmp_path):
    (tmp_path / "a.png").write_bytes(b"of a file")
    made = catalogue(items=(str(tmp_path / "a.png"), b"bytes", None), splits=[None] * 3)
    assert [item.stamp is not None for item in made.items] == [False, False, True]
    assert [made.source.read(item.place) for item in (made.items[0], made.items[2])] == [b"bytes", b"of a file"]
    with pytest.raises(OSError, match="the row names no file"):
        made.source.read(made.items[1].place)
    assert made.source.where() == "/photos"
    with pytest.raises(UsageError, match="a cache needs pictures from files or bytes, but got a int"):
        catalogue(items=(1, 2, 3))
