"""One operation at a time: the same map as the fused warp, and values worked out by hand."""

import numpy as np
import pytest
import torch

from onewarp.benchmarks import one_by_one
from onewarp.benchmarks.correctness import SOFTENED


@pytest.mark.parametrize("way", [one_by_one.in_kernel, one_by_one.in_torch])
def test_one_at_a_time_passes_the_gate_and_half_a_pixel_does_not(rows, plans, gate, shift_plan, way):
    images = torch.from_numpy(rows)
    assert gate.hold(way(images, plans[1]), SOFTENED).holds
    assert not gate.hold(way(images, shift_plan(plans[1], 0.5)), SOFTENED).holds


def test_a_shift_by_whole_pixels_moves_them_and_the_edge_is_reflected():
    batch = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(1, 3, 1, 1)
    matrix = np.array([[[1, 0, 1], [0, 1, 0], [0, 0, 1.0]]])  # the output's pixel 0 is the source's pixel 1
    found = one_by_one.resample(batch, matrix, (4, 4))
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([1.0, 2, 3, 3]))
    torch.testing.assert_close(found[0, 2, 3], torch.tensor([13.0, 14, 15, 15]))


def test_half_the_size_takes_what_lies_in_the_middle_of_four_pixels():
    batch = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(1, 3, 1, 1)
    found = one_by_one.resample(batch, np.diag([2.0, 2, 1])[None], (2, 2))
    torch.testing.assert_close(found[0, 1], torch.tensor([[2.5, 4.5], [10.5, 12.5]]))


def test_colour_maps_scale_shift_and_mix_channels():
    batch = torch.tensor([1.0, 2, 3]).reshape(1, 3, 1, 1)
    scale = np.array([[[2, 0, 0, 1], [0, 3, 0, 0], [0, 0, 4, -1.0]]])
    assert one_by_one.affine(batch, scale).flatten().tolist() == [3, 6, 11]
    mixture = np.array([[[0, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 0.5]]])
    assert one_by_one.affine(batch, mixture).flatten().tolist() == [2, 3, 6.5]
