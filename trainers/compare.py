"""How two versions of one picture differ: how sharp each is, and where they part."""

import torch
from torch import Tensor
from torch.nn import functional

from ..pipeline.composition.show import displayable
from .pictures import Pixels


def sharpness(image: Tensor) -> float:
    """The mean square of the Laplacian of an image's luma, `float[3, h, w]` in 0..1, away from its rim.

    >>> sharpness(torch.zeros(3, 8, 8))
    0.0
    """
    luma = (image * image.new_tensor([0.2989, 0.5870, 0.1140])[:, None, None]).sum(0)
    kernel = image.new_tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
    edges = functional.conv2d(luma[None, None], kernel[None, None])
    return float(edges.square().mean())


def difference(one: Tensor, other: Tensor, gain: float = 4.0) -> Pixels:
    """The absolute difference of two images in 0..1, `gain` times as strong, dark on white, `uint8[h, w, 3]`."""
    return displayable(1 - ((one - other).abs() * gain).clamp(0, 1).to(torch.float32))


def middle(image: Tensor, side: int) -> Tensor:
    """The middle of an image `[3, h, w]`, at most `side` pixels a side."""
    height, width = image.shape[-2:]
    top, left = max(height - side, 0) // 2, max(width - side, 0) // 2
    return image[..., top : top + side, left : left + side]
