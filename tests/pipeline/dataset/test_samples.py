"""Typed samples out of items: read one by one, their vocabulary learnt from all."""

import numpy as np
import pytest
import torch

from onewarp.errors import LabelError, UsageError
from onewarp.pipeline.dataset.blocks import CategoryBlock, ImageBlock, MaskBlock, PointBlock
from onewarp.pipeline.dataset.samples import RowPicture, Samples, check_kinds, needs_setup
from onewarp.pipeline.dataset.sources import FolderSource, TableRow
from onewarp.transforms.types import TensorCategory, TensorImage

ITEMS = [{"x": torch.full((3, 2, 2), n, dtype=torch.uint8), "y": "ab"[n % 2]} for n in range(4)]
SAMPLES = Samples(ITEMS, (ImageBlock(), CategoryBlock()), (lambda item: TensorImage(item["x"]), lambda item: item["y"]))


def test_a_sample_is_made_when_it_is_read():
    samples = SAMPLES.setup()
    assert len(samples) == 4
    image, label = samples[3]
    assert (type(image), type(label), int(image.max()), int(label)) == (TensorImage, TensorCategory, 3, 1)
    assert [int(y) for _, y in samples[1:]] == [1, 0, 1]
    assert int(samples[-1][1]) == 1
    assert [int(y) for _, y in samples] == [0, 1, 0, 1]
    for outside in (4, -5):
        with pytest.raises(IndexError, match=f"sample {outside} of 4"):
            samples[outside]


def test_a_vocabulary_is_learnt_once_and_one_that_was_given_stays():
    assert [block.vocab for block in SAMPLES.blocks] == [None, None]
    assert list(SAMPLES.setup().blocks[1].vocab) == ["a", "b"]
    fixed = Samples(ITEMS, (ImageBlock(), CategoryBlock(("b", "a"))), SAMPLES.getters)
    assert list(fixed.setup().blocks[1].vocab) == ["b", "a"]
    assert [needs_setup(block) for block in (ImageBlock(), CategoryBlock(), CategoryBlock(("a",)), MaskBlock())] == [
        False,
        True,
        False,
        False,
    ]


def test_a_label_that_is_not_found_names_its_item():
    samples = Samples([{"n": 1}, {"n": 0}], SAMPLES.blocks, (None, lambda item: 1 / item["n"]))
    with pytest.raises(LabelError, match=r"failed on \{'n': 0\}: ZeroDivisionError"):
        samples.setup()


@pytest.mark.parametrize("kinds", [[], ["category"], ["category", "image"], ["image", "image"]])
def test_blocks_begin_with_the_one_image(kinds):
    with pytest.raises(UsageError, match="blocks must be one ImageBlock, then blocks of targets, but got"):
        check_kinds(kinds)
    check_kinds(["image", "mask", "mask"])


def test_there_is_a_getter_for_each_block():
    with pytest.raises(UsageError, match="there must be a getter a block, 2, but got 1"):
        Samples(ITEMS, SAMPLES.blocks, (None,))


def test_a_path_of_a_getter_is_relative_to_the_table_where_it_names_a_picture():
    row = TableRow("photos/1.jpg", {"mask": "masks/1.png", "none": "", "array": np.zeros((2, 2))}, "/tables", "p")

    def raw(column, block):
        return Samples([row], (ImageBlock(), block), (None, lambda item: item[column])).raw(0, 1)

    assert raw("mask", MaskBlock()) == "/tables/masks/1.png"
    assert raw("mask", CategoryBlock()) == "masks/1.png"
    assert raw("none", MaskBlock()) == ""
    assert raw("array", MaskBlock()) is row["array"]
    assert (
        Samples([{"mask": "m.png"}], (ImageBlock(), MaskBlock()), (None, lambda item: item["mask"])).raw(0, 1)
        == "m.png"
    )


def test_the_picture_of_a_row_is_its_path_or_its_bytes(pictures, monkeypatch):
    get = RowPicture(FolderSource(str(pictures)))
    monkeypatch.chdir(pictures)
    assert get(TableRow("x", {}, "", "cat/0.png")) == str(pictures / "cat" / "0.png")
    assert get("an item of another kind") == "an item of another kind"

    class Bytes(FolderSource):
        def read(self, place):
            return b"row %d" % place

    assert RowPicture(Bytes("."))(TableRow("x", {}, "", 7)) == b"row 7"


def test_an_element_is_of_its_block():
    samples = Samples([(1.0, 2.0)], (ImageBlock(), PointBlock()), (None, None))
    assert samples.element(0, 1).tolist() == [[1.0, 2.0]]
