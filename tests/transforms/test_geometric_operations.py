"""The operations that move pixels, by their numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.transforms.draw import Draw
from onewarp.transforms.geometric_operations import (
    AFFINE,
    CROP,
    DIHEDRAL,
    HOMOGRAPHY,
    PERSPECTIVE,
    RANDOM_CROP,
    ZOOM,
    perspective,
)
from onewarp.transforms.operations import constant
from onewarp.transforms.warp.opcodes import NUMBERS, Flag

WIDE = np.array([[100.0, 300.0]])


def carried_out(operation, flags=0, constants=(), frame=WIDE, **operands):
    """The matrix for one sample, and the frame that is left."""
    row = operation.row(flags=flags, constants=constants, **{name: constant(value) for name, value in operands.items()})
    params = row.complete(row.decide(Draw(np.zeros((1, NUMBERS)))), 1)
    return operation.matrix(row, params, frame)[0], operation.leaves(row, params, frame)[0].tolist()


def at(matrix, x, y):
    x, y, w = matrix @ [x, y, 1]
    return [x / w, y / w]


@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_a_perspective_takes_its_corners_to_those_of_the_square(x, y):
    corners = np.array([[-1 - y, -1 - x, 1], [1 + y, -1 + x, 1], [1 - y, 1 - x, 1], [-1 + y, 1 + x, 1]])
    moved = corners @ perspective(np.array([x]), np.array([y]))[0].T
    assert np.allclose(moved[:, :2] / moved[:, 2:], [[-1, -1], [1, -1], [1, 1], [-1, 1]])


def test_a_turn_is_rigid_in_pixels():
    matrix, left = carried_out(AFFINE, degrees=90.0)
    assert at(matrix, 1 / 3, 0) == pytest.approx([0, -1])  # 50 pixels to the right of the middle: 50 above it
    assert left == [100, 300]


def test_an_affine_map_moves_last_and_scales_about_the_middle():
    matrix, _ = carried_out(AFFINE, x=0.25, y=-0.5, scale=2.0)
    assert at(matrix, 0.5, -1.0) == pytest.approx([0, 0])  # the middle has moved by a quarter and a half of the frame
    assert at(matrix, 1.5, -1.0) == pytest.approx([0.5, 0])


def test_shears_lean_by_their_degrees_along_x_and_then_along_y():
    square = np.array([[100.0, 100.0]])
    along_x, _ = carried_out(AFFINE, frame=square, shear_x=45.0)
    assert at(along_x, 1, 1) == pytest.approx([0, 1])
    both, _ = carried_out(AFFINE, frame=square, shear_x=45.0, shear_y=45.0)
    assert np.linalg.inv(both)[:2, :2] == pytest.approx(np.array([[1, 1], [1, 2]]))


@pytest.mark.parametrize(
    ("k", "corner"), [(0, [1, 1]), (1, [-1, 1]), (2, [1, -1]), (3, [-1, -1]), (4, [1, 1]), (5, [-1, 1]), (6, [1, -1])]
)
def test_bits_of_a_symmetry_mirror_x_mirror_y_and_transpose(k, corner):
    matrix, left = carried_out(DIHEDRAL, Flag.TURNS, k=float(k))
    assert at(matrix, 1, 1) == corner
    assert left == ([300, 100] if k >= 4 else [100, 300])
    x, y = at(matrix, 1, 0), at(matrix, 0, 1)
    assert (x[0] == 0) == (y[1] == 0) == (k >= 4)  # whether the axes have changed places


def test_a_mirror_turns_no_frame():
    assert carried_out(DIHEDRAL, k=1.0)[1] == [100, 300]


def test_a_zoom_keeps_its_point_where_it_is():
    matrix, _ = carried_out(ZOOM, zoom=2.0, x=0.25, y=1.0)
    assert at(matrix, -0.5, 1.0) == pytest.approx([-0.5, 1.0])
    assert at(matrix, 1, 1)[0] - at(matrix, -1, 1)[0] == pytest.approx(1)


def test_no_perspective_is_the_identity():
    assert carried_out(PERSPECTIVE, x=0.0, y=0.0)[0] == pytest.approx(np.eye(3))


@pytest.mark.parametrize(
    ("flags", "corner"), [(0, [1 / 3, 1]), (Flag.PAD, [1, 3]), (Flag.SQUISH, [1, 1])], ids=["crop", "pad", "squish"]
)
def test_a_crop_takes_the_largest_box_the_smallest_around_or_all(flags, corner):
    matrix, left = carried_out(CROP, flags, (64, 64), x=0.5, y=0.5)
    assert at(matrix, 1, 1) == pytest.approx(corner)
    assert left == [64, 64]


def test_a_random_crop_has_its_area_and_aspect_or_is_as_large_as_fits():
    square = np.array([[100.0, 100.0]])
    box = {"x": 0.0, "y": 0.0, "share": 1.0}
    matrix, left = carried_out(RANDOM_CROP, 0, (8, 16), square, area=0.5, ratio=2.0, **box)
    assert [at(matrix, -1, -1), at(matrix, 1, 1)] == [pytest.approx([-1, -1]), pytest.approx([1, 0])]
    assert left == [8, 16]
    most, _ = carried_out(RANDOM_CROP, 0, (8, 16), square, area=9.0, ratio=4.0, **{**box, "share": 0.5})
    assert at(most, 1, 1) == pytest.approx([0, -0.75])  # 100 wide and 25 high, of which half


def test_a_homography_is_its_constants():
    assert carried_out(HOMOGRAPHY, constants=tuple(range(1, 10)))[0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
