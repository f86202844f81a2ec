"""MixUp and CutMix: the samples of a training batch mixed with one another, and their labels by the same shares.

These are the only transforms in which a sample depends on its batch. Who is mixed with whom, and how much, follows
from (seed, epoch, keys of the batch); `replay` gives a sample as it was before.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..errors import UsageError
from .draw import draw
from .plan import Array
from .transform import Keys, Transform, sample_keys


class Mix(Transform):
    """What MixUp and CutMix share: partners, shares, and soft labels `float32[N, classes]`."""

    alpha: float = 0.4
    classes: int | None = None
    """How many classes there are; DataLoaders fill it in from the vocabulary."""

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise UsageError(f"alpha must be above 0, but got {self.alpha}")

    def __call__(  # type: ignore[override]
        self, x: Tensor, y: Any, *, keys: Keys = None, seed: int = 0, epoch: int = 0
    ) -> tuple[Tensor, Any]:
        """A batch `[N, 3, h, w]` and its labels, int `[N]` or float `[N, classes]`, mixed."""
        n = len(x)
        name, hashes = type(self).__name__, sample_keys(keys, n)
        order = np.argsort(draw(seed, epoch, hashes, name, 1).uniform(0), kind="stable")
        partner = np.empty(n, np.int64)
        partner[order] = np.roll(order, -1)
        generator = np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), int(np.bitwise_xor.reduce(hashes))]))
        share = generator.beta(self.alpha, self.alpha, n)
        mixed, kept = self.blend(x, x[torch.from_numpy(partner).to(x.device)], share, generator)
        soft = self._soft(y)
        weight = torch.from_numpy(kept).to(soft)[:, None]
        return mixed, weight * soft + (1 - weight) * soft[torch.from_numpy(partner).to(soft.device)]

    def blend(self, x: Tensor, other: Tensor, share: Array, generator: np.random.Generator) -> tuple[Tensor, Array]:
        """The mixed images, and the share of each that is its own, `[N]`."""
        raise UsageError(f"{type(self).__name__} must define `blend`")

    def _soft(self, y: Any) -> Tensor:
        if not isinstance(y, Tensor) or y.ndim > 2 or (y.ndim == 2 and not y.is_floating_point()):
            raise UsageError("labels that are mixed must be classes [N] or [N, classes]: masks and points cannot be")
        if y.ndim == 2:
            return y
        if self.classes is None:
            raise UsageError(f"{type(self).__name__} must know how many classes there are: give classes=n")
        return functional.one_hot(y.long(), self.classes).float()


class MixUp(Mix):
    """Each image blended with a partner (Zhang et al., "mixup", 2017); its own share is at least one half.

    >>> x, y = MixUp(classes=2)(torch.eye(2).reshape(2, 1, 1, 2), torch.tensor([0, 1]))
    >>> torch.allclose(x.reshape(2, 2), y)
    True
    """

    def blend(self, x: Tensor, other: Tensor, share: Array, generator: np.random.Generator) -> tuple[Tensor, Array]:
        """A weighted mean."""
        kept = np.maximum(share, 1 - share)
        weight = torch.from_numpy(kept).to(x)[:, None, None, None]
        return weight * x + (1 - weight) * other, kept


class CutMix(Mix):
    """A box of each image replaced by the partner's (Yun et al., "CutMix", 2019); labels by area."""

    alpha: float = 1.0

    def blend(self, x: Tensor, other: Tensor, share: Array, generator: np.random.Generator) -> tuple[Tensor, Array]:
        """A box about a random centre, cut at the image's sides."""
        n, _, h, w = x.shape
        centre, half = generator.random((n, 2)) * [h, w], np.sqrt(1 - share)[:, None] * [h, w] / 2
        low = np.rint(np.clip(centre - half, 0, [h, w])).astype(np.int64)
        high = np.rint(np.clip(centre + half, 0, [h, w])).astype(np.int64)
        inside = _inside(low[:, 0], high[:, 0], h)[:, None, :, None] & _inside(low[:, 1], high[:, 1], w)[:, None, None]
        mixed = torch.where(torch.from_numpy(inside).to(x.device), other, x)
        return mixed, 1 - (high - low).prod(1) / (h * w)


def _inside(low: NDArray[np.int64], high: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    positions = np.arange(length)
    return np.asarray((positions >= low[:, None]) & (positions < high[:, None]))
