"""The recipe of the benchmark by others, on the CPU: from `uint8[N, S, S, 3]` in memory to `[N, 3, 224, 224]`.

Flip, perspective, rotation and zoom, a crop of at least three quarters of the area, brightness and contrast,
normalisation, each as the peer's users write it, with the peer's own draws; OpenCV alone is given ours. A peer that
takes a batch gets what a loader would collate, one that takes images gets them one by one, on as many threads as are
measured.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...transforms.plan import Plan, Stage
from ..measuring import homographies

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, MIN_SCALE, CHANCE, LIGHT, TURN, ZOOM, WARP = 224, 0.75, 0.75, 0.2, 10, 1.1, 0.2


@dataclass(frozen=True)
class Job:
    """A batch, what we drew for it, and how many threads there are."""

    rows: NDArray[np.uint8]
    plan: Plan
    threads: int

    @property
    def batch(self) -> torch.Tensor:
        """`uint8[N, 3, S, S]`, as a loader collates it."""
        return torch.from_numpy(self.rows).permute(0, 3, 1, 2).contiguous()

    def each(self, work: Callable[[int], Any], finish: Callable[[list[Any]], Any] = list) -> Callable[[], Any]:
        """A call that does `work` for every image, by threads where there are several."""
        if self.threads == 1:
            return lambda: finish([work(i) for i in range(len(self.rows))])
        pool = ThreadPoolExecutor(self.threads)
        return lambda: finish(list(pool.map(work, range(len(self.rows)))))


@dataclass(frozen=True)
class Peer:
    """A package, and its way to do the job: a call that returns the batch."""

    package: str
    make: Callable[[Job], Callable[[], Any]]
    own_draws: bool = True


def fastai_pipeline(size: int, cuda: bool) -> Callable[[torch.Tensor], Any]:
    """The book's: `aug_transforms(size=224, min_scale=0.75)` and `Normalize`, of a batch as its loaders collate it."""
    from fastai.vision.all import IntToFloatTensor, Normalize, Pipeline, TensorImage, aug_transforms

    normalise = Normalize.from_stats(MEAN, STD, cuda=cuda)
    pipeline = Pipeline([IntToFloatTensor(), *aug_transforms(size=size, min_scale=MIN_SCALE), normalise], split_idx=0)
    return lambda batch: pipeline(TensorImage(batch))


def fastai_fused(job: Job) -> Callable[[], Any]:
    """The book's pipeline on the CPU."""
    return partial(fastai_pipeline(SIZE, cuda=False), job.batch)


def fastai_alone(job: Job) -> Callable[[], Any]:
    """The same transforms, each called on the batch that the one before leaves."""
    from fastai.vision import all as v
    from fastai.vision.augment import RandomResizedCropGPU

    steps = [
        v.IntToFloatTensor(),
        v.Flip(p=0.5),
        v.Warp(magnitude=WARP, p=CHANCE),
        v.Rotate(max_deg=TURN, p=CHANCE),
        v.Zoom(max_zoom=ZOOM, p=CHANCE),
        v.Brightness(LIGHT, p=CHANCE),
        v.Contrast(LIGHT, p=CHANCE),
        RandomResizedCropGPU(SIZE, min_scale=MIN_SCALE, ratio=(1, 1)),
        v.Normalize.from_stats(MEAN, STD, cuda=False),
    ]
    images = v.TensorImage(job.batch)

    def call() -> Any:
        batch = images
        for step in steps:
            batch = step(batch, split_idx=0)
        return batch

    return call


def kornia_steps() -> list[Any]:
    """Kornia's augmentations of the recipe."""
    from kornia import augmentation as k

    return [
        k.RandomHorizontalFlip(p=0.5),
        k.RandomPerspective(WARP, p=CHANCE),
        k.RandomRotation(float(TURN), p=CHANCE),
        k.RandomAffine(0.0, scale=(1.0, ZOOM), p=CHANCE, padding_mode="reflection"),
        k.RandomResizedCrop((SIZE, SIZE), scale=(MIN_SCALE, 1.0), ratio=(1.0, 1.0)),
        k.RandomBrightness((1 - LIGHT, 1 + LIGHT), p=CHANCE),
        k.RandomContrast((1 - LIGHT, 1 + LIGHT), p=CHANCE),
        k.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
    ]


def kornia_alone(job: Job) -> Callable[[], Any]:
    """`AugmentationSequential` on a batch: a resampling for each operation."""
    from kornia.augmentation import AugmentationSequential

    sequence: Any = AugmentationSequential(*kornia_steps(), data_keys=["input"])
    images = job.batch
    return lambda: sequence(images.float() / 255)


