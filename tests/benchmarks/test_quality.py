import numpy as np
import pytest

from onewarp.benchmarks import quality
from onewarp.benchmarks.augment import ALONE, FUSED, PLAIN
from onewarp.benchmarks.measuring import maps
from onewarp.benchmarks.truth import Spline, psnr

pytest.importorskip("scipy", reason="the truth is scipy's spline")


@pytest.fixture(scope="module")
def image():
    y, x = np.mgrid[0:96, 0:96]
    return np.stack([127 + 100 * np.sin(x / 5 + k) * np.cos(y / 6) for k in range(3)], -1).round().astype(np.uint8)


def test_the_truth_of_a_shift_is_the_function_between_pixels(image):
    """The sampled function is known between the pixels too; its mean over a pixel is sin(h)/h of it along each axis."""
    shift = np.array([[1, 0, 10.3], [0, 1, 20.6], [0, 0, 1.0]])
    found = Spline(image).under(shift, 40)
    y, x = np.mgrid[0:40, 0:40]
    mean = np.sinc(0.1 / np.pi) * np.sinc(1 / 12 / np.pi)
    expected = 127 + 100 * mean * np.sin((x + 10.3) / 5) * np.cos((y + 20.6) / 6)
    assert np.abs(found[..., 0] - expected)[4:-4, 4:-4].max() < 0.7  # bytes are rounded


def test_a_map_that_is_off_loses_decibels(image):
    matrix = maps.of_crop(8.0, 8.0, 64.0, 40)
    truth = Spline(image).under(matrix, 40)
    kept = maps.inside([matrix], 96, 40)
    right = quality.interleaved(quality.warped(image, matrix, 40, "cpu")) * 255
    off = quality.interleaved(quality.warped(image, maps.of_crop(8.2, 8.0, 64.0, 40), 40, "cpu")) * 255
    assert psnr(right, truth, kept) > 45
    assert psnr(off, truth, kept) < psnr(right, truth, kept) - 8


def test_conventions_of_pixels():
    """By edges the outline of the frame stays, by corners the centres of the outermost pixels."""
    half = np.diag([0.5, 0.5, 1])
    edges, corners = (maps.of_normalised(half, 100, corners=c) for c in (False, True))
    np.testing.assert_allclose(edges @ [0, 0, 1], [25, 25, 1])
    np.testing.assert_allclose(corners @ [0.5, 0.5, 1], [25.25, 25.25, 1])
    np.testing.assert_allclose(maps.of_indices(maps.of_crop(10, 20, 40, 20)) @ [0, 0, 1], [10.5, 20.5, 1])


def test_rows_for_every_contender(image, monkeypatch):
    monkeypatch.setattr(quality, "SIZE", 48)
    rows = quality.chains(image[None])
    level = {row["name"]: row["psnr"]["mean"] for row in rows if row["status"] == "measured"}
    assert {FUSED, PLAIN, ALONE} <= level.keys()
    assert {row["name"] for row in rows} >= set(quality.PEERS)  # who is absent is a row too
    assert level[FUSED] > level[ALONE]


def test_reductions_are_filtered(image):
    rows = quality.reductions(image[None])
    for setting in ("shrink 4", "anisotropy 6:1"):
        assert quality.level(rows, FUSED, setting) > quality.level(rows, quality.BILINEAR, setting) - 1
