"""The same recipe on a GPU by others: flip, rotate, zoom, perspective, crop to 224, lighting, normalisation.

Each takes its batch as it would in training (`uint8[N, 3, H, W]` on the GPU) and draws for every image of it, but for
torchvision and CV-CUDA, which draw once for a batch: for each image they would take as many calls.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Peer = Callable[[Tensor], Tensor]


def grid_sample(size: int, device: torch.device) -> Peer:
    """fastai's way, without fastai: matrices multiplied, one `grid_sample` of float32, lighting in logits."""
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (MEAN, STD))

    def happens(n: int, p: float) -> Tensor:
        return torch.rand(n, device=device) < p

    def between(n: int, low: float, high: float) -> Tensor:
        return torch.empty(n, device=device).uniform_(low, high)

    def matrices(n: int) -> Tensor:
        flip = torch.where(happens(n, 0.5), -1.0, 1.0)
        angle = torch.where(happens(n, 0.75), between(n, -10, 10), 0.0) * (math.pi / 180)
        zoom = 1 / torch.where(happens(n, 0.75), between(n, 1, 1.1), 1.0)
        cosine, sine, zero, one = angle.cos(), angle.sin(), torch.zeros_like(flip), torch.ones_like(flip)
        turned = torch.stack([flip * cosine, flip * sine, zero, -sine, cosine, zero, zero, zero, one], -1)
        shift = (1 - zoom) * between(n, -1, 1), (1 - zoom) * between(n, -1, 1)
        zoomed = torch.stack([zoom, zero, shift[0], zero, zoom, shift[1], zero, zero, one], -1)
        x, y = (torch.where(happens(n, 0.75), between(n, -0.2, 0.2), 0.0) for _ in range(2))
        b = 2 * x * y / (1 - x * x - y * y)
        c, f = -x - b * y, -y - b * x
        tilted = torch.stack([one, b, c, b, one, f, c, f, one], -1)
        side = between(n, 0.75, 1).sqrt()
        place = (1 - side) * between(n, -1, 1), (1 - side) * between(n, -1, 1)
        cropped = torch.stack([side, zero, place[0], zero, side, place[1], zero, zero, one], -1)
        whole = [m.reshape(n, 3, 3) for m in (tilted, turned, zoomed, cropped)]
        return whole[0] @ whole[1] @ whole[2] @ whole[3]

    def augment(x: Tensor) -> Tensor:
        n = len(x)
        u = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
        v, u = torch.meshgrid(u, u, indexing="ij")
        points = torch.stack([u, v, torch.ones_like(u)], -1).reshape(1, -1, 3) @ matrices(n).transpose(1, 2)
        grid = (points[..., :2] / points[..., 2:]).reshape(n, size, size, 2)
        pixels = F.grid_sample(x.float() / 255, grid, padding_mode="reflection", align_corners=False)
        change = torch.where(happens(n, 0.75), between(n, 0.4, 0.6), 0.5).logit().reshape(n, 1, 1, 1)
        factor = torch.where(happens(n, 0.75), between(n, math.log(0.8), -math.log(0.8)).exp(), 1.0)
        logits = pixels.clamp(1e-7, 1 - 1e-7).logit() * factor.reshape(n, 1, 1, 1) + change
        return (logits.sigmoid() - mean) / std

    return augment


def fastai(size: int, device: torch.device) -> Peer:
    """fastai's own, as on the CPU."""
    from .augmenting import fastai_pipeline

    return fastai_pipeline(size, cuda=device.type == "cuda")


def kornia(size: int, device: torch.device) -> Peer:
    """Kornia's `AugmentationSequential`."""
    import kornia.augmentation as k

    sequence: Any = k.AugmentationSequential(
        k.RandomHorizontalFlip(p=0.5),
        k.RandomPerspective(0.2, p=0.75),
        k.RandomAffine(10.0, scale=(1.0, 1.1), padding_mode="reflection", p=0.75),
        k.RandomResizedCrop((size, size), scale=(0.75, 1.0), ratio=(1.0, 1.0)),
        k.ColorJiggle(brightness=0.2, contrast=0.2, p=0.75),
        k.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
        data_keys=["input"],
    ).to(device)
    return lambda x: sequence(x.float() / 255)


def kornia_compiled(size: int, device: torch.device) -> Peer:
    """Kornia's, compiled by torch; without a GPU only traced."""
    return torch.compile(kornia(size, device), backend="inductor" if device.type == "cuda" else "eager")


def torchvision(size: int, device: torch.device) -> Peer:
    """torchvision's transforms v2, one decision for the whole batch."""
    from torchvision.transforms import v2

    sequence: Any = v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomPerspective(0.2, p=0.75),
            v2.RandomAffine(10.0, scale=(1.0, 1.1)),
            v2.RandomResizedCrop(size, scale=(0.75, 1.0), ratio=(1.0, 1.0), antialias=True),
            v2.ColorJitter(brightness=0.2, contrast=0.2),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    return lambda x: sequence(x)


