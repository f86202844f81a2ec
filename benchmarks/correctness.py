"""The gate before every measurement of speed: who claims the map is held against the reference on the same draws."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..transforms.plan import Plan, Stage
from ..transforms.warp import OutSpec, reference
from .measuring import homographies


@dataclass(frozen=True)
class Claim:
    """What a contender claims to compute, and how near it has to come, in grey levels.

    `antialias` picks the reference. With `box` above one, means over boxes of that side are compared, so that a
    resampling more, which softens, counts less than a map that is off.
    """

    antialias: bool
    largest: float
    mean: float
    box: int = 1


@dataclass(frozen=True)
class Off:
    """How far a contender is from the reference, in grey levels, and whether its claim holds."""

    largest: float
    mean: float
    holds: bool


EXACT = {antialias: Claim(antialias, largest=1.0, mean=0.255) for antialias in (True, False)}
"""Within 1/255, and 1e-3 in the mean: the bound of all back ends."""
ROUNDED = Claim(antialias=False, largest=6.0, mean=0.4)
"""OpenCV: weights of five bits, a byte between the warp and the colours."""
SOFTENED = Claim(antialias=True, largest=12.0, mean=0.4, box=4)
"""One operation at a time: a softer picture of the same map."""


class Gate:
    """References for the first images of a batch under a plan, and the pixels that are compared.

    `plan` is fused, `alone` the same draws one operation at a time: a pixel counts that lies within every frame.
    """

    def __init__(
        self, images: NDArray[np.uint8], plan: Plan, alone: Plan, normalise: tuple[Any, Any], count: int = 3
    ) -> None:
        assert plan.size is not None
        self.count, (self.size, _) = min(count, len(images)), plan.size
        self._mean, self._std = (np.array(values)[:, None, None] for values in normalise)
        self._images, self._plan = torch.from_numpy(images[: self.count]), plan
        self._references: dict[bool, NDArray[Any]] = {}
        chains = [step.matrix for step in alone.steps if step.matrix is not None]
        side = images.shape[1]
        each = [[matrices[i] for matrices in chains] for i in range(self.count)]
        self._inside = np.stack([homographies.inside(chain, side, self.size) for chain in each])

    def reference_for(self, antialias: bool) -> NDArray[Any]:
        """The reference in grey levels, `float64[count, 3, h, w]`."""
        if antialias not in self._references:
            (step,) = self._plan.steps
            assert step.matrix is not None
            logit, colour, matrix = (
                torch.from_numpy(np.ascontiguousarray(values[: self.count], np.float32))
                for values in (step.colour[Stage.LOGIT], step.colour[Stage.RGB], step.matrix)
            )
            spec = OutSpec((self.size, self.size), torch.float64, antialias=antialias)
            found = reference.warp(self._images, matrix, logit, colour, spec)
            self._references[antialias] = self._grey(found)
        return self._references[antialias]

    def hold(self, batch: Any, claim: Claim) -> Off:
        """A contender's normalised batch beside the reference."""
        found, expected = self._grey(batch[: self.count]), self.reference_for(claim.antialias)
        kept = self._inside[:, None]
        if claim.box > 1:
            found, expected = homographies.box_means(found, claim.box), homographies.box_means(expected, claim.box)
            kept = homographies.box_means(kept.astype(np.float64), claim.box) == 1
        off = np.abs(found - expected)[np.broadcast_to(kept, found.shape)]
        largest, mean = float(off.max(initial=0)), float(off.mean()) if off.size else np.nan
        return Off(round(largest, 4), round(mean, 4), bool(largest <= claim.largest and mean <= claim.mean))

    def _grey(self, batch: Any) -> NDArray[Any]:
        pixels = batch.double().cpu().numpy() if isinstance(batch, torch.Tensor) else np.asarray(batch, np.float64)
        return np.asarray((pixels * self._std + self._mean) * 255)
