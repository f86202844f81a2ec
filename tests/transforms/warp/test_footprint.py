"""How a pixel's footprint is measured, divided and weighed, worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from onewarp.transforms.warp.footprint import moves_whole_pixels, subpixels, taps


def matrix(*rows: tuple[float, float, float]) -> Tensor:
    return torch.tensor([rows], dtype=torch.float32)


@pytest.mark.parametrize("extent", [0.0, 0.5, 1.0, 1.7, 2.0, 3.0])
def test_taps_sum_to_one_and_keep_a_ramp(extent):
    fraction = torch.linspace(0, 1, 11, dtype=torch.float64)
    weights = torch.stack(taps(fraction, torch.full_like(fraction, extent)))
    torch.testing.assert_close(weights.sum(0), torch.ones(11, dtype=torch.float64))
    torch.testing.assert_close((weights * torch.tensor([[-1.0], [0], [1], [2]])).sum(0), fraction)


def test_taps_worked_by_hand():
    one = torch.tensor(1.0, dtype=torch.float64)
    # At a pixel's centre the outer weights are .067 s^2 up to s = 1, then .14 more for each pixel.
    assert [float(w) for w in taps(0 * one, one)] == pytest.approx([0.067, 0.866, 0.067, 0])
    assert [float(w) for w in taps(0 * one, 2 * one)] == pytest.approx([0.207, 0.586, 0.207, 0])
    # Half way at s = 1, r = .26, p = .067 - .26: .5 (p + .25 r) = -.064, and .5 + .064.
    assert [float(w) for w in taps(0.5 * one, one)] == pytest.approx([-0.064, 0.564, 0.564, -0.064])


def test_a_tile_is_divided_by_the_sides_and_the_lean_of_its_pixels():
    def counts(*rows, size=(32, 32)):
        return subpixels(matrix(*rows), size).tolist()

    third = (0.0, 0.0, 1.0)
    assert counts((1, 0, 0), (0, 1, 0), third) == [[[[1, 1]]]]
    assert counts((3, 0, 0), (0, 3, 0), third) == [[[[1, 1]]]]
    assert counts((4, 0, 0), (0, 4, 0), third) == [[[[2, 2]]]]
    assert counts((0, 4, 0), (16, 0, 0), third) == [[[[8, 2]]]]
    assert counts((99, 0, 0), (0, 1, 0), third) == [[[[8, 1]]]]
    # 2.5 by .5, turned by 45 degrees, leans by (2.5^2 - .5^2) / 2 = 3: more than 2.
    c = math.sqrt(0.5)
    assert counts((2.5 * c, -0.5 * c, 0), (2.5 * c, 0.5 * c, 0), third) == [[[[2, 1]]]]
    # x = u / (1 - u / 80): dx/du = w^-2 is 1 at u = 0, 2.78 at 32 (w = .6), 6.25 at 48 (w = .4).
    assert counts((1, 0, 0), (0, 0.1, 0), (-1 / 80, 0, 1), size=(1, 48)) == [[[[1, 1], [4, 1]]]]
    assert counts((1, 0, 0), (0, 1, 0), (-1, 0, 20)) == [[[[8, 8]]]]
    assert subpixels(torch.empty(0, 3, 3), (33, 65)).shape == (0, 2, 3, 2)


def test_only_whole_pixel_moves_are_copies():
    third = (0.0, 0.0, 1.0)
    copies = [((1, 0, 7), (0, 1, -3), third), ((-1, 0, 4), (0, 1, 0), third), ((0, 1, 0), (-1, 0, 4), third)]
    softened = [((1, 0, 0.5), (0, 1, 0), third), ((1, 0.001, 0), (0, 1, 0), third), ((1, 0, 0), (1, 0, 0.1), third)]
    homographies = torch.tensor([*copies, *softened])
    assert moves_whole_pixels(homographies, (4, 4)).tolist() == [True] * 3 + [False] * 3
    # An odd width turned about a corner: the centre of the first pixel still has to fall on a centre.
    assert moves_whole_pixels(torch.tensor([[(-1, 0, 4.5), (0, 1, 0), third]]), (4, 4)).tolist() == [False]
