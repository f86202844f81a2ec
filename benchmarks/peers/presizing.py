"""What others make of a photo at `size` x `size`: each is a function of a path and a size to `uint8[size, size, 3]`."""

from importlib import import_module
from typing import Any

import numpy as np
import torch

from .pillow_alone import Presize


def fastai() -> Presize:
    """As in the chapter: the validation form of `Resize`, a centre crop."""
    vision = import_module("fastai.vision.all")
    torch.set_num_threads(1)
    transforms: dict[int, Any] = {}

    def presize(path: str, size: int) -> Any:
        resize = transforms.setdefault(size, vision.Resize(size))
        return np.asarray(resize(vision.PILImage.create(path), split_idx=1))

    return presize


def torchvision() -> Presize:
    """The C++ decoder, and the antialiased resize on bytes, channels last."""
    torch.set_num_threads(1)
    io, functional = import_module("torchvision.io"), import_module("torchvision.transforms.v2.functional")

    def presize(path: str, size: int) -> Any:
        image = io.decode_jpeg(io.read_file(path), mode=io.ImageReadMode.RGB)
        image = image[None].contiguous(memory_format=torch.channels_last)[0]
        height, width = image.shape[1:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return (
            functional.resized_crop(image, top, left, side, side, [size, size], antialias=True).permute(1, 2, 0).numpy()
        )

    return presize


def cv2() -> Presize:
    """Area averaging down, linear up, as its manual advises; EXIF is left alone, as by the others."""
    cv = import_module("cv2")
    cv.setNumThreads(1)
    flags = cv.IMREAD_COLOR | cv.IMREAD_IGNORE_ORIENTATION

    def presize(path: str, size: int) -> Any:
        image = cv.imread(path, flags)
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        crop = image[top : top + side, left : left + side]
        way = cv.INTER_AREA if side > size else cv.INTER_LINEAR
        return cv.cvtColor(cv.resize(crop, (size, size), interpolation=way), cv.COLOR_BGR2RGB)

    return presize
