"""The learning-rate finder: a short mock training with growing rates, and what its losses suggest.

Smith, "Cyclical learning rates for training neural networks", arXiv:1506.01186. A suggestion is a function of the
rates and their smoothed losses that gives a rate.
"""

from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..errors import TrainingError, UsageError
from .events import Callback, StopTraining, Training
from .schedule import StepSettings

Curve = NDArray[np.float64]
Suggest = Callable[[Curve, Curve], float]
SMOOTHING = 0.98
COLOURS = ("#d1562e", "#1b7f4b", "#8549a8", "#b58900", "#5b6b7b")


@dataclass(frozen=True)
class Grid:
    """Rates from `start` to `end`, evenly spaced on a log scale: step `k` of `steps` has `start (end/start)^(k/steps)`.

    >>> [f"{Grid().rate(k):.1e}" for k in (0, 50, 100)]
    ['1.0e-07', '1.0e-03', '1.0e+01']
    """

    start: float = 1e-7
    end: float = 10.0
    steps: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.start < self.end:
            raise UsageError(f"start_lr must be positive and below end_lr, but got {self.start} and {self.end}")
        if self.steps < 20:
            raise UsageError(f"num_it must be at least 20, but got {self.steps}")

    def rate(self, step: int) -> float:
        """The learning rate at a step of the search."""
        return float(self.start * (self.end / self.start) ** (step / self.steps))


class Sweep(Callback):
    """Takes the rate of each step from a grid, and stops at its end or when the loss diverges."""

    order = -60  # it must end the run before the recorder calls a diverging loss an error

    def __init__(self, grid: Grid, groups: int, stop_div: bool = True) -> None:
        self.grid, self.groups, self.stop_div = grid, groups, stop_div
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._average = 0.0
        self._best = float("inf")

    def __call__(self, position: float) -> StepSettings:
        """As a schedule: the position does not matter, the step does."""
        return StepSettings((self.grid.rate(len(self.rates)),) * self.groups, 0.9)

    def after_batch(self, learn: Training) -> None:
        """Keep the smoothed loss; stop at the end, at four times the best, and at a loss that is not finite."""
        assert learn.run.loss is not None
        rate = self.grid.rate(len(self.rates))
        value = float(learn.accelerator.reduce(learn.run.loss.detach(), "mean"))  # so that all processes stop at once
        self._average = SMOOTHING * self._average + (1 - SMOOTHING) * value
        loss = self._average / (1 - SMOOTHING ** (len(self.rates) + 1))
        if not np.isfinite(loss):
            raise StopTraining
        self.rates.append(rate)
        self.losses.append(loss)
        self._best = min(self._best, loss)
        if len(self.rates) >= self.grid.steps or (self.stop_div and loss > 4 * self._best):
            raise StopTraining


def minimum(rates: Curve, losses: Curve) -> float:
    """A tenth of the rate at the lowest loss."""
    return float(rates[losses.argmin()]) / 10


def steep(rates: Curve, losses: Curve) -> float:
    """The rate from which the loss falls most steeply, over the logarithm of the rate."""
    return float(rates[(np.diff(losses) / np.diff(np.log(rates))).argmin()])


def valley(rates: Curve, losses: Curve) -> float:
    """The rate half-way down the second third of the longest run of falling losses (not needing to be neighbours)."""
    lengths = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        above = lengths[:i][losses[:i] > losses[i]]
        lengths[i] = 1 + (above.max() if len(above) else 0)
    end = int(lengths.argmax())
    start = end - int(lengths[end])
    third = (end - start) / 3
    return float(rates[max(start + int(third) + int(third / 2), 0)])


def slide(rates: Curve, losses: Curve, width: int = 15, threshold: float = 0.005) -> float:
    """Slide a window of `width` steps down from the top until the slopes at its two ends agree; its lower end."""
    slopes = np.gradient(losses)
    high, low = len(losses) - 1, len(losses) - 1 - width
    found = rates[max(low, 0)]
    while low >= 0 and abs(slopes[high] - slopes[low]) > threshold:
        found = rates[low]
        high, low = high - 1, low - 1
    return float(found)


def suggest(sweep: Sweep, functions: Sequence[Suggest]) -> Any:
    """A named tuple of suggestions, after the first tenth of the steps and before the last five.

    Raises `TrainingError` where the loss diverged too soon for that.
    """
    skip = sweep.grid.steps // 10
    rates, losses = np.array(sweep.rates)[skip:-5], np.array(sweep.losses)[skip:-5]
    if len(rates) < 3:
        raise TrainingError(
            f"lr_find must have at least {skip + 8} steps before the loss diverges, but had {len(sweep.rates)}: "
            f"begin lower than start_lr={sweep.grid.start:g}, or look for wrong images and labels"
        )
    names = [getattr(getattr(f, "func", f), "__name__", "suggestion") for f in functions]
    values = {name: f(rates, losses) for name, f in zip(names, functions, strict=True)}

    class SuggestedLRs(namedtuple("SuggestedLRs", values)):  # type: ignore[misc]
        """The suggestions, by the names of their functions."""

        __slots__ = ()

        def plot(self, figsize: tuple[float, float] = (7, 4)) -> Figure:
            """The loss over the rate, with the suggestions on it."""
            return plot(sweep, self._asdict(), figsize)

    return SuggestedLRs(**values)


def plot(sweep: Sweep, suggestions: dict[str, float], figsize: tuple[float, float] = (7, 4)) -> Figure:
    """The smoothed loss over the rate, with the suggestions on it."""
    rates, losses = sweep.rates[:-5] or sweep.rates, sweep.losses[:-5] or sweep.losses
    figure = Figure(figsize=figsize, layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color="#1f5f99")
    for colour, (name, rate) in zip(COLOURS, suggestions.items(), strict=False):
        axes.plot(rate, np.interp(np.log(rate), np.log(rates), losses), "o", color=colour, label=f"{name} {rate:.2e}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
