"""Points and boxes under a homography."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.transforms.augment import fuse
from onewarp.transforms.geometry import (
    Flip,
    Rotate,
)
from onewarp.transforms.targets import area, keep_visible, move_boxes, move_points, visibility
from onewarp.transforms.types import TensorBBox, TensorImage


@given(st.lists(st.tuples(*[st.floats(-50, 150, width=32)] * 4), min_size=1, max_size=5))
def test_a_box_that_is_none_becomes_empty_and_is_never_turned_round(corners):
    boxes = TensorBBox(corners)
    moved = fuse([Flip(draw=1), Rotate(draw=180, p=1)], min_visible=0.0)((TensorImage(torch.zeros(3, 100, 100)), boxes))
    for (left, top, right, bottom), box in zip(corners, moved[1].tolist(), strict=True):
        assert box == [0] * 4 or (left <= right and top <= bottom)
        assert box[0] <= box[2]
        assert box[1] <= box[3]


def test_a_point_behind_the_horizon_is_no_number():
    tilted = np.array([[1.0, 0, 0], [0, 1, 0], [-1, 0, 2]])  # w is 2 - x
    moved = move_points(torch.tensor([[1.0, 3.0], [2.0, 1.0], [5.0, 1.0]]), tilted)
    assert moved[0].tolist() == [1, 3]
    assert moved[1:].isnan().all()


def test_whole_numbers_become_floats_and_floats_keep_their_kind():
    half = np.diag([0.5, 0.5, 1.0])
    assert move_points(torch.tensor([[1, 3]]), half).tolist() == [[0.5, 1.5]]
    assert move_points(torch.tensor([[1.0, 3.0]], dtype=torch.float16), half).dtype == torch.float16


def test_a_turned_box_is_the_upright_one_around_its_corners():
    c = np.sqrt(0.5)
    turned = np.array([[c, -c, 0], [c, c, 0], [0, 0, 1]])
    box = move_boxes(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), turned)[0].tolist()
    assert box == pytest.approx([-2 * c, 0, 2 * c, 4 * c], abs=1e-6)


def test_each_sample_of_a_batch_has_its_own_matrix():
    points = torch.tensor([[[1.0, 1.0]], [[1.0, 1.0]]])
    moved = move_points(points, np.stack([np.diag([2.0, 1.0, 1.0]), np.diag([1.0, 3.0, 1.0])]))
    assert moved.tolist() == [[[2, 1]], [[1, 3]]]


def test_what_is_seen_of_a_box_is_a_share_of_its_area():
    boxes = torch.tensor([[0.0, 0, 4, 4], [-2, 0, 2, 4], [-4, -4, 0, 0], [1, 1, 1, 3], [-2, -2, 2, 2]])
    assert visibility(boxes, (4, 4)).tolist() == [1, 0.5, 0, 0, 0.25]
    assert area(boxes).tolist() == [16, 16, 16, 0, 16]


@pytest.mark.parametrize(("at_least", "kept"), [(0.0, 3), (0.25, 3), (0.3, 2), (0.5, 2), (0.51, 1), (1.0, 1)])
def test_boxes_are_cut_to_the_frame_and_those_of_which_too_little_is_seen_are_empty(at_least, kept):
    boxes = torch.tensor([[0.0, 0, 4, 4], [-2, 0, 2, 4], [-4, -4, 0, 0], [-2, -2, 2, 2]])
    visible = keep_visible(boxes, (4, 4), at_least)
    assert len(visible) == len(boxes)
    assert int((area(visible) > 0).sum()) == kept
    assert visible[2].tolist() == [0, 0, 0, 0]
    assert visible.min() >= 0
    assert visible.max() <= 4
