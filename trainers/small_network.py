"""A small residual network, for the demo and for tests: it learns a few classes of pictures on a CPU in a minute."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


def convolution(inputs: int, outputs: int, stride: int = 1, activate: bool = True) -> nn.Sequential:
    """A 3 x 3 convolution, batch norm and, unless told otherwise, ReLU."""
    layers = [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if activate else []))


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut: `[N, i, h, w]` to `[N, o, h / 2, w / 2]`; He et al., arXiv:1512.03385."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.path = nn.Sequential(convolution(inputs, outputs, 2), convolution(outputs, outputs, activate=False))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of the path and the shortcut."""
        result: Tensor = self.activation(self.path(x) + self.shortcut(x))
        return result


def small_resnet(classes: int, widths: Sequence[int] = (16, 32, 64, 128)) -> nn.Sequential:
    """A network for images `[N, 3, h, w]` of any size from 32 up: stem, a block for each further width, head.

    >>> import torch
    >>> small_resnet(5)(torch.zeros(2, 3, 64, 48)).shape
    torch.Size([2, 5])
    """
    blocks = [ResidualBlock(i, o) for i, o in pairwise(widths)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))
    return nn.Sequential(convolution(3, widths[0], 2), *blocks, head)
