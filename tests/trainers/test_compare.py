"""How two versions of one picture differ."""

import torch

from onewarp.trainers.compare import difference, middle, sharpness


def test_sharpness_falls_with_blur():
    noise = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    assert sharpness(blurred) < 0.2 * sharpness(noise)
    assert (difference(noise, noise) == 255).all()
    assert middle(noise, 8).shape == (3, 8, 8)
    assert torch.equal(middle(noise, 8), noise[:, 12:20, 12:20])
