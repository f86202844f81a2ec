"""From stored photos to augmented, normalised float batches `[64, 3, 224, 224]`, each as its documentation shows."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from .loading import Epochs, Photos, Reader, beton_loader, fastai_loader, torch_loader, write_ffcv, write_nothing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, MIN_SCALE = 224, 0.75


def open_fastai(photos: Photos, folder: Path, workers: int) -> Epochs:
    """The chapter's: `Resize(460)` per item, `aug_transforms(size=224, min_scale=0.75)` and normalisation per batch."""
    from fastai.vision.all import Normalize, Resize, aug_transforms

    batch_tfms: list[Any] = [*aug_transforms(size=SIZE, min_scale=MIN_SCALE), Normalize.from_stats(MEAN, STD)]
    return fastai_loader(photos, workers, Resize(460), batch_tfms)


def open_torchvision(photos: Photos, folder: Path, workers: int) -> Epochs:
    """ImageFolder with transforms v2 per item: crop, flip, rotation, perspective, colour, normalisation."""
    from torchvision import datasets
    from torchvision.transforms import v2

    transforms = v2.Compose(
        [
            v2.PILToTensor(),
            v2.RandomResizedCrop(SIZE, scale=(MIN_SCALE, 1.0), ratio=(1.0, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomRotation(10),
            v2.RandomPerspective(0.2),
            v2.ColorJitter(0.2, 0.2),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    return torch_loader(datasets.ImageFolder(str(photos.files), transforms), workers, lambda batch: batch[0])


def open_ffcv(photos: Photos, folder: Path, workers: int) -> Epochs:
    """What FFCV has: a random resized crop by OpenCV, flip, normalisation; no rotation, perspective or colour."""
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
    from ffcv.transforms import NormalizeImage, RandomHorizontalFlip, ToTensor, ToTorchImage

    mean, std = np.array(MEAN) * 255, np.array(STD) * 255
    images = [
        RandomResizedCropRGBImageDecoder((SIZE, SIZE), scale=(MIN_SCALE, 1.0), ratio=(1.0, 1.0)),
        RandomHorizontalFlip(),
        NormalizeImage(mean, std, np.float32),
        ToTensor(),
        ToTorchImage(channels_last=False),
    ]
    return beton_loader(folder, workers, images)


READERS = {
    "fastai, end to end": Reader(write_nothing, open_fastai),
    "ImageFolder + torchvision v2, end to end": Reader(write_nothing, open_torchvision),
    "FFCV (crop and flip only), end to end": Reader(write_ffcv, open_ffcv),
}
