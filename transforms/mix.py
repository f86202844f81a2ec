"""MixUp and CutMix: the samples of a training batch mixed with one another, and their labels by the same shares.

These are the only transforms in which a sample depends on its batch: on who is in it. Each sample's place in the ring
of partners, its share and its box are draws by (seed, epoch, sample key, operation), as those of all transforms.
`replay` gives a sample as it was before.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..errors import UsageError
from .draw import Draw, draw
from .plan import Array
from .random_transform import Keys, sample_keys
from .transform import Transform


class Mix(Transform):
    """What MixUp and CutMix share: partners, shares, and soft labels `float32[N, classes]`."""

    alpha: float = 0.4
    classes: int | None = None
    """How many classes there are; DataLoaders fill it in from the vocabulary."""

    def __post_init__(self) -> None:
        if not 0 < self.alpha < np.inf:
            raise UsageError(f"alpha must be a number above 0, but got {self.alpha}")
        if self.classes is not None and self.classes < 1:
            raise UsageError(f"classes must be at least 1, but got {self.classes}")

    def __call__(  # type: ignore[override]
        self,
        x: Tensor,
        y: Any,
        *,
        keys: Keys = None,
        seed: int = 0,
        epoch: int = 0,
        operation: str | None = None,
    ) -> tuple[Tensor, Any]:
        """A batch `[N, 3, h, w]` and its labels, int `[N]` or float `[N, classes]`, mixed; the images' dtype is kept.

        `keys` names the samples (default: the row numbers), `operation` the stream of numbers (default: the class).
        """
        n = len(x)
        numbers = draw(seed, epoch, sample_keys(keys, n), operation or type(self).__name__, 4)
        order = np.argsort(numbers.uniform(0), kind="stable")
        partner = np.empty(n, np.int64)
        partner[order] = np.roll(order, -1)
        mixed, kept = self.blend(x, x[torch.from_numpy(partner).to(x.device)], numbers)
        soft = self._soft(y)
        weight = torch.from_numpy(kept).to(soft)[:, None]
        return mixed, weight * soft + (1 - weight) * soft[torch.from_numpy(partner).to(soft.device)]

    def blend(self, x: Tensor, other: Tensor, numbers: Draw) -> tuple[Tensor, Array]:
        """The mixed images, and the share of each that is its own, `[N]`; number 0 is taken by the partners."""
        raise UsageError(f"{type(self).__name__} must define `blend`")

    def share(self, numbers: Draw) -> Array:
        """Number 1 as a share `[N]` that is distributed as Beta(alpha, alpha)."""
        return beta_quantile(numbers.uniform(1), self.alpha)

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

    def blend(self, x: Tensor, other: Tensor, numbers: Draw) -> tuple[Tensor, Array]:
        """The mean of an image and its partner, by the image's share."""
        share = self.share(numbers)
        kept = np.maximum(share, 1 - share)
        work = x.dtype if x.is_floating_point() else torch.float32
        weight = torch.from_numpy(kept).to(x.device, work)[:, None, None, None]
        mixed = weight * x + (1 - weight) * other
        return (mixed if x.is_floating_point() else mixed.round().to(x.dtype)), kept


class CutMix(Mix):
    """A box of each image replaced by the partner's (Yun et al., "CutMix", 2019); labels by area."""

    alpha: float = 1.0

    def blend(self, x: Tensor, other: Tensor, numbers: Draw) -> tuple[Tensor, Array]:
        """A box about a random centre, cut at the image's sides."""
        h, w = x.shape[-2:]
        centre = np.stack([numbers.uniform(2, 0, h), numbers.uniform(3, 0, w)], -1)
        half = np.sqrt(1 - self.share(numbers))[:, None] * [h, w] / 2
        low = np.rint(np.clip(centre - half, 0, [h, w])).astype(np.int64)
        high = np.rint(np.clip(centre + half, 0, [h, w])).astype(np.int64)
        inside = _inside(low[:, 0], high[:, 0], h)[:, None, :, None] & _inside(low[:, 1], high[:, 1], w)[:, None, None]
        mixed = torch.where(torch.from_numpy(inside).to(x.device), other, x)
        return mixed, 1 - (high - low).prod(1) / (h * w)


def _inside(low: NDArray[np.int64], high: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    positions = np.arange(length)
    return np.asarray((positions >= low[:, None]) & (positions < high[:, None]))


def beta_quantile(u: Array, alpha: float) -> Array:
    """Numbers of 0..1 as draws from Beta(alpha, alpha), by its quantile function: one number makes one draw.

    >>> beta_quantile(np.array([0.0, 0.25, 0.5, 0.75]), 1.0).round(6).tolist()
    [0.0, 0.25, 0.5, 0.75]
    """
    t, below = _half_of_beta(alpha)
    low = 0.5 * np.interp(np.minimum(u, 1 - u), below, t) ** max(1.0, 1 / alpha)
    return np.where(u < 0.5, low, 1 - low)


@lru_cache(maxsize=16)
def _half_of_beta(alpha: float) -> tuple[Array, Array]:
    """The distribution function of Beta(alpha, alpha) up to one half, at x = t^p / 2, where it has no singularity."""
    p = max(1.0, 1 / alpha)
    t = np.linspace(0, 1, 8193)
    # x^(alpha - 1) (1 - x)^(alpha - 1) dx/dt, but for a constant factor
    density = t ** max(p * alpha - 1, 0.0) * (1 - 0.5 * t**p) ** (alpha - 1)
    below = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return t, below / below[-1] / 2
