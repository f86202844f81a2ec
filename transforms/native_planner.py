"""Plans drawn and composed in C++ by the table of their transforms: five times as fast as one by one in numpy."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .draw import stream_key
from .op_table import OpTable, compile_table
from .plan import Array, Plan, Segment, Stage, Step, common_size
from .transform import Split, Transform
from .warp import cpu_draws, native

NAMES = {
    Stage.LOGIT: "logit",
    Stage.HUE: "hue",
    Stage.TABLE: "table",
    Stage.RGB: "colour",
    Stage.ERASE: "erase",
}


@dataclass(frozen=True)
class NativePlanner:
    """A table, and the segments that it is of."""

    table: OpTable
    segments: tuple[Segment, ...]

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """The parts of the colour map that some segment has, as C++ names them."""
        stages = frozenset().union(*(launch.stages for launch in self.table.launches))
        return tuple(name for stage, name in NAMES.items() if stage in stages)

    def plan(self, sizes: NDArray[Any], hashes: NDArray[np.uint64], seed: int, epoch: int) -> Plan:
        """What happens to images of `sizes` `[N, 2]`, heights and widths, whose keys have these hashes."""
        table = self.table
        sources: Array = np.ascontiguousarray(sizes, np.float64).reshape(-1, 2)
        drawn = cpu_draws.draw(
            table.integers,
            table.floats,
            sources,
            np.ascontiguousarray(hashes),
            stream_key(seed, epoch),
            table.size,
            len(table.launches),
            self.stages,
        )
        size = common_size(sources) if table.size is None else table.size
        steps = []
        for i, (segment, launch) in enumerate(zip(self.segments, table.launches, strict=True)):
            colour = {stage: drawn[NAMES[stage]][i] for stage in sorted(launch.stages)}
            steps.append(Step(segment, None if i else drawn["matrix"], size, colour, launch.padding))
        return Plan(tuple(steps), sources)


def compile_for_cpu(
    transforms: Sequence[Transform], names: Sequence[str], segments: Sequence[Segment], split: Split | None
) -> NativePlanner | None:
    """What draws for all transforms at once; None where one of them is decided by itself, or without a compiler."""
    table = compile_table(transforms, names, segments, split)
    return (
        NativePlanner(table, tuple(segments)) if native.extension is not None and isinstance(table, OpTable) else None
    )
