"""Transforms of other libraries in our pipeline: a step of its own, drawn from the sample's key like all others.

```python
item_tfms, batch_tfms = Resize(460), [*aug_transforms(size=224), TorchvisionTransform(v2.RandomPosterize(4))]
```

They see each image alone, after the warp and before `Normalize`. No global generator of this process is read or set:
torchvision's own draw under a `GeneratorMode`, albumentations takes a seed, and whatever else may draw from global
generators (fastai's, a function of your own) runs in a process of its own, which takes its images over a pipe.
"""

import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...transforms.barrier import Barrier
from ...transforms.generator import GeneratorMode
from .process import process


class Foreign(Barrier):
    """A transform of another library; `one` calls it on an image `float[3, h, w]` in 0..1, in a process of its own.

    There Python's, numpy's and torch's global generators are set from the sample's key for each image. It must be
    something that `cloudpickle` can send. Images on a GPU travel to the host and back.
    """

    function: Any

    def images(self, images: Tensor, seeds: Sequence[int]) -> Sequence[Tensor]:
        """Each by `one`, in the process."""
        return list(process().run(self, images, seeds))

    def one(self, image: Tensor) -> Tensor:
        """The transformed image."""
        done: Tensor = self.function(image)
        return done.as_subclass(Tensor)


class TorchvisionTransform(Foreign):
    """One of `torchvision.transforms.v2`, or any module of images `[3, h, w]`.

    Those of `v2` draw from torch alone, and are called where they are; a module of another package, `Lambda` of a
    function of your own, and the first version of torchvision's transforms (which use Python's `random`) run in the
    process.
    """

    def images(self, images: Tensor, seeds: Sequence[int]) -> Sequence[Tensor]:
        """Each by `one`, drawn under a generator of its own."""
        if not comes_from(self.function, "torchvision.transforms.v2", "torchvision.tv_tensors", "torch"):
            return super().images(images, seeds)
        done = []
        for image, seed in zip(images, seeds, strict=True):
            with GeneratorMode(seed):
                done.append(self.one(image))
        return done

    def one(self, image: Tensor) -> Tensor:
        """By torchvision, as a `tv_tensors.Image`."""
        from torchvision.tv_tensors import Image

        result: Tensor = self.function(Image(image))
        return result.as_subclass(Tensor)


class AlbumentationsTransform(Foreign):
    """One of albumentations, or a `Compose` of several; one that calls a function of your own runs in the process."""

    def images(self, images: Tensor, seeds: Sequence[int]) -> Sequence[Tensor]:
        """Apply a copy of the transform to each image, with the image's own seed."""
        if not comes_from(self.function, "albumentations", "albucore", "cv2", "numpy"):
            return super().images(images, seeds)
        return [self.apply_with_seed(image, random.Random(seed)) for image, seed in zip(images, seeds, strict=True)]

    def one(self, image: Tensor) -> Tensor:
        """By albumentations, seeded from Python's generator, which is the process's."""
        return self.apply_with_seed(image, random)

    def apply_with_seed(self, image: Tensor, generator: Any) -> Tensor:
        """Apply albumentations to an array `float32[h, w, 3]`, in a `Compose` whose seed comes from `generator`."""
        import albumentations

        pipeline = albumentations.Compose([deepcopy(self.function)], seed=generator.getrandbits(31))
        pixels = pipeline(image=np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))["image"]
        return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).to(image.device)


class FastaiTransform(Foreign):
    """One of fastai's batch transforms; they draw from Python's `random` too, and run in the process."""

    def one(self, image: Tensor) -> Tensor:
        """By fastai, as a batch of one."""
        from fastai.vision.core import TensorImage as TheirImage

        result: Tensor = self.function(TheirImage(image[None]), split_idx=0)
        return result.as_subclass(Tensor)[0]


def comes_from(value: Any, *packages: str) -> bool:
    """Whether everything that can be called in `value`, itself included, is code of these packages.

    >>> comes_from([torch.nn.ReLU(), 3], "torch"), comes_from([torch.nn.ReLU(), len], "torch")
    (True, False)
    """
    waiting, visited = [value], dict[int, Any]()
    while waiting:
        part = waiting.pop()
        if id(part) in visited:
            continue
        visited[id(part)] = part  # held, so that no other object takes its id
        if isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, list | tuple | set):
            waiting += part
        elif callable(part):
            home = str(getattr(part if hasattr(part, "__qualname__") else type(part), "__module__", ""))
            if not any(home == package or home.startswith(f"{package}.") for package in packages):
                return False
            waiting += [] if hasattr(part, "__qualname__") else vars(part).values()
    return True