def fuse_augmentations(job: Job) -> Callable[[], Any]:
    """fuse-augmentations over kornia's transforms: on a batch, fused as far as it goes."""
    from fuse_augmentations import Compose

    composition: Any = Compose(kornia_steps())
    images = job.batch
    return lambda: composition(images.float() / 255)


def torchvision_steps() -> Any:
    """torchvision's transforms v2 of the recipe."""
    from torchvision.transforms import InterpolationMode, v2

    bilinear = InterpolationMode.BILINEAR
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomPerspective(WARP, p=CHANCE, interpolation=bilinear),
            v2.RandomApply([v2.RandomRotation(TURN, interpolation=bilinear)], CHANCE),
            v2.RandomApply([v2.RandomAffine(0, scale=(1, ZOOM), interpolation=bilinear)], CHANCE),
            v2.RandomResizedCrop(SIZE, scale=(MIN_SCALE, 1), ratio=(1, 1), antialias=True),
            v2.RandomApply([v2.ColorJitter(LIGHT, LIGHT)], CHANCE),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )


def torchvision_batch(job: Job) -> Callable[[], Any]:
    """On a batch of bytes, with one draw for all of it."""
    return partial(torchvision_steps(), job.batch)


def torchvision_each(job: Job) -> Callable[[], Any]:
    """On each image, as a data set does."""
    transforms, images = torchvision_steps(), list(job.batch)
    return job.each(lambda i: transforms(images[i]), torch.stack)


def albumentations_alone(job: Job) -> Callable[[], Any]:
    """On each image, as a data set does."""
    import albumentations as a
    import cv2
    from albumentations.pytorch import ToTensorV2

    cv2.setNumThreads(0)
    mirror = cv2.BORDER_REFLECT_101

    def compose(seed: int) -> Any:
        return a.Compose(
            [
                a.HorizontalFlip(p=0.5),
                a.Perspective((0.05, 0.1), p=CHANCE),
                a.Rotate(TURN, p=CHANCE, border_mode=mirror),
                a.Affine(scale=(1, ZOOM), p=CHANCE, border_mode=mirror),
                a.RandomResizedCrop((SIZE, SIZE), scale=(MIN_SCALE, 1), ratio=(1, 1)),
                a.RandomBrightnessContrast(LIGHT, LIGHT, p=CHANCE),
                a.Normalize(MEAN, STD),
                ToTensorV2(),
            ],
            seed=seed,
        )

    transforms = [compose(seed) for seed in range(len(job.rows))]  # one each: threads never share one
    return job.each(lambda i: transforms[i](image=job.rows[i])["image"], torch.stack)


def cv2_composed(job: Job) -> Callable[[], Any]:
    """OpenCV at its best, on our draws: one warp, a table to floats, the planes of an output that is used again."""
    import cv2

    cv2.setNumThreads(0)
    (step,) = job.plan.steps
    assert step.matrix is not None
    matrices, tables = homographies.of_indices(step.matrix), colour_tables(job.plan)
    out = np.empty((len(job.rows), 3, SIZE, SIZE), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def warp(i: int) -> None:
        found = cv2.warpPerspective(job.rows[i], matrices[i], (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REFLECT)
        cv2.split(cv2.LUT(found, tables[i]), list(out[i]))

    return job.each(warp, lambda _: out)


def colour_tables(plan: Plan) -> NDArray[np.float32]:
    """A plan's colours as tables over bytes, `float32[N, 1, 256, 3]`: they act on each channel on its own."""
    (step,) = plan.steps
    logit, colour = step.colour[Stage.LOGIT], step.colour[Stage.RGB]
    x = np.clip(np.arange(256) / 255, 1e-7, 1 - 1e-7)[:, None]  # [256, 1]
    diagonal = (..., (0, 1, 2), (0, 1, 2))
    z = np.log(x / (1 - x)) * logit[diagonal][:, None] + logit[:, None, :, 3]
    tables = colour[diagonal][:, None] / (1 + np.exp(-z)) + colour[:, None, :, 3]
    return np.ascontiguousarray(tables[:, None], np.float32)


PEERS: dict[str, Peer] = {
    "fastai: fused": Peer("fastai", fastai_fused),
    "fastai: one at a time": Peer("fastai", fastai_alone),
    "kornia: one at a time": Peer("kornia", kornia_alone),
    "torchvision v2: batch, one draw": Peer("torchvision", torchvision_batch),
    "torchvision v2: each image": Peer("torchvision", torchvision_each),
    "albumentations: one at a time": Peer("albumentations", albumentations_alone),
    "fuse-augmentations: over kornia": Peer("fuse_augmentations", fuse_augmentations),
    "cv2: composed": Peer("cv2", cv2_composed, own_draws=False),
}
