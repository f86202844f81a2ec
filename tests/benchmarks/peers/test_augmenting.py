"""Peers do the job: whatever they draw, a batch of normalised floats; and OpenCV is given our draws."""

import numpy as np
import pytest
import torch

from onewarp.benchmarks import augment
from onewarp.benchmarks.correctness import ROUNDED
from onewarp.benchmarks.peers import augmenting
from onewarp.transforms.augment import fuse

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own


@pytest.mark.parametrize("name", augmenting.PEERS)
def test_a_peer_gives_normalised_floats_of_the_size(rows, plans, name):
    peer = augmenting.PEERS[name]
    pytest.importorskip(peer.package)
    batch = torch.as_tensor(peer.make(augmenting.Job(rows, plans[0], 1))())
    assert (tuple(batch.shape), batch.dtype) == ((2, 3, augmenting.SIZE, augmenting.SIZE), torch.float32)
    mean, std = (torch.tensor(values)[:, None, None] for values in (augmenting.MEAN, augmenting.STD))
    pixels = batch * std + mean
    assert pixels.min() > -1e-3
    assert pixels.max() < 1 + 1e-3
    assert pixels.std() > 0.1  # rows vary by 60 to 90 levels


def test_opencv_is_the_map_that_we_drew_and_passes_the_gate(rows, plans, gate):
    pytest.importorskip("cv2")
    for threads in (1, 2):
        batch = augmenting.cv2_composed(augmenting.Job(rows, plans[0], threads))()
        assert gate.hold(torch.from_numpy(batch), ROUNDED).holds
        assert not gate.hold(torch.from_numpy(batch[::-1].copy()), ROUNDED).holds


@pytest.mark.parametrize("threads", [1, 3])
def test_work_is_done_for_each_image_in_its_order(rows, plans, threads):
    call = augmenting.Job(np.repeat(rows, 4, 0), plans[0], threads).each(lambda i: i * i, sum)
    assert call() == call() == sum(i * i for i in range(8))


def test_a_batch_is_collated_with_channels_first(rows, plans):
    batch = augmenting.Job(rows, plans[0], 1).batch
    assert batch.is_contiguous()
    assert np.array_equal(batch[1, 2], rows[1, :, :, 2])


def test_tables_are_the_colour_map(plans):
    """A constant picture shows what the map makes of each grey level."""
    for level in (0, 1, 100, 255):
        grey = torch.full((2, 200, 200, 3), level, dtype=torch.uint8)
        found = fuse(augment.recipe(), antialias=False).images(grey, plans[0])[:, :, 112, 112]
        np.testing.assert_allclose(found, augmenting.colour_tables(plans[0])[:, 0, level], atol=0.01)
