"""What fuses, and how: geometric operations are homographies, pointwise ones are stages of a colour map.

Pointwise operations that come in the order of the stages become one colour map, and since a colour map acts on each
pixel on its own, geometry passes it: all homographies multiply into one. A pointwise operation that comes too late
begins a second pointwise step, never a second resampling. Only a barrier (a transform that is neither), a rectangle
erased before the image is moved, or another padding separate two resamplings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .barrier import Barrier
from .fusible import Fusible, Geometric, Pointwise
from .plan import Composition, Plan, Segment, Stage
from .random_transform import decide
from .transform import Split, Transform
from .transform_lists import name_operations
from .warp.outspec import Padding


@dataclass
class _Segments:
    """The segments so far, and what may still join them."""

    kinds: list[Literal["warp", "colour", "barrier"]] = field(default_factory=list)
    operations: list[list[int]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    warp: int | None = None
    padding: Padding | None = None
    stage: Stage = Stage.LOGIT

    def begin(self, kind: Literal["warp", "colour", "barrier"], reason: str) -> None:
        self.kinds.append(kind)
        self.operations.append([])
        self.reasons.append(reason)
        self.stage = Stage.LOGIT
        if kind != "colour":
            self.warp, self.padding = (len(self.kinds) - 1 if kind == "warp" else None), None

    def barrier(self, i: int, name: str) -> None:
        self.begin("barrier", f"{name} is neither a homography nor a colour map")
        self.operations[-1].append(i)

    def geometric(self, i: int, padding: Padding | None) -> None:
        if not self.kinds or self.kinds[-1] == "barrier":
            self.begin("warp", "it follows a barrier" if self.kinds else "the source is read")
        elif self.warp is None and self.stage == Stage.ERASE:
            self.begin("warp", "what was erased moves with the image")
        elif self.warp is None:  # colours after a barrier: the geometry joins them
            self.kinds[-1], self.warp = "warp", len(self.kinds) - 1
        elif self.padding is not None and padding not in (None, self.padding):
            self.begin("warp", f"pad_mode changes from {self.padding} to {padding}")
        self.operations[self.warp or 0].append(i)
        self.padding = self.padding if padding is None else padding

    def pointwise(self, i: int, name: str, stage: Stage) -> None:
        if not self.kinds:
            self.begin("warp", "the source is read")
        elif self.kinds[-1] == "barrier":
            self.begin("colour", "it follows a barrier")
        elif stage < self.stage or stage == self.stage == Stage.ERASE:
            self.begin("colour", f"{name} is a map of {stage.name}, and {self.stage.name} has been passed")
        self.operations[-1].append(i)
        self.stage = stage
        if stage == Stage.ERASE:
            self.warp = None


def find_segments(transforms: Sequence[Transform]) -> tuple[Segment, ...]:
    """How a list of transforms falls into runs that are done at once."""
    found = _Segments()
    for i, t in enumerate(transforms):
        if isinstance(t, Geometric):
            found.geometric(i, t.padding())
        elif isinstance(t, Pointwise):
            found.pointwise(i, type(t).__name__, t.stage)
        else:
            found.barrier(i, type(t).__name__)
    rows = zip(found.kinds, found.operations, found.reasons, strict=True)
    return tuple(Segment(kind, tuple(operations), reason) for kind, operations, reason in rows)


def find_single_segments(transforms: Sequence[Transform]) -> tuple[Segment, ...]:
    """Each transform a run of its own: the naive way; only what is erased behind `Normalize` joins that."""
    found: list[Segment] = []
    for i, t in enumerate(transforms):
        kind = "colour" if i and isinstance(t, Pointwise) else find_segments([t])[0].kind
        if _leaves_range(transforms[i - 1 : i]) and isinstance(t, Pointwise) and t.stage == Stage.ERASE:
            found[-1] = replace(found[-1], operations=(*found[-1].operations, i))
        else:
            found.append(Segment(kind, (i,), "nothing is fused"))
    return tuple(found)


def _leaves_range(transforms: Sequence[Transform]) -> str:
    """The name of one that takes colours out of 0..1, if there is one."""
    return next((type(t).__name__ for t in transforms if isinstance(t, Pointwise) and t.leaves_range), "")


def check_colours(transforms: Sequence[Transform], segments: Sequence[Segment]) -> None:
    """`UsageError` where an operation gets colours that are not in 0..1 any more: it would cut or mistake them.

    What is erased behind `Normalize` is zero, the mean colour.
    """
    beyond = ""
    for segment in segments:
        within = ""
        for t in (transforms[i] for i in segment.operations if isinstance(transforms[i], Pointwise)):
            if within and t.stage != Stage.ERASE:  # type: ignore[attr-defined]
                raise UsageError(
                    f"{within} must come after {type(t).__name__}, and once: a step takes colours in 0..1, and "
                    f"{within} takes them out of it"
                )
            within = _leaves_range([t]) or within
        first = type(transforms[segment.operations[0]]).__name__
        if beyond and (segment.kind != "barrier" or isinstance(transforms[segment.operations[0]], Barrier)):
            raise UsageError(
                f"{beyond} must come after {first}, which begins a step of its own ({segment.reason}): "
                f"a step takes colours in 0..1, and {beyond} takes them out of it"
            )
        beyond = _leaves_range([transforms[i] for i in segment.operations]) or beyond


def make_plan(
    transforms: Sequence[Transform],
    sizes: NDArray[Any],
    keys: NDArray[np.uint64],
    *,
    segments: Sequence[Segment] | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    epoch: int = 0,
    split: Split | None = None,
) -> Plan:
    """Draw and compose all transforms for a batch; `sizes` is `[N, 2]`, heights and widths, `keys` `uint64[N]`."""
    sources = np.asarray(sizes, np.float64).reshape(-1, 2)
    decisions = decide(transforms, names or name_operations(transforms), keys, seed, epoch, split)
    frame, steps = sources, []
    for segment in find_segments(transforms) if segments is None else segments:
        composition = Composition(frame)
        for t, params in ((transforms[i], decisions[i]) for i in segment.operations):
            if isinstance(t, Fusible):
                t.join(composition, params)
            elif params is not None:
                composition.barrier = (t, params)
        steps.append(composition.step(segment))
        frame = composition.frame
    return Plan(tuple(steps), sources)
