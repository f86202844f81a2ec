"""A small residual network: what its blocks compute, and that it takes images of any size."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from onewarp.trainers.small_network import ResidualBlock, convolution, small_resnet


def test_a_convolution_halves_by_its_stride_and_is_activated_unless_told_otherwise():
    x = torch.randn(2, 3, 9, 10, generator=torch.Generator().manual_seed(0))
    layer = convolution(3, 4, 2)
    assert layer(x).shape == (2, 4, 5, 5)
    assert layer(x).min() == 0
    assert convolution(3, 4, activate=False)(x).min() < 0
    assert layer[0].bias is None


def test_a_block_is_the_sum_of_its_path_and_its_shortcut():
    torch.manual_seed(0)
    block, x = ResidualBlock(3, 5).eval(), torch.randn(2, 3, 7, 6)
    conv = [m for m in block.path.modules() if isinstance(m, nn.Conv2d)]
    norm = [m for m in block.path.modules() if isinstance(m, nn.BatchNorm2d)]
    inner = norm[0](functional.conv2d(x, conv[0].weight, stride=2, padding=1)).relu()
    path = norm[1](functional.conv2d(inner, conv[1].weight, padding=1))
    mean = functional.avg_pool2d(x, 2, ceil_mode=True)
    shortcut = torch.einsum("nihw,oi->nohw", mean, block.shortcut[1].weight[..., 0, 0])
    torch.testing.assert_close(block(x), (path + shortcut).relu())


@pytest.mark.parametrize("size", [(32, 32), (33, 65), (96, 48)])
def test_images_of_any_size_have_a_score_for_each_class(size):
    assert small_resnet(5)(torch.rand(2, 3, *size)).shape == (2, 5)


def test_widths_are_those_of_the_stem_and_of_each_block():
    model = small_resnet(7, (4, 6, 8))
    assert [type(part).__name__ for part in model] == ["Sequential", "ResidualBlock", "ResidualBlock", "Sequential"]
    assert model[0][0].out_channels == 4
    assert (model[-1][-1].in_features, model[-1][-1].out_features) == (8, 7)


def test_all_that_it_has_learns():
    model = small_resnet(3, (4, 6))
    model(torch.rand(4, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
