"""Typed samples as what `presize` works on: sorted by key, with the value or the error of each target."""

import pytest

from onewarp.errors import LabelError, MissingLabelError, UsageError
from onewarp.pipeline.datablock.sample_catalogue import Pictures, catalogue_of_samples
from onewarp.pipeline.dataset.blocks import CategoryBlock, ImageBlock, MaskBlock, MultiCategoryBlock, PointBlock
from onewarp.pipeline.dataset.samples import Samples

KEYS = ["c.png", "a.png", "b.png"]
SOURCE = Pictures("/photos")


def make_catalogue(*targets, items=("3", "1", "2"), splits=("train", None, "valid"), **settings):
    """The catalogue of three samples with targets of (block, getter), which are paths."""
    blocks = (ImageBlock(), *(block for block, _ in targets))
    samples = Samples(items, blocks, (None, *(getter for _, getter in targets))).setup()
    return catalogue_of_samples(samples, KEYS, splits, SOURCE, **settings)


def test_items_labels_and_splits_are_sorted_by_key_together():
    catalogue = make_catalogue(
        (CategoryBlock(), lambda item: f"class {item}"), (MultiCategoryBlock(vocab=("x", "y")), lambda i: ["y"])
    )
    assert [item.key for item in catalogue.items] == ["a.png", "b.png", "c.png"]
    assert [item.place for item in catalogue.items] == ["1", "2", "3"]
    assert [catalogue.columns(i) for i in range(3)] == [
        {"label": 0, "label2": [1], "split": None},
        {"label": 1, "label2": [1], "split": "valid"},
        {"label": 2, "label2": [1], "split": "train"},
    ]
    assert catalogue.vocab == ["class 1", "class 2", "class 3"]
    assert [target["name"] for target in catalogue.targets] == ["label", "label2"]


def test_what_is_drawn_on_a_photo_is_asked_of_the_getter_of_its_item():
    catalogue = make_catalogue(
        (PointBlock(), lambda item: (int(item), 0)), (MaskBlock(("a",)), lambda item: f"{item}.mask.png")
    )
    assert [catalogue.contents(i) for i in range(3)] == [{"points": (n, 0), "mask": f"{n}.mask.png"} for n in (1, 2, 3)]
    assert catalogue.targets[1] == {"name": "mask", "kind": "mask", "vocab": ["a"]}
    assert list(catalogue.spatial_blocks) == ["points", "mask"]


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
    catalogue = catalogue_of_samples(samples, keys, [None] * 4, SOURCE)
    contents = [catalogue.contents(i)["points"] for i in range(4)]
    assert [(type(error), str(error)) for error in contents[:3]] == [
        (LabelError, "no annotation"),
        (LabelError, "FileNotFoundError: No such file or directory"),
        (MissingLabelError, "is missing"),
    ]
    assert contents[3] == (1, 2)


def test_a_getter_that_fails_on_every_item_is_wrong_itself():
    with pytest.raises(LabelError, match="ZeroDivisionError: division by zero"):
        make_catalogue((PointBlock(), lambda item: 1 / 0))
    with pytest.raises(MissingLabelError, match="labels are missing in all of 3 items"):
        make_catalogue((CategoryBlock(("x",)), lambda item: None))


def test_a_missing_label_is_missing_of_its_item():
    catalogue = make_catalogue((CategoryBlock(), lambda item: None if item == "2" else item))
    assert [str(catalogue.contents(i).get("label", "")) for i in range(3)] == ["", "is missing", ""]
    assert catalogue.columns(1)["label"] is None


def test_a_vocabulary_that_was_learnt_may_become_narrower_and_one_that_was_given_may_not():
    learner = make_catalogue((CategoryBlock(), lambda item: item), learnt=[1])
    fixed = make_catalogue((CategoryBlock(("1", "2", "3")), lambda item: item))
    assert learner.narrow_vocab(["b.png"]).vocab == ["1", "3"]
    assert fixed.narrow_vocab(["b.png"]).vocab == ["1", "2", "3"]


def test_pictures_are_files_or_bytes(tmp_path):
    (tmp_path / "a.png").write_bytes(b"of a file")
    catalogue = make_catalogue(items=(str(tmp_path / "a.png"), b"bytes", None), splits=[None] * 3)
    assert [item.stamp is not None for item in catalogue.items] == [False, False, True]
    assert [catalogue.source.read(item.place) for item in (catalogue.items[0], catalogue.items[2])] == [
        b"bytes",
        b"of a file",
    ]
    with pytest.raises(OSError, match="the row names no file"):
        catalogue.source.read(catalogue.items[1].place)
    assert catalogue.source.where() == "/photos"
    with pytest.raises(UsageError, match="a cache needs pictures from files or bytes, but got a int"):
        make_catalogue(items=(1, 2, 3))
