"""Typed tensors keep their meaning, packed images their pixels; torchvision's types are taken for ours."""

import copy
import pickle

import pytest
import torch
from torchvision import tv_tensors

from onewarp.errors import DispatchError
from onewarp.transforms import Flip, Resize, Transform, fuse
from onewarp.transforms.types import (
    TensorBBox,
    TensorCategory,
    TensorImage,
    TensorMask,
    TensorPoint,
    TypedTensor,
    from_torchvision,
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


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(tv_tensors.Image(torch.ones(3, 4, 4)), TensorImage), (tv_tensors.Mask(torch.ones(4, 4)), TensorMask)],
)
def test_tv_images_and_masks_are_ours(theirs, ours):
    assert type(from_torchvision(theirs)) is ours
    assert torch.equal(from_torchvision(theirs).plain(), theirs.as_subclass(torch.Tensor))


@pytest.mark.parametrize(
    ("layout", "box"), [("XYXY", [1, 2, 4, 6]), ("XYWH", [1, 2, 3, 4]), ("CXCYWH", [2.5, 4, 3, 4])]
)
def test_tv_boxes_of_every_layout_become_corners(layout, box):
    boxes = tv_tensors.BoundingBoxes(torch.tensor([box], dtype=torch.float32), format=layout, canvas_size=(8, 8))
    assert type(from_torchvision(boxes)) is TensorBBox
    assert from_torchvision(boxes).tolist() == [[1, 2, 4, 6]]


def test_tv_key_points_are_points_counted_from_the_edge():
    points = tv_tensors.KeyPoints(torch.tensor([[1.0, 2.0]]), canvas_size=(8, 8))
    assert type(from_torchvision(points)) is TensorPoint
    assert from_torchvision(points).tolist() == [[1.5, 2.5]]  # theirs are counted from the middle of the first pixel


def test_a_rotated_box_is_refused():
    rotated = tv_tensors.BoundingBoxes(torch.ones(1, 5), format="XYWHR", canvas_size=(8, 8))
    with pytest.raises(DispatchError, match="XYWHR"):
        from_torchvision(rotated)


def test_anything_else_stays():
    assert from_torchvision("cat") == "cat"
    assert from_torchvision(3) == 3


@pytest.mark.parametrize("kind", TypedTensor.__subclasses__(), ids=lambda c: c.__name__)
def test_typed_tensors_are_copied_saved_and_loaded_by_default(kind, tmp_path):
    value = kind(torch.rand(2, 4))
    value.note = ["mine"]
    copied = copy.deepcopy({"a": value, "b": value})
    assert type(copied["a"]) is kind
    assert copied["a"] is copied["b"]
    assert copied["a"].note == ["mine"]
    assert copied["a"].note is not value.note
    copied["a"].zero_()
    assert value.plain().any()
    torch.save({"x": value, "rest": [1, (value,)]}, tmp_path / "sample.pt")
    loaded = torch.load(tmp_path / "sample.pt")
    assert type(loaded["x"]) is kind
    assert torch.equal(loaded["rest"][1][0], value)
    assert type(pickle.loads(pickle.dumps(value))) is kind


@pytest.mark.parametrize("layout", ["XYXY", "XYWH", "CXCYWH"])
def test_tv_tensors_come_back_as_they_were_given_and_move_as_torchvision_moves_them(layout):
    """Against torchvision's own mirror, which moves no pixel between two."""
    v2 = pytest.importorskip("torchvision.transforms.v2")
    corners = tv_tensors.BoundingBoxes(torch.tensor([[1.0, 2, 4, 6], [0, 0, 8, 7]]), format="XYXY", canvas_size=(7, 8))
    boxes = v2.functional.convert_bounding_box_format(corners, new_format=layout)
    points = tv_tensors.KeyPoints(torch.tensor([[0.0, 2.0], [7.0, 6.0]]), canvas_size=(7, 8))
    image = tv_tensors.Image(torch.randint(0, 256, (3, 7, 8), dtype=torch.uint8))
    mask = tv_tensors.Mask(torch.randint(0, 9, (7, 8)))
    sample = (image, mask, points, boxes)
    for ours in (fuse([Flip(draw=1)]), Flip(draw=1)):
        done = ours(sample)
        for mine, theirs in zip(done, v2.RandomHorizontalFlip(p=1)(*sample), strict=True):
            assert type(mine) is type(theirs)
            torch.testing.assert_close(torch.Tensor(mine), torch.Tensor(theirs), check_dtype=False)
        assert done[3].format.value == layout
    smaller = fuse([Resize((4, 5))])(sample, split="valid")
    assert smaller[2].canvas_size == smaller[3].canvas_size == (4, 5)


def test_tv_tensors_that_nothing_is_done_to_stay_what_they_are():
    box = tv_tensors.BoundingBoxes(torch.ones(1, 4), format="XYWH", canvas_size=(8, 8))

    class OnImages(Transform):
        def encode(self, x: TensorImage):
            return x + 1

    image = tv_tensors.Image(torch.zeros(3, 8, 8))
    done = OnImages()((image, box, "cat"))
    assert done[1] is box
    assert type(done[0]) is tv_tensors.Image
