"""The elements of a sample: what each block takes, what it makes of it, and what it refuses."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.errors import LabelError, UsageError
from onewarp.pipeline.composition.spec import from_json, to_json
from onewarp.pipeline.dataset.blocks import (
    BBoxBlock,
    Block,
    CategoryBlock,
    ImageBlock,
    MaskBlock,
    MultiCategoryBlock,
    PointBlock,
    as_block,
    with_vocab,
)
from onewarp.transforms.types import (
    TensorBBox,
    TensorCategory,
    TensorImage,
    TensorMask,
    TensorMultiCategory,
    TensorPoint,
)

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("way", ["path", "text", "bytes", "Pillow", "tensor"])
def test_an_image_is_its_pixels_however_it_is_given(tmp_path, way):
    path = tmp_path / "a.png"
    path.write_bytes(png(PIXELS))
    value = {
        "path": path,
        "text": str(path),
        "bytes": png(PIXELS),
        "Pillow": Image.fromarray(PIXELS),
        "tensor": TensorImage(torch.from_numpy(PIXELS).permute(2, 0, 1)),
    }[way]
    image = ImageBlock()(value)
    assert (type(image), image.dtype) == (TensorImage, torch.uint8)
    assert np.array_equal(image.permute(1, 2, 0), PIXELS)


@pytest.mark.parametrize("way", ["path", "bytes", "Pillow", "array", "tensor"])
def test_a_mask_is_its_numbers_however_it_is_given(tmp_path, way):
    numbers = np.array([[0, 1], [2, 200]], np.uint8)
    path = tmp_path / "m.png"
    path.write_bytes(png(numbers))
    value = {
        "path": path,
        "bytes": png(numbers),
        "Pillow": Image.fromarray(numbers),
        "array": numbers,
        "tensor": torch.from_numpy(numbers),
    }[way]
    block = MaskBlock(("none", "cat"))
    mask = block(value)
    assert (type(mask), mask.tolist()) == (TensorMask, numbers.tolist())
    assert list(block.vocab) == ["none", "cat"]


@pytest.mark.parametrize(
    ("block", "kind", "value", "rows"),
    [
        (PointBlock(), TensorPoint, (1, 2), [[1, 2]]),
        (PointBlock(), TensorPoint, [(1, 2), (3, 4)], [[1, 2], [3, 4]]),
        (PointBlock(), TensorPoint, [], []),
        (BBoxBlock(), TensorBBox, (1, 2, 3, 4), [[1, 2, 3, 4]]),
        (BBoxBlock(), TensorBBox, np.zeros((2, 4)), [[0, 0, 0, 0]] * 2),
        (BBoxBlock(), TensorBBox, [], []),
    ],
)
def test_points_and_boxes_are_rows_of_numbers(block, kind, value, rows):
    element = block(value)
    assert (type(element), element.dtype, element.tolist()) == (kind, torch.float32, rows)


@pytest.mark.parametrize(
    ("block", "value", "message"),
    [
        (PointBlock(), [1, 2, 3], r"points must be pairs \(x, y\), but got shape \(3,\)"),
        (PointBlock(), np.zeros((2, 2, 2)), r"points must be pairs \(x, y\), but got shape \(2, 2, 2\)"),
        (BBoxBlock(), [1, 2], r"boxes must be \(left, top, right, bottom\), but got shape \(2,\)"),
        (
            MultiCategoryBlock(encoded=True, vocab=("a", "b")),
            [1],
            r"an encoded label must have 2 numbers, but got shape \(1,\)",
        ),
        (CategoryBlock(("a",)), "b", "label 'b' is not among the 1"),
    ],
)
def test_what_is_none_of_its_kind_is_refused(block, value, message):
    with pytest.raises(LabelError, match=message):
        block(value)


def test_a_label_is_a_number_of_the_vocabulary_and_leads_back_to_its_name():
    block = CategoryBlock().setup(["dog", "cat", "dog"])
    label = block("dog")
    assert (type(label), int(label), block.decode(label), list(block.vocab)) == (
        TensorCategory,
        1,
        "dog",
        ["cat", "dog"],
    )
    assert list(CategoryBlock(add_na=True).setup(["dog", None]).vocab) == ["#na#", "dog"]
    assert list(CategoryBlock(sort=False).setup(["dog", "cat"]).vocab) == ["dog", "cat"]


def test_several_labels_are_zeros_and_ones():
    block = MultiCategoryBlock().setup([["b"], ["a", "c"], []])
    hot = block(["c", "a"])
    assert (type(hot), hot.tolist(), block.decode(hot)) == (TensorMultiCategory, [1, 0, 1], ["a", "c"])
    encoded = MultiCategoryBlock(encoded=True, vocab=("a", "b", "c"))
    assert encoded([0, 1, 1]).tolist() == [0, 1, 1]
    assert encoded.decode(encoded([0, 1, 1])) == ["b", "c"]
    with pytest.raises(LabelError, match=r"encoded labels have no names: give vocab=\[\.\.\.\]"):
        MultiCategoryBlock(encoded=True)


def test_a_block_of_labels_takes_the_names_that_a_cache_has():
    block = CategoryBlock().setup(["cat", "cow", "dog"])
    assert list(with_vocab(block, ["cat", "dog"]).vocab) == ["cat", "dog"]
    for same in (with_vocab(block, None), with_vocab(block, ["cat", "cow", "dog"])):
        assert same is block
    assert with_vocab(PointBlock(), ["a"]) == PointBlock()


def test_a_block_may_be_given_without_parentheses():
    assert as_block(ImageBlock) == as_block(ImageBlock()) == Block("image", ImageBlock().type_tfms)
    for other in ("ImageBlock", 3, None, lambda: 3):
        with pytest.raises(UsageError, match="blocks must be made of ImageBlock, CategoryBlock, MaskBlock, …, but got"):
            as_block(other)


def test_blocks_are_json():
    for block in (CategoryBlock(("a", 7)), MaskBlock(("x",)), MultiCategoryBlock(True, ("a",)), BBoxBlock()):
        again = from_json(to_json(block))
        assert (again.kind, to_json(again)) == (block.kind, to_json(block))