def triton_augment(size: int, device: torch.device) -> Peer:
    """triton-augment's fused kernel: affine, crop without a resize, flip, lighting, normalisation."""
    import triton_augment as ta
    from torchvision.transforms import InterpolationMode

    fused: Any = ta.TritonFusedAugment(
        crop_size=size,
        horizontal_flip_p=0.5,
        degrees=10.0,
        scale=(1.0, 1.1),
        interpolation=InterpolationMode.BILINEAR,
        brightness=0.2,
        contrast=0.2,
        mean=MEAN,
        std=STD,
    ).to(device)
    return lambda x: fused(x.float() / 255)


def dali(size: int, device: torch.device) -> Peer:
    """DALI's pipeline, images already on the GPU: affine map, random crop, lighting, flip; it has no perspective."""
    from nvidia.dali import fn, pipeline_def, types
    from nvidia.dali.plugin.pytorch import feed_ndarray

    @pipeline_def  # type: ignore[untyped-decorator]
    def recipe(side: int) -> Any:
        images = fn.external_source(name="images", device="gpu", layout="HWC")
        middle = (side / 2, side / 2)
        turn = fn.transforms.rotation(angle=fn.random.uniform(range=(-10.0, 10.0)), center=middle)
        zoom = 1 / fn.random.uniform(range=(1.0, 1.1))
        matrix = fn.transforms.scale(turn, scale=fn.stack(zoom, zoom), center=middle)
        images = fn.warp_affine(images, matrix=matrix)
        images = fn.random_resized_crop(images, size=size, random_area=(0.75, 1.0), random_aspect_ratio=(1.0, 1.0))
        brightness, contrast = (fn.random.uniform(range=(0.8, 1.2)) for _ in range(2))
        images = fn.brightness_contrast(images, brightness=brightness, contrast=contrast)
        mean, std = ([255 * value for value in values] for values in (MEAN, STD))
        flip = fn.random.coin_flip()
        return fn.crop_mirror_normalize(images, dtype=types.FLOAT16, mean=mean, std=std, mirror=flip)

    pipes: dict[int, Any] = {}

    def augment(x: Tensor) -> Tensor:
        if len(x) not in pipes:
            pipes[len(x)] = recipe(x.shape[-1], batch_size=len(x), num_threads=8, device_id=device.index or 0)
            pipes[len(x)].build()
        pipe, stream = pipes[len(x)], torch.cuda.current_stream()
        pipe.feed_input("images", x.permute(0, 2, 3, 1).contiguous(), cuda_stream=stream)
        found = pipe.run()[0].as_tensor()
        out = torch.empty(found.shape(), dtype=torch.float16, device=device)
        feed_ndarray(found, out, cuda_stream=stream)  # the events that time it are on torch's stream
        return out

    return augment


def cv_cuda(size: int, device: torch.device) -> Peer:
    """CV-CUDA at its best: one composed perspective for the whole batch, lighting, normalisation."""
    import cvcuda
    import numpy as np

    mean, std = (torch.tensor(values, device=device).reshape(1, 1, 1, 3) for values in (MEAN, STD))
    base, scale = (cvcuda.as_tensor(values, "NHWC") for values in (mean, std))
    draw = np.random.default_rng(0)

    def augment(x: Tensor) -> Tensor:
        side, angle = draw.uniform(0.75, 1) ** 0.5 * x.shape[-1] / size, math.radians(draw.uniform(-10, 10))
        c, s = side * math.cos(angle), side * math.sin(angle)
        matrix = np.array([[c, s, 10.0], [-s, c, 10.0], [1e-4, 1e-4, 1]], np.float32)
        flags = cvcuda.Interp.LINEAR | cvcuda.Interp.WARP_INVERSE_MAP
        stream = cvcuda.as_stream(torch.cuda.current_stream().cuda_stream)
        with stream:  # the events that time it are on torch's stream
            out = torch.empty(len(x), size, size, 3, dtype=torch.uint8, device=device)
            images = cvcuda.as_tensor(x.permute(0, 2, 3, 1).contiguous(), "NHWC")
            warped = cvcuda.as_tensor(out, "NHWC")
            border = cvcuda.Border.REFLECT
            cvcuda.warp_perspective_into(warped, images, matrix, flags, border_mode=border, border_value=[])
            floats = cvcuda.convertto(warped, np.float32, scale=draw.uniform(0.8, 1.2) / 255, offset=0.0)
            done = cvcuda.normalize(floats, base, scale, cvcuda.NormalizeFlags.SCALE_IS_STDDEV)
            return torch.as_tensor(cvcuda.reformat(done, "NCHW").cuda(), device=device)

    return augment


PEERS: dict[str, tuple[str, Callable[[int, torch.device], Peer]]] = {
    "kornia": ("kornia", kornia),
    "kornia-compiled": ("kornia, compiled", kornia_compiled),
    "triton-augment": ("triton-augment", triton_augment),
    "torchvision": ("torchvision v2, one draw", torchvision),
    "dali": ("DALI, without perspective", dali),
    "cv-cuda": ("CV-CUDA, one draw", cv_cuda),
    "grid-sample": ("grid_sample, composed", grid_sample),
    "fastai": ("fastai", fastai),
}
"""By part of `on_gpu.py`: what it is called in a table, and how it is made."""
