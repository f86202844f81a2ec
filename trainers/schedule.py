"""How the learning rate and the momentum move through a training: constant, or one cycle.

A schedule maps a position in the whole training, 0 to 1, to one learning rate for each group of layers (the first
group is nearest the input, the last is the head) and one momentum.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..errors import UsageError

Rates = float | slice | Sequence[float]


class StepSettings(NamedTuple):
    """What the optimiser is set to for one step."""

    rates: tuple[float, ...]
    momentum: float


class Schedule(Protocol):
    """A position from 0 to 1 in, a `StepSettings` out."""

    def __call__(self, position: float) -> StepSettings:
        """The setting at a position."""


def per_group_rates(rates: Rates, groups: int) -> tuple[float, ...]:
    """One learning rate for each of `groups` groups of layers.

    A number serves every group, `slice(lo, hi)` is spread geometrically from the first group to the last, and
    `slice(lr)` gives the last group `lr` and all before it a tenth.

    >>> [f"{rate:.0e}" for rate in per_group_rates(slice(1e-6, 1e-4), 3)]
    ['1e-06', '1e-05', '1e-04']
    >>> per_group_rates(slice(0.1), 3)
    (0.01, 0.01, 0.1)

    Raises `UsageError` for a rate that is not positive, or a sequence of another length.
    """
    if isinstance(rates, slice):
        result = _rates_of_slice(rates, groups)
    elif isinstance(rates, Sequence):
        result = tuple(float(rate) for rate in rates)
    else:
        result = (float(rates),) * groups
    if len(result) != groups:
        raise UsageError(f"lr must be {groups} numbers, one for each group of layers, but got {len(result)}")
    if not all(math.isfinite(rate) and rate > 0 for rate in result):
        raise UsageError(f"lr must be positive and finite, but got {rates!r}")
    return result


def _rates_of_slice(rates: slice, groups: int) -> tuple[float, ...]:
    if rates.stop is None or rates.step is not None:
        raise UsageError(f"lr must be slice(high) or slice(low, high), but got {rates!r}")
    high = float(rates.stop)
    if rates.start is None:
        return (high / 10,) * (groups - 1) + (high,)
    low = float(rates.start)
    if low <= 0 or high <= 0:
        raise UsageError(f"lr must be positive at both ends of the slice, but got {rates!r}")
    if groups == 1:
        return (high,)
    return tuple(low * (high / low) ** (group / (groups - 1)) for group in range(groups))


def cosine(start: float, end: float, position: float) -> float:
    """From `start` to `end` along half a cosine.

    >>> cosine(1.0, 3.0, 0.5)
    2.0
    """
    return start + (end - start) * (1 - math.cos(math.pi * position)) / 2


@dataclass(frozen=True)
class Constant:
    """The same rates all the way."""

    rates: tuple[float, ...]
    momentum: float = 0.9

    def __call__(self, position: float) -> StepSettings:
        """The setting, whatever the position."""
        return StepSettings(self.rates, self.momentum)


@dataclass(frozen=True)
class OneCycle:
    """Warm up from `rates / div` to `rates`, then anneal to `rates / div_final`; the momentum mirrors it.

    Smith, "A disciplined approach to neural network hyper-parameters", arXiv:1803.09820, with cosines for lines.

    >>> OneCycle((1.0,), pct_start=0.25)(0.25)
    StepSettings(rates=(1.0,), momentum=0.85)
    """

    rates: tuple[float, ...]
    pct_start: float = 0.25
    div: float = 25.0
    div_final: float = 1e5
    momenta: tuple[float, float, float] = (0.95, 0.85, 0.95)

    def __post_init__(self) -> None:
        if not 0 < self.pct_start < 1:
            raise UsageError(f"pct_start must be between 0 and 1, but got {self.pct_start}")
        if self.div <= 0 or self.div_final <= 0:
            raise UsageError(f"div and div_final must be positive, but got {self.div} and {self.div_final}")

    def __call__(self, position: float) -> StepSettings:
        """The setting at `position`: rising before `pct_start`, falling after it."""
        start, top, end = self.momenta
        if position < self.pct_start:
            part = position / self.pct_start
            return StepSettings(tuple(cosine(r / self.div, r, part) for r in self.rates), cosine(start, top, part))
        part = (position - self.pct_start) / (1 - self.pct_start)
        return StepSettings(tuple(cosine(r, r / self.div_final, part) for r in self.rates), cosine(top, end, part))
