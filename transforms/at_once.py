"""A plan drawn and composed in C++ by the table of its transforms, in a fifth of the time that they take themselves."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .augment import Fused
from .draw import stream_key
from .plan import Array, Plan, Stage, Step, common_size
from .plan import Segment as Run
from .program import NotInTable, Program, compile_program
from .transform import Split
from .warp import cpu, native

NAMES = {
    Stage.LOGIT: "logit",
    Stage.HUE: "hue",
    Stage.TABLE: "table",
    Stage.RGB: "colour",
    Stage.ERASE: "erase",
}


@dataclass(frozen=True)
class AtOnce:
    """The program of a fused augmentation, and the runs that its segments are."""

    program: Program
    runs: tuple[Run, ...]
    stages: tuple[str, ...]

    @classmethod
    def of(cls, fused: Fused, split: Split | None) -> Self:
        """Raises `NotInTable` where a transform has to decide for itself."""
        program = compile_program(fused, split)
        stages = frozenset().union(*(segment.stages for segment in program.segments))
        return cls(program, fused.segments, tuple(name for stage, name in NAMES.items() if stage in stages))

    def plan(self, sizes: NDArray[Any], hashes: NDArray[np.uint64], seed: int, epoch: int) -> Plan:
        """What happens to images of `sizes` `[N, 2]`, heights and widths, whose keys have these hashes."""
        program = self.program
        sources: Array = np.ascontiguousarray(sizes, np.float64).reshape(-1, 2)
        made = cpu.draw(
            program.integers,
            program.floats,
            sources,
            np.ascontiguousarray(hashes),
            stream_key(seed, epoch),
            program.size,
            len(program.segments),
            self.stages,
        )
        size = common_size(sources) if program.size is None else program.size
        steps = []
        for i, (run, segment) in enumerate(zip(self.runs, program.segments, strict=True)):
            colour = {stage: made[NAMES[stage]][i] for stage in sorted(segment.stages)}
            steps.append(Step(run, None if i else made["matrix"], size, colour, segment.padding))
        return Plan(tuple(steps), sources)


def drawn_at_once(fused: Fused, split: Split | None) -> AtOnce | None:
    """What draws for all transforms of `fused` at once; None where one decides for itself, or without a compiler."""
    if native.extension is None:
        return None
    try:
        return AtOnce.of(fused, split)
    except NotInTable:
        return None
