"""Operations that are neither homographies nor colour maps, from kornia: barriers between two warps."""

import warnings
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from .draw import Draw
from .transform import Params, RandTransform, Split
from .types import TensorImage

_GENERATOR = Lock()  # kornia draws from torch's global generator, which all threads share


class Kornia(RandTransform):
    """One of kornia's augmentations by the name of its class, with its arguments; each sample drawn on its own.

    `on` confines it to a split, or to none. The batch is `[N, 3, h, w]`, floating in 0..1, so it stands before
    `Normalize`. Geometry that it does on its own (an elastic deformation) moves pixels only: masks, points and boxes
    do not follow.

    >>> blur = Kornia("RandomGaussianBlur", {"kernel_size": (3, 3), "sigma": (0.5, 1.0), "p": 1.0})
    >>> blur(TensorImage(torch.rand(3, 8, 8))).shape
    torch.Size([3, 8, 8])
    """

    draws = 2
    name: str
    arguments: Any = None
    on: Split | None = "train"

    split: ClassVar[Split | None] = None

    def __post_init__(self) -> None:
        import kornia.augmentation as kornia

        if not self.name.startswith("Random") or not hasattr(kornia, self.name):
            raise UsageError(f"{self.name!r} is no random augmentation of kornia {_version()}: see kornia.augmentation")

    def active(self, split: Split | None) -> bool:
        """Whether it runs on this split."""
        return self.on is None or split in (None, self.on)

    def params(self, draw: Draw) -> Params:
        """`seed`: 48 random bits for kornia's own generator, one number a sample, `[N]`."""
        high, low = (np.floor(draw.uniform(i, 0, 1 << 24)).astype(np.int64) for i in (0, 1))
        return {"seed": (high << 24) + low}

    def apply(self, x: TensorImage, params: Params):  # type: ignore[no-untyped-def]
        """Each image by kornia, under a generator of its own that leaves the global one as it was."""
        if not x.numel():
            return x
        batch = x.plain() if x.ndim == 4 else x.plain()[None]
        whole = batch.float() / 255 if batch.dtype == torch.uint8 else batch
        with _GENERATOR, torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            done = torch.cat([self._one(image[None], int(s)) for image, s in zip(whole, params["seed"], strict=True)])
        if batch.dtype == torch.uint8:
            done = (done.clamp(0, 1) * 255).round().to(torch.uint8)
        return TensorImage(done if x.ndim == 4 else done[0])

    def _one(self, image: Tensor, seed: int) -> Tensor:
        import kornia.augmentation as kornia

        torch.manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kornia's own deprecations
            arguments = {"p": 1.0, **(self.arguments or {})}
            done: Tensor = getattr(kornia, self.name)(**arguments)(image)
        return done


def _version() -> str:
    import kornia

    return str(kornia.__version__)
