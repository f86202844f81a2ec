"""A small U-Net for masks: an encoder that narrows, and a decoder that takes its finer maps up again.

Ronneberger et al., arXiv:1505.04597. The encoder may be any module that gives a list of maps from fine to coarse, such
as a pretrained timm model.
"""

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import MissingDependencyError, TrainingError, UsageError
from .learner import Learner
from .metrics import dice
from .small_network import ResidualBlock, convolution
from .training_data import Data, append_normalize
from .vision import outputs_for


class SmallEncoder(nn.Module):
    """Ours, from nothing: a map at half the size, then one for each further width at half of that."""

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 128)) -> None:
        super().__init__()
        self.stem = convolution(3, widths[0], 2)
        self.blocks = nn.ModuleList(ResidualBlock(i, o) for i, o in zip(widths, widths[1:], strict=False))  # noqa: RUF007
        self.channels = list(widths)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps, fine to coarse."""
        maps = [self.stem(images)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps


class UNet(nn.Module):
    """Images `[N, 3, h, w]` to a score for each class at each pixel, `[N, c, h, w]`."""

    def __init__(self, encoder: nn.Module, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        steps, below = [], channels[-1]
        for skip in reversed(channels[:-1]):
            steps.append(convolution(below + skip, skip))
            below = skip
        self.steps = nn.ModuleList(steps)
        self.head = nn.Sequential(convolution(below + 3, below), nn.Conv2d(below, classes, 1))

    def forward(self, images: Tensor) -> Tensor:
        """From the coarsest map up, each time beside the encoder's, at last beside the image."""
        *finer, x = self.encoder(images)
        for step, skip in zip(self.steps, reversed(finer), strict=True):
            x = step(torch.cat([_enlarge(x, skip), skip], 1))
        result: Tensor = self.head(torch.cat([_enlarge(x, images), images], 1))
        return result

    def groups(self) -> list[list[nn.Parameter]]:
        """The encoder, and all that is new."""
        return [list(self.encoder.parameters()), [*self.steps.parameters(), *self.head.parameters()]]


def _enlarge(maps: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=False)


def unet_learner(
    dls: Data, encoder: str | nn.Module = "small", pretrained: bool = True, normalize: bool = True, **kwargs: Any
) -> Learner[Data]:
    """A Learner for masks: `encoder` is the name of a timm model, `small` (ours, without weights), or a module with
    `channels` that gives a list of maps.

    A timm encoder starts frozen where it is pretrained, and its mean and deviation are appended to the transforms.

    Raises `MissingDependencyError` without timm, `UsageError` for an unknown name, `TrainingError` for weights that
    cannot be had.
    """
    if encoder == "small":
        encoder = SmallEncoder()
    if isinstance(encoder, nn.Module):
        model = UNet(encoder, encoder.channels, outputs_for(dls))  # type: ignore[arg-type]
        return Learner(dls, model, **{"metrics": dice} | kwargs)
    body = timm_encoder(encoder, pretrained)
    model = UNet(body, body.feature_info.channels(), outputs_for(dls))
    if pretrained and normalize:
        cfg = body.pretrained_cfg if hasattr(body, "pretrained_cfg") else {}
        dls = append_normalize(dls, cfg.get("mean", (0.485, 0.456, 0.406)), cfg.get("std", (0.229, 0.224, 0.225)))
    learn = Learner(dls, model, **{"metrics": dice} | kwargs)
    if pretrained:
        learn.freeze()
    return learn


def timm_encoder(name: str, pretrained: bool) -> Any:
    """A timm model that gives its maps, fine to coarse."""
    try:
        import timm
    except ImportError:
        raise MissingDependencyError(
            f"encoder {name!r} must have timm, which is not installed: pip install timm, or take small"
        ) from None
    if not timm.is_model(name.split(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), 3)
        raise UsageError(
            f"encoder must be a name that timm knows, but got {name!r}; near it: {', '.join(near) or 'none'}"
        )
    try:
        return timm.create_model(name, pretrained=pretrained, features_only=True)
    except Exception as error:
        if not pretrained:
            raise
        raise TrainingError(
            f"weights of {name!r} cannot be had ({type(error).__name__}): give pretrained=False"
        ) from error
