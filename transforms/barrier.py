"""Operations that are neither homographies nor colour maps: barriers between two warps, some of them kornia's."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from .draw import Draw
from .generator import GeneratorMode
from .random_transform import Params, RandTransform
from .transform import Split, flatten
from .types import TensorImage, check_pixels, from_torchvision


class Barrier(RandTransform):
    """A transform that draws by a generator of its library's: each image gets a seed of its own."""

    draws = 2

    def params(self, draw: Draw) -> Params:
        """`seed`: 48 random bits for each sample, `[N]`."""
        high, low = (np.floor(draw.uniform(i, 0, 1 << 24)).astype(np.int64) for i in (0, 1))
        return {"seed": (high << 24) + low}

    def __call__(self, x: Any, **how: Any) -> Any:
        """Draw for `x`, a sample or a batch, and apply it; `UsageError` for images of floats that are not in 0..1."""
        for image in map(from_torchvision, flatten(x)):
            if isinstance(image, TensorImage):
                check_pixels(image)
        return super().__call__(x, **how)

    def apply(self, x: TensorImage, params: Params):  # type: ignore[no-untyped-def]
        """Each image on its own, under its seed; the dtype is kept, and colours stay in 0..1."""
        if not x.numel():
            return x
        batch = x.plain() if x.ndim == 4 else x.plain()[None]
        pictures = batch.float() / 255 if batch.dtype == torch.uint8 else batch
        done = torch.stack(list(self.images(pictures, params["seed"].tolist()))).clamp(0, 1)
        if batch.dtype == torch.uint8:
            done = (done * 255).round().to(torch.uint8)
        return TensorImage(done if x.ndim == 4 else done[0])

    def images(self, images: Tensor, seeds: Sequence[int]) -> Sequence[Tensor]:
        """What it makes of each of the images, floating `[N, 3, h, w]` in 0..1, under its seed."""
        raise UsageError(f"{type(self).__name__} must define `images(images, seeds)`")


class Kornia(Barrier):
    """One of kornia's augmentations by the name of its class, with its arguments; each sample drawn on its own.

    `on` confines it to a split, or to none. The batch is `[N, 3, h, w]`, floating in 0..1, so it stands before
    `Normalize`. Geometry that it does on its own (an elastic deformation) moves pixels only: masks, points and boxes
    do not follow. kornia draws under a `GeneratorMode`: torch's global generator is neither read nor set.

    Raises `UsageError` for a name or arguments that kornia does not know, and for what mixes several images.

    >>> blur = Kornia("RandomGaussianBlur", {"kernel_size": (3, 3), "sigma": (0.5, 1.0), "p": 1.0})
    >>> blur(TensorImage(torch.rand(3, 8, 8)), keys="a.jpg").shape
    torch.Size([3, 8, 8])
    """

    name: str
    arguments: Any = None
    on: Split | None = "train"

    split: ClassVar[Split | None] = None

    def __post_init__(self) -> None:
        import kornia.augmentation as kornia
        from kornia.augmentation import MixAugmentationBaseV2

        found = getattr(kornia, self.name, None)
        if not self.name.startswith("Random") or found is None:
            raise UsageError(f"{self.name!r} is no random augmentation of kornia {_version()}: see kornia.augmentation")
        if issubclass(found, MixAugmentationBaseV2) and self.name != "RandomJigsaw":
            raise UsageError(
                f"{self.name} mixes several images, and here each image is augmented on its own: use MixUp or CutMix"
            )
        try:
            self._augmentation()
        except Exception as error:
            raise UsageError(f"kornia's {self.name} cannot be made with {self.arguments!r}: {error}") from error

    def active(self, split: Split | None) -> bool:
        """Whether it runs on this split."""
        return self.on is None or split in (None, self.on)

    def images(self, images: Tensor, seeds: Sequence[int]) -> Sequence[Tensor]:
        """Each by an augmentation that is made for it: kornia's remember what they drew last."""
        done = []
        for image, seed in zip(images, seeds, strict=True):
            with GeneratorMode(seed):
                done.append(self._augmentation()(image[None])[0])
        return done

    def _augmentation(self) -> Any:
        import kornia.augmentation as kornia

        return getattr(kornia, self.name)(**{"p": 1.0, **(self.arguments or {})})


def _version() -> str:
    import kornia

    return str(kornia.__version__)
