"""What plans are composed of: sizes, frames and matrices by hand, and effects that follow one another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.transforms.plan import (
    Composition,
    Plan,
    Segment,
    Stage,
    apply_table,
    common_size,
    compose,
    compose_effects,
    cover,
    crop_matrix,
    frames_of,
    from_pixels,
    height_width,
    scaling,
    to_pixels,
)

WARP = Segment("warp", (0,), "the source is read")
SIDES = st.integers(1, 400)


def frame(*sizes):
    return np.array(sizes, np.float64)


def corners(matrix, low=-1.0, high=1.0):
    """Where a matrix takes two corners."""
    moved = matrix @ np.array([[low, high], [low, high], [1.0, 1.0]])
    return (moved[:2] / moved[2]).T.tolist()


def test_a_size_is_one_number_or_two():
    assert height_width(5) == height_width((5, 5)) == height_width(np.int64(5)) == (5, 5)
    assert height_width([3, 4]) == (3, 4)


@pytest.mark.parametrize("size", [2.5, (1, 2, 3), "8", None, (4,), (4, 2.0)])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(UsageError, match=r"size must be a whole number, or \(height, width\), of pixels, but got"):
        height_width(size)


@pytest.mark.parametrize("size", [0, -1, (0, 4), (4, -4)])
def test_a_size_without_pixels_is_refused(size):
    with pytest.raises(UsageError, match="size must be at least 1 pixel on each side"):
        height_width(size)


def test_images_have_a_common_size_where_all_round_to_it():
    assert common_size(frame((10, 20), (10.4, 19.6))) == (10, 20)
    assert common_size(frame((10, 20), (11, 20))) is None
    assert common_size(frame((0.2, 0.2))) == (1, 1)  # no image is without pixels
    assert common_size(np.empty((0, 2))) is None


@given(SIDES, SIDES)
def test_pixels_and_normalised_coordinates_are_inverse(h, w):
    to, back = to_pixels(frame((h, w)))[0], from_pixels(frame((h, w)))[0]
    assert corners(to) == pytest.approx(np.array([[0, 0], [w, h]]))
    assert to @ back == pytest.approx(np.eye(3))


@given(SIDES, SIDES, SIDES, SIDES)
def test_the_largest_box_of_an_aspect_lies_in_the_frame_and_the_smallest_around_it(h, w, high, wide):
    inside, around = cover(frame((h, w)), frame((high, wide))), cover(frame((h, w)), frame((high, wide)), inside=False)
    for share, extreme in ((inside, inside.max()), (around, around.min())):
        assert extreme == pytest.approx(1)  # it touches the frame on one axis
        assert w * share[0, 0] / (h * share[0, 1]) == pytest.approx(wide / high)


def test_a_crop_lies_where_it_is_asked_for_in_the_room_that_there_is():
    share, at = np.array([[0.5, 0.25]]), np.array([1.0])
    assert corners(crop_matrix(share, at, 0 * at)[0]) == [[0.0, -1.0], [1.0, -0.5]]  # the right end, and the top
    assert corners(crop_matrix(share, at / 2, at / 2)[0]) == [[-0.5, -0.25], [0.5, 0.25]]


def test_nothing_stands_for_the_identity():
    matrix = crop_matrix(np.array([[0.5, 0.5]]), np.zeros(1), np.zeros(1))
    assert compose(None, None) is None
    assert compose(matrix, None) is compose(None, matrix) is matrix
    assert np.array_equal(compose(matrix, matrix), matrix @ matrix)
    assert scaling(np.ones((3, 2))) is None
    assert np.diagonal(scaling(np.array([[2.0, 3.0]]))[0]).tolist() == [2, 3, 1]


def test_a_table_is_read_between_two_levels_and_not_beyond_its_ends():
    table = np.array([np.arange(256.0) ** 2])
    assert apply_table(table, np.array([[3.0, 3.5, 255.0, -4.0, 300.0]])).tolist() == [[9, 12.5, 255**2, 0, 255**2]]


@given(st.lists(st.floats(-2, 2), min_size=24, max_size=24), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_affine_maps_that_follow_one_another_are_one(values, colour):
    first, second = np.array(values).reshape(2, 1, 3, 4)
    one = compose_effects(Stage.RGB, first, second)[0]
    by_hand = second[0] @ [*(first[0] @ [*colour, 1]), 1]
    assert one @ [*colour, 1] == pytest.approx(by_hand)


def test_tables_that_follow_one_another_are_one_and_hues_add_up():
    levels = np.linspace(0, 1, 256)[None]
    assert compose_effects(Stage.TABLE, 1 - levels, levels**2) == pytest.approx((1 - levels) ** 2, abs=1e-9)
    assert compose_effects(Stage.HUE, np.array([0.25]), np.array([0.5])).tolist() == [0.75]


def test_a_step_multiplies_its_matrices_and_ends_in_whole_pixels():
    composition = Composition(frame((10, 20)))
    composition.move(np.diag([0.5, 1.0, 1.0])[None], frame((10, 10)), "zeros")
    composition.move(None, frame((4.4, 5.0)), None)
    composition.recolour(Stage.HUE, np.array([0.25]))
    composition.recolour(Stage.HUE, np.array([0.125]))
    step = composition.step(WARP)
    assert (step.size, step.padding, composition.frame.tolist()) == ((4, 5), "zeros", [[4, 5]])
    assert corners(step.matrix[0], 0.0, 4.0) == pytest.approx(
        np.array([[5, 0], [13, 10]])
    )  # the middle half, by 2 and 2.5
    assert step.colour[Stage.HUE].tolist() == [0.375]


def test_a_step_that_moves_nothing_has_no_matrix():
    composition = Composition(frame((10, 20)))
    composition.recolour(Stage.RGB, np.eye(3, 4)[None])
    step = composition.step(Segment("colour", (0,), "it follows a barrier"))
    assert (step.matrix, step.size) == (None, (10, 20))


def test_a_plan_has_the_matrix_of_all_its_steps():
    half, moved = Composition(frame((8, 8))), Composition(frame((4, 4)))
    half.move(None, frames_of(4, half.frame), None)
    moved.move(np.array([[[1.0, 0, 0.5], [0, 1, 0], [0, 0, 1]]]), moved.frame, None)
    plan = Plan((half.step(WARP), moved.step(WARP)), half.source)
    assert plan.matrix[0] == pytest.approx(np.array([[2, 0, 2], [0, 2, 0], [0, 0, 1]]))
    assert plan.size == (4, 4)
    assert Plan((), frame((3, 5))).size == (3, 5)
    assert Plan((), frame((3, 5))).matrix.tolist() == np.eye(3)[None].tolist()
