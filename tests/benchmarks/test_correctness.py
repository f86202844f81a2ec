"""The gate lets our warp pass, and stops what is off by less than anybody would see."""

import pytest
import torch

from onewarp.benchmarks import augment
from onewarp.benchmarks.correctness import EXACT, ROUNDED
from onewarp.transforms.augment import fuse


@pytest.mark.parametrize("antialias", [True, False])
def test_the_warp_passes_and_a_fifth_of_a_pixel_does_not(rows, plans, gate, shift_plan, antialias):
    warp, images = fuse(augment.recipe(), antialias=antialias), torch.from_numpy(rows)
    assert gate.hold(warp.images(images, plans[0]), EXACT[antialias]).holds
    assert not gate.hold(warp.images(images, shift_plan(plans[0], 0.2)), EXACT[antialias]).holds


def test_what_opencv_may_round_is_less_than_half_a_pixel(rows, plans, gate, shift_plan):
    warp = fuse(augment.recipe(), antialias=False)
    assert not gate.hold(warp.images(torch.from_numpy(rows), shift_plan(plans[0], 0.5)), ROUNDED).holds


def test_colours_of_another_image_and_numbers_that_are_none_are_stopped(rows, plans, gate):
    batch = fuse(augment.recipe()).images(torch.from_numpy(rows), plans[0])
    assert not gate.hold(batch * 1.03, EXACT[True]).holds
    assert not gate.hold(torch.full_like(batch, torch.nan), EXACT[True]).holds
