"""A U-Net for masks, of an encoder of ours or of timm's."""

import pytest
import torch
from torch import nn

from onewarp.trainers.unet import SmallEncoder, UNet


@pytest.fixture
def timm():
    return pytest.importorskip("timm", reason="timm comes with the train extra")


def test_a_unet_scores_every_pixel():
    encoder = SmallEncoder((4, 8))
    assert UNet(encoder, encoder.channels, 3)(torch.zeros(2, 3, 21, 34)).shape == (2, 3, 21, 34)


def test_an_encoder_of_timm_gives_its_maps():
    pytest.importorskip("timm", reason="timm comes with the train extra")
    from onewarp.trainers.unet import UNet, timm_encoder

    body = timm_encoder("resnet18", pretrained=False)
    model = UNet(body, body.feature_info.channels(), 3)
    assert model(torch.zeros(1, 3, 64, 96)).shape == (1, 3, 64, 96)
    assert isinstance(model.head[1], nn.Conv2d)
