"""The truth that pictures are held against, where it is known by formula."""

import numpy as np
import pytest

from onewarp.benchmarks.measuring import homographies
from onewarp.benchmarks.quality import to_interleaved, warp_image
from onewarp.benchmarks.spline_truth import Spline, psnr

pytest.importorskip("scipy", reason="the truth is scipy's spline")


def test_the_truth_of_a_shift_is_the_function_between_pixels(wave):
    """The sampled function is known between the pixels too; its mean over a pixel is sin(h)/h of it along each axis."""
    shift = np.array([[1, 0, 10.3], [0, 1, 20.6], [0, 0, 1.0]])
    found = Spline(wave).under(shift, 40)
    y, x = np.mgrid[0:40, 0:40]
    mean = np.sinc(0.1 / np.pi) * np.sinc(1 / 12 / np.pi)
    expected = 127 + 100 * mean * np.sin((x + 10.3) / 5) * np.cos((y + 20.6) / 6)
    assert np.abs(found[..., 0] - expected)[4:-4, 4:-4].max() < 0.7  # bytes are rounded


def test_a_map_that_is_off_loses_decibels(wave):
    matrix = homographies.of_crop(8.0, 8.0, 64.0, 40)
    truth = Spline(wave).under(matrix, 40)
    kept = homographies.inside([matrix], 96, 40)
    right = to_interleaved(warp_image(wave, matrix, 40, "cpu")) * 255
    off = to_interleaved(warp_image(wave, homographies.of_crop(8.2, 8.0, 64.0, 40), 40, "cpu")) * 255
    assert psnr(right, truth, kept) > 45
    assert psnr(off, truth, kept) < psnr(right, truth, kept) - 8


def test_decibels_are_of_the_pixels_that_count_and_of_levels_that_a_byte_has():
    expected, kept = np.zeros((2, 2, 3)), np.array([[True, True], [True, False]])
    found = expected.copy()
    found[0, 0], found[1, 1] = 3.0, 100.0  # the last one does not count
    assert psnr(found, expected, kept) == pytest.approx(10 * np.log10(255**2 / 3))
    assert psnr(np.full((2, 2, 3), 400.0), np.full((2, 2, 3), 255.0), kept) == pytest.approx(
        10 * np.log10(255**2 / 1e-12)
    )
