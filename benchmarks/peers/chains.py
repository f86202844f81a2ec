"""One drawn chain by every peer's own operations: perspective, flip, rotation, zoom, then a crop that is resized.

Each returns its picture `float64[h, w, 3]` in grey levels, and the maps that it composed, by its own conventions
of where pixels lie. So a peer is only held against what it means to do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..measuring import homographies

Array = NDArray[np.float64]
Rendered = tuple[Array, list[Array]]


@dataclass(frozen=True)
class Chain:
    """Maps in -1..1 in the order in which they are applied, the first of them the perspective; then a crop."""

    operations: tuple[Array, ...]
    crop: tuple[int, int, int]
    """Left, top and side, in whole pixels."""
    size: int

    def homographies(self, side: int, corners: bool = False) -> list[Array]:
        """In continuous pixels, the crop last."""
        moved = [homographies.of_normalised(m, side, corners) for m in self.operations]
        return [*moved, homographies.of_crop(*self.crop, self.size, corners)]


Render = Callable[[NDArray[np.uint8], Chain], Rendered]


@dataclass(frozen=True)
class Peer:
    """A package, and how it renders a chain."""

    package: str
    render: Render


def to_planar(image: NDArray[np.uint8]) -> torch.Tensor:
    """`float32[1, 3, H, W]` in grey levels."""
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def to_interleaved(batch: Any) -> Array:
    """`[1, 3, h, w]` as `float64[h, w, 3]`."""
    return np.asarray(batch.as_subclass(torch.Tensor)[0].permute(1, 2, 0).double().numpy())


def take_crop(batch: Any, chain: Chain) -> Any:
    """The pixels of a batch that lie in the box of the crop."""
    x, y, side = chain.crop
    return batch[..., y : y + side, x : x + side]


def _affine(matrix: Array) -> torch.Tensor:
    return torch.from_numpy(matrix[None, :2]).float()


def _coefficients(matrix: Array) -> torch.Tensor:
    return torch.from_numpy((matrix / matrix[2, 2]).reshape(-1)[:8]).reshape(1, 8, 1).float()


def fastai_fused(image: NDArray[np.uint8], chain: Chain) -> Rendered:
    """`affine_coord` of the product, the perspective its coordinate transform, then the crop's own resampling."""
    from fastai.vision.augment import TensorImage, apply_perspective

    tilt, *rest = chain.operations
    moved = TensorImage(to_planar(image)).affine_coord(
        _affine(homographies.compose(rest)), lambda places: apply_perspective(places, _coefficients(tilt))
    )
    done = take_crop(moved, chain).affine_coord(sz=chain.size)
    *_, crop = chain.homographies(image.shape[0], corners=True)
    whole = homographies.of_normalised(homographies.compose(chain.operations), image.shape[0], corners=True)
    return to_interleaved(done), [whole, crop]


def fastai_alone(image: NDArray[np.uint8], chain: Chain) -> Rendered:
    """`affine_coord` for every operation."""
    from fastai.vision.augment import TensorImage, apply_perspective

    tilt, *rest = chain.operations
    batch = TensorImage(to_planar(image))
    batch = batch.affine_coord(None, lambda places: apply_perspective(places, _coefficients(tilt)))
    for matrix in rest:
        batch = batch.affine_coord(_affine(matrix))
    done = take_crop(batch, chain).affine_coord(sz=chain.size)
    return to_interleaved(done), chain.homographies(image.shape[0], corners=True)


def kornia_alone(image: NDArray[np.uint8], chain: Chain) -> Rendered:
    """`warp_perspective` for every operation, then `resize`."""
    from kornia.geometry import transform as k

    side, batch = image.shape[0], to_planar(image)
    found = chain.homographies(side, corners=True)
    for matrix in found[:-1]:
        forth = torch.from_numpy(np.linalg.inv(homographies.of_indices(matrix))[None]).float()
        batch = k.warp_perspective(batch, forth, (side, side), align_corners=True, padding_mode="reflection")
    done = k.resize(take_crop(batch, chain), (chain.size, chain.size), align_corners=True, antialias=False)
    return to_interleaved(done), found


def torchvision_alone(image: NDArray[np.uint8], chain: Chain) -> Rendered:
    """v2's `horizontal_flip` and `perspective` on bytes, then `resized_crop` with its filter."""
    from torchvision.transforms.v2 import functional as v

    batch = to_planar(image).byte()
    found = chain.homographies(image.shape[0])
    for operation, matrix in zip(chain.operations, found, strict=False):
        if np.allclose(operation, np.diag([-1.0, 1, 1])):
            batch = v.horizontal_flip(batch)
        else:
            numbers = (matrix / matrix[2, 2]).reshape(-1)[:8].tolist()
            batch = v.perspective(batch, None, None, coefficients=numbers)
    x, y, side = chain.crop
    return to_interleaved(v.resized_crop(batch, y, x, side, side, [chain.size] * 2, antialias=True)), found


def albumentations_alone(image: NDArray[np.uint8], chain: Chain) -> Rendered:
    """Its functions `hflip`, `perspective` and `resize` on bytes."""
    import cv2
    from albucore import hflip
    from albumentations.augmentations.geometric import functional as a

    side, found = image.shape[0], chain.homographies(image.shape[0])
    done = image
    for operation, matrix in zip(chain.operations, found, strict=False):
        if np.allclose(operation, np.diag([-1.0, 1, 1])):
            done = hflip(done)
        else:
            forth = np.linalg.inv(homographies.of_indices(matrix))
            done = a.perspective(done, forth, side, side, 0, cv2.BORDER_REFLECT_101, False, cv2.INTER_LINEAR)
    x, y, box = chain.crop
    small = a.resize(np.ascontiguousarray(done[y : y + box, x : x + box]), (chain.size, chain.size), cv2.INTER_LINEAR)
    return small.astype(np.float64), found


def cv2_composed(image: NDArray[np.uint8], chain: Chain) -> Rendered:
    """One `warpPerspective` of the product."""
    import cv2

    found = chain.homographies(image.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix, size = homographies.of_indices(homographies.compose(found)), (chain.size, chain.size)
    done = cv2.warpPerspective(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    return done.astype(np.float64), found


PEERS: dict[str, Peer] = {
    "fastai: fused": Peer("fastai", fastai_fused),
    "fastai: one at a time": Peer("fastai", fastai_alone),
    "kornia: one at a time": Peer("kornia", kornia_alone),
    "torchvision v2: each image": Peer("torchvision", torchvision_alone),
    "albumentations: one at a time": Peer("albumentations", albumentations_alone),
    "cv2: composed": Peer("cv2", cv2_composed),
}
