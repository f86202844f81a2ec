"""Maps of a chain: the order in which they are composed, and where pixels lie by each convention."""

import numpy as np

from onewarp.benchmarks.measuring import homographies


def test_conventions_of_pixels():
    """By edges the outline of the frame stays, by corners the centres of the outermost pixels."""
    half = np.diag([0.5, 0.5, 1])
    edges, corners = (homographies.of_normalised(half, 100, corners=c) for c in (False, True))
    np.testing.assert_allclose(edges @ [0, 0, 1], [25, 25, 1])
    np.testing.assert_allclose(corners @ [0.5, 0.5, 1], [25.25, 25.25, 1])
    shift = np.array([[1, 0, 1], [0, 1, -1], [0, 0, 1.0]])
    for corners, pixels in ((False, 50), (True, 49.5)):
        moved = homographies.of_normalised(shift, 100, corners)
        np.testing.assert_allclose(moved @ [0, 0, 1], [pixels, -pixels, 1])
    crop = homographies.of_crop(10, 20, 40, 20)
    np.testing.assert_allclose(homographies.of_indices(crop) @ [0, 0, 1], [10.5, 20.5, 1])


def test_a_crop_by_corners_maps_centres_of_outermost_pixels_to_each_other():
    crop = homographies.of_crop(10, 20, 40, 14, corners=True)
    np.testing.assert_allclose(crop @ [0.5, 0.5, 1], [10.5, 20.5, 1])
    np.testing.assert_allclose(crop @ [13.5, 13.5, 1], [49.5, 59.5, 1])


def test_the_last_operation_of_a_chain_is_the_first_that_an_output_pixel_goes_through():
    enlarge, shift = np.diag([0.5, 0.5, 1]), np.array([[1, 0, 6], [0, 1, 0], [0, 0, 1.0]])
    np.testing.assert_allclose(homographies.compose([enlarge, shift]) @ [2, 4, 1], [4, 2, 1])
    np.testing.assert_allclose(homographies.compose([shift, enlarge]) @ [2, 4, 1], [7, 2, 1])


def test_samples_lie_evenly_in_each_pixel():
    x, y = homographies.positions(np.array([[2, 0, 0], [0, 1, 10], [0, 0, 2.0]]), size=2, samples=2)
    np.testing.assert_allclose(x[0], [0.25, 0.75, 1.25, 1.75])  # 2 u / 2
    np.testing.assert_allclose(y[:, 0], [5.125, 5.375, 5.625, 5.875])  # (v + 10) / 2


def test_pixels_count_that_lie_inside_every_frame_of_the_chain():
    left = np.array([[1, 0, -3], [0, 1, 0], [0, 0, 1.0]])
    back = np.array([[1, 0, 3], [0, 1, 0], [0, 0, 1.0]])
    straight = homographies.inside([np.eye(3)], side=12, size=12)
    assert np.argwhere(straight).min() == 4  # 3.5 is less than the margin away from the edge
    assert np.argwhere(straight).max() == 7
    through = homographies.inside([left, back], side=12, size=12, margin=2)
    assert np.flatnonzero(through[5]).tolist() == [2, 3, 4, 5, 6]  # 9.5 and 3 more is no more than 2 inside
    assert np.flatnonzero(through[:, 5]).tolist() == list(range(2, 10))
    turned = homographies.inside([left[[1, 0, 2]][:, [1, 0, 2]]], side=12, size=12, margin=2)
    assert np.flatnonzero(turned[:, 5]).tolist() == [5, 6, 7, 8, 9]  # 3 less is more than 2 inside


def test_means_over_boxes():
    images = np.arange(32.0).reshape(2, 4, 4)
    np.testing.assert_allclose(homographies.box_means(images, 2)[0], [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_allclose(homographies.box_means(images, 4), [[[7.5]], [[23.5]]])
