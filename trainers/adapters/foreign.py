"""Transforms of other libraries in our pipeline: a step of its own, drawn from the sample's key like all others.

```python
item_tfms, batch_tfms = Resize(460), [*aug_transforms(size=224), TorchvisionTransform(v2.RandomPosterize(4))]
```

They see each image alone, after the warp and before `Normalize`. Their libraries read the global generators, which are
set from the sample's key for the call and put back after it, one image at a time: slow, and the same every time.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...transforms import RandTransform, TensorImage
from ...transforms.draw import Draw
from ...transforms.transform import Params

_GENERATORS = Lock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global generators of torch, numpy and Python set to `seed`, and put back; one thread at a time."""
    with _GENERATORS, torch.random.fork_rng(devices=[]):
        plain, numbers = random.getstate(), np.random.get_state()
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % (1 << 32))
        try:
            yield
        finally:
            random.setstate(plain)
            np.random.set_state(numbers)


class Foreign(RandTransform):
    """A transform of another library; `one` calls it on an image `float[3, h, w]` in 0..1."""

    draws = 2
    function: Any

    def params(self, draw: Draw) -> Params:
        """`seed`: 48 random bits for each sample."""
        high, low = (np.floor(draw.uniform(i, 0, 1 << 24)).astype(np.int64) for i in (0, 1))
        return {"seed": (high << 24) + low}

    def apply(self, x: TensorImage, params: Params):  # type: ignore[no-untyped-def]
        """Each image on its own."""
        batch = x.plain() if x.ndim == 4 else x.plain()[None]
        whole = batch.float() / 255 if batch.dtype == torch.uint8 else batch
        images = []
        for image, seed in zip(whole, params["seed"], strict=True):
            with seeded(int(seed)):
                images.append(self.one(image))
        done = torch.stack(images)
        if batch.dtype == torch.uint8:
            done = (done.clamp(0, 1) * 255).round().to(torch.uint8)
        return TensorImage(done if x.ndim == 4 else done[0])

    def one(self, image: Tensor) -> Tensor:
        """The transformed image."""
        done: Tensor = self.function(image)
        return done


class TorchvisionTransform(Foreign):
    """One of `torchvision.transforms.v2`, or any module of images `[3, h, w]`."""

    def one(self, image: Tensor) -> Tensor:
        """By torchvision, as a `tv_tensors.Image`."""
        from torchvision.tv_tensors import Image

        done: Tensor = self.function(Image(image))
        return done.as_subclass(Tensor)


class AlbumentationsTransform(Foreign):
    """One of albumentations, or a `Compose` of several."""

    def one(self, image: Tensor) -> Tensor:
        """By albumentations, as an array `float32[h, w, 3]`, by a `Compose` that is seeded for this image."""
        import albumentations

        whole = albumentations.Compose([self.function], seed=random.getrandbits(31))
        pixels = whole(image=np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))["image"]
        return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).to(image.device)


class FastaiTransform(Foreign):
    """One of fastai's batch transforms."""

    def one(self, image: Tensor) -> Tensor:
        """By fastai, as a batch of one."""
        from fastai.vision.core import TensorImage as TheirImage

        done: Tensor = self.function(TheirImage(image[None]), split_idx=0)
        return done.as_subclass(Tensor)[0]
