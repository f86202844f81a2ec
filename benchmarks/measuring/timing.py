"""Timing: every contender in every round, each round in another order, after a warm-up."""

import random
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...pipeline.presizing.progress import Reporter

SLOW = 0.6
"""Contenders whose call takes longer than so many seconds are in every other round."""

LONGER = 4
"""By how much turns are longer where calls differ in what they do: a batch of random draws is 4% off their mean."""


@dataclass(frozen=True)
class Turn:
    """Seconds of one call in one round: by the clock, and of the process's processor time.

    Others on the machine disturb processor time less: it is the measure for one core.
    """

    clock: float
    cpu: float


def time_call(call: Callable[[], Any], seconds: float) -> Turn:
    """The mean call of as many as fill `seconds`, at least one."""
    calls, clock, cpu = 0, time.perf_counter(), time.process_time()
    while not calls or time.perf_counter() - clock < seconds:
        call()
        calls += 1
    return Turn((time.perf_counter() - clock) / calls, (time.process_time() - cpu) / calls)


def in_rounds(
    contenders: Mapping[str, Callable[[], Any]],
    rounds: int,
    seconds: float,
    progress: Reporter,
    uneven: Collection[str] = (),
    seed: int = 0,
) -> dict[str, list[Turn]]:
    """Turns of every contender over the rounds, in an order that differs from round to round.

    Those of the `uneven`, whose calls do more or less by chance, are `LONGER`.
    """
    slow = {name for name, call in contenders.items() if time_call(call, 0).clock > SLOW}
    turns: dict[str, list[Turn]] = {name: [] for name in contenders}
    order, draws = list(contenders), random.Random(seed)
    for i in range(rounds):
        draws.shuffle(order)
        for name in order:
            if i % 2 == 0 or name not in slow:
                turns[name].append(time_call(contenders[name], seconds * (LONGER if name in uneven else 1)))
            progress.advance(1)
    return turns


def quartiles(values: list[float], digits: int = 2) -> list[float]:
    """Lower quartile, median, upper quartile, to so many digits behind the point."""
    return [round(float(q), digits) for q in np.quantile(values, [0.25, 0.5, 0.75])]
