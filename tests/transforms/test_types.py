"""Typed tensors keep their meaning, packed images their pixels; torchvision's types are taken for ours."""

import numpy as np
import pytest
import torch
from torchvision import tv_tensors

from onewarp.errors import DispatchError
from onewarp.transforms.types import (
    Packed,
    TensorBBox,
    TensorCategory,
    TensorImage,
    TensorMask,
    TensorPoint,
    typed,
)


def test_operations_keep_the_class():
    image = TensorImage(torch.ones(3, 2, 4))
    assert type(image * 2) is type(image.float()) is type(image[:, :1]) is TensorImage
    assert image.size_hw == (2, 4)


def test_two_classes_together_give_a_plain_tensor():
    assert type(TensorImage(torch.ones(3, 2, 2)) * TensorMask(torch.ones(2, 2))) is torch.Tensor


def test_wrapping_shares_memory():
    data = torch.zeros(3, 2, 2)
    TensorImage(data).add_(1)
    assert data.sum() == 12


def test_plain_and_item():
    assert type(TensorCategory(3).plain()) is torch.Tensor
    assert TensorCategory(3).item() == 3


def test_packed_gives_each_image_back():
    images = [
        np.random.default_rng(i).integers(0, 255, (h, w, 3), np.uint8) for i, (h, w) in enumerate([(2, 3), (5, 1)])
    ]
    packed = Packed.of(images)
    assert len(packed) == 2
    assert all(np.array_equal(packed[i], image) for i, image in enumerate(images))
    assert len(Packed.of([])) == 0


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(tv_tensors.Image(torch.ones(3, 4, 4)), TensorImage), (tv_tensors.Mask(torch.ones(4, 4)), TensorMask)],
)
def test_tv_images_and_masks_are_ours(theirs, ours):
    assert type(typed(theirs)) is ours
    assert torch.equal(typed(theirs).plain(), theirs.as_subclass(torch.Tensor))


@pytest.mark.parametrize(
    ("layout", "box"), [("XYXY", [1, 2, 4, 6]), ("XYWH", [1, 2, 3, 4]), ("CXCYWH", [2.5, 4, 3, 4])]
)
def test_tv_boxes_of_every_layout_become_corners(layout, box):
    boxes = tv_tensors.BoundingBoxes(torch.tensor([box], dtype=torch.float32), format=layout, canvas_size=(8, 8))
    assert type(typed(boxes)) is TensorBBox
    assert typed(boxes).tolist() == [[1, 2, 4, 6]]


def test_tv_key_points_are_points():
    points = tv_tensors.KeyPoints(torch.tensor([[1.0, 2.0]]), canvas_size=(8, 8))
    assert type(typed(points)) is TensorPoint


def test_a_rotated_box_is_refused():
    rotated = tv_tensors.BoundingBoxes(torch.ones(1, 5), format="XYWHR", canvas_size=(8, 8))
    with pytest.raises(DispatchError, match="XYWHR"):
        typed(rotated)


def test_anything_else_stays():
    assert typed("cat") == "cat"
    assert typed(3) == 3
