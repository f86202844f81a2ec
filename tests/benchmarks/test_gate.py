from dataclasses import replace

import numpy as np
import pytest
import torch

from onewarp.benchmarks import alone, augment
from onewarp.benchmarks.gate import EXACT, ROUNDED, SOFTENED, Gate
from onewarp.benchmarks.peers.augmenting import MEAN, STD, colour_tables
from onewarp.transforms.augment import fuse
from onewarp.transforms.plan import Plan


@pytest.fixture(scope="module")
def rows():
    """Two smooth pictures of 200 pixels with edges, as photos have them."""
    y, x = np.mgrid[0:200, 0:200] / 200
    wave = np.stack([np.sin(9 * x + 3 * y + k) * np.cos(7 * y - k) for k in range(3)], -1)
    pictures = np.stack([127 + 90 * wave, 127 + 60 * wave + 50 * (x > 0.5)[..., None]])
    return pictures.round().astype(np.uint8)


@pytest.fixture(scope="module")
def plans(rows):
    sizes, keys = np.full((2, 2), 200), np.arange(2, dtype=np.uint64)
    return [fuse(augment.recipe(), one_by_one=o).plan(sizes, keys, 5, split="train") for o in (False, True)]


@pytest.fixture(scope="module")
def gate(rows, plans):
    return Gate(rows, *plans, (MEAN, STD))


def moved(plan, pixels):
    """The plan with its output shifted by so many pixels."""
    shift = np.array([[1, 0, pixels], [0, 1, 0], [0, 0, 1.0]])
    place = max(i for i, step in enumerate(plan.steps) if step.matrix is not None)
    steps = [replace(s, matrix=s.matrix @ shift) if i == place else s for i, s in enumerate(plan.steps)]
    return Plan(tuple(steps), plan.sizes)


@pytest.mark.parametrize("antialias", [True, False])
def test_the_warp_passes_and_a_tenth_of_a_pixel_does_not(rows, plans, gate, antialias):
    warp, images = fuse(augment.recipe(), antialias=antialias), torch.from_numpy(rows)
    assert gate.hold(warp.images(images, plans[0]), EXACT[antialias]).holds
    assert not gate.hold(warp.images(images, moved(plans[0], 0.2)), EXACT[antialias]).holds


@pytest.mark.parametrize("way", [alone.in_kernel, alone.in_torch])
def test_one_at_a_time_passes_and_half_a_pixel_does_not(rows, plans, gate, way):
    images = torch.from_numpy(rows)
    assert gate.hold(way(images, plans[1]), SOFTENED).holds
    assert not gate.hold(way(images, moved(plans[1], 0.5)), SOFTENED).holds


def test_what_opencv_may_round_is_less_than_half_a_pixel(rows, plans, gate):
    warp = fuse(augment.recipe(), antialias=False)
    assert not gate.hold(warp.images(torch.from_numpy(rows), moved(plans[0], 0.5)), ROUNDED).holds


def test_colours_of_another_image_and_numbers_that_are_none_are_stopped(rows, plans, gate):
    batch = fuse(augment.recipe()).images(torch.from_numpy(rows), plans[0])
    assert not gate.hold(batch * 1.03, EXACT[True]).holds
    assert not gate.hold(torch.full_like(batch, torch.nan), EXACT[True]).holds


def test_tables_are_the_colour_map(plans):
    """A constant picture shows what the map makes of each grey level."""
    for level in (0, 1, 100, 255):
        grey = torch.full((2, 200, 200, 3), level, dtype=torch.uint8)
        made = fuse(augment.recipe(), antialias=False).images(grey, plans[0])[:, :, 112, 112]
        np.testing.assert_allclose(made, colour_tables(plans[0])[:, 0, level], atol=0.01)
