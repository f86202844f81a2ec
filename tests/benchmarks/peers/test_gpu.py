"""Peers of the GPU, those of them that run on a CPU too."""

import pytest
import torch

from onewarp.benchmarks.peers import gpu

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own
SIZE = 24


def batch_of(level):
    return torch.full((4, 3, 40, 40), level, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("part", "package"),
    [("grid-sample", "torch"), ("fastai", "fastai"), ("kornia", "kornia"), ("torchvision", "torchvision")],
)
def test_a_peer_gives_normalised_floats_of_the_size(part, package):
    pytest.importorskip(package)
    torch.manual_seed(0)
    _, make = gpu.PEERS[part]
    augment = make(SIZE, torch.device("cpu"))
    found = torch.as_tensor(augment(batch_of(128))).as_subclass(torch.Tensor)
    assert (tuple(found.shape), found.dtype) == ((4, 3, SIZE, SIZE), torch.float32)
    mean, std = (torch.tensor(values)[:, None, None] for values in (gpu.MEAN, gpu.STD))
    middle = (found * std + mean)[:, :, 8:16, 8:16]
    assert (middle > 0.3).all()
    assert (middle < 0.72).all()  # light moves 128 of 255 by no more


def test_light_acts_in_logits_and_not_at_the_ends():
    """Of a picture of one level each pixel becomes the same, whatever the map; black and white stay."""
    torch.manual_seed(1)
    augment = gpu.grid_sample(SIZE, torch.device("cpu"))
    mean, std = (torch.tensor(values)[:, None, None] for values in (gpu.MEAN, gpu.STD))
    for level in (0, 100, 255):
        pixels = augment(batch_of(level)) * std + mean
        assert pixels.flatten(1).std(1).max() < 1e-5
        if level != 100:
            torch.testing.assert_close(pixels, torch.full_like(pixels, level / 255), atol=1e-4, rtol=0)
    assert len(augment(batch_of(100).repeat(16, 1, 1, 1))[:, 0, 0, 0].unique()) > 32  # drawn for each image
