"""What fuses, and how: geometric operations are homographies, pointwise ones are stages of a colour map.

Pointwise operations that come in the order of the stages become one colour map, and since a colour map acts on each
pixel on its own, geometry passes it: all homographies multiply into one. A pointwise operation that comes too late
begins a second pointwise step, never a second resampling. Only a barrier (a transform that is neither), a rectangle
erased before the image is moved, or another padding separate two resamplings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .barrier import Barrier
from .draw import Draw, draws
from .execute import call
from .operations import ColourOperation, Row
from .plan import (
    Array,
    Plan,
    Segment,
    Stage,
    Step,
    after,
    common_size,
    cover,
    frames_of,
    from_pixels,
    height_width,
    scaling,
    times,
    to_pixels,
)
from .settings import check_number
from .transform import Keys, Params, RandTransform, Split, Transform, check_key, name_operations, sample_keys
from .warp.opcodes import NUMBERS
from .warp.outspec import PADDINGS, Padding


class Fusible(RandTransform):
    """A random transform that is a homography or a colour map; on its own it is a warp of one operation.

    It is declared by its `row`, or by methods of its own: `params`, and `normalised` or `effect`.
    """

    def row(self) -> Row[Any] | None:
        """What it does to training samples; None where its own methods say so."""
        return None

    def row_at_rest(self) -> Row[Any] | None:
        """What it does to all other samples; None for nothing, or where `rest` says so."""
        return None

    @property
    def draws(self) -> int:  # type: ignore[override]
        """How many uniform numbers it takes for a sample."""
        row = self.row()
        return 0 if row is None else row.draws

    def params(self, draw: Draw) -> Params:
        """The operands of its row, by their names: `[N]` each."""
        row = self.row()
        return {} if row is None else row.decide(draw)

    def rest(self, n: int) -> Params | None:
        """The operands of its row at rest."""
        row = self.row_at_rest()
        return None if row is None else row.decide(Draw(np.zeros((n, NUMBERS))))

    def __call__(
        self,
        x: Any,
        *,
        split: Split | None = None,
        seed: int = 0,
        epoch: int = 0,
        keys: Keys = None,
        operation: str | None = None,
    ) -> Any:
        """Draw for `x`, a sample or a batch, and apply it: one resampling, the dtype is kept."""
        names = [operation or type(self).__name__]
        check_key((self,), x, keys, split)

        def planned(sizes: NDArray[np.int64], keys: Keys) -> Plan:
            hashes = sample_keys(keys, len(sizes))
            return make_plan([self], sizes, hashes, names=names, seed=seed, epoch=epoch, split=split)

        return call(planned, x, keys)

    def __post_init__(self) -> None:
        mode = getattr(self, "mode", "bilinear")
        if mode != "bilinear":
            raise UsageError(f"mode must be 'bilinear' (filtered where the image shrinks), but got {mode!r}")
        if hasattr(self, "p"):
            check_number(self, "p", 0, 1)
        if hasattr(self, "pad_mode"):
            check_padding(self.pad_mode)
        if getattr(self, "size", None) is not None:
            height_width(self.size)  # type: ignore[attr-defined]


def check_padding(pad_mode: Any) -> None:
    """`UsageError` unless it is a way to continue an image, or an RGB colour."""
    colour = isinstance(pad_mode, tuple) and len(pad_mode) == 3 and all(0 <= channel <= 1 for channel in pad_mode)
    if not colour and pad_mode not in PADDINGS:
        raise UsageError(
            f"pad_mode must be one of {', '.join(PADDINGS)} or an RGB colour in 0..1, but got {pad_mode!r}"
        )


def defines(transform: Fusible, *names: str) -> bool:
    """Whether its class has methods or values of its own by one of these names."""
    base = Geometric if isinstance(transform, Geometric) else Pointwise
    return any(getattr(type(transform), name, None) is not getattr(base, name, None) for name in names)


def is_declared(transform: Fusible) -> bool:
    """Whether its row is all that it does: no class below the one that declares it has methods of its own."""
    classes = type(transform).__mro__

    def distance(name: str) -> int:
        return next((i for i, c in enumerate(classes) if name in vars(c)), len(classes))

    return distance("row") <= min(distance(name) for name in _CARRIED_OUT)


_CARRIED_OUT = ("params", "rest", "normalised", "place", "effect")
"""What a row says, and a method may say instead."""


class Geometric(Fusible):
    """A random transform of where pixels come from: a homography a sample."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not defines(self, "row", "normalised", "place"):
            raise UsageError(f"{type(self).__name__} must define `normalised(params, frame)`, or `row()`")

    def normalised(self, params: Params, frame: Array) -> Array:
        """Output to input in normalised coordinates, `float64[N, 3, 3]`; `frame` is `[N, 2]` heights and widths."""
        row = self.row()
        if row is None:
            raise UsageError(f"{type(self).__name__} must define `normalised(params, frame)`, or `row()`")
        matrix: Array = row.operation.matrix(row, row.complete(params, len(frame)), frame)
        return matrix

    def place(self, params: Params | None, frame: Array) -> tuple[Array | None, Array]:
        """The matrix (None for the identity) and the frame that the operation leaves.

        Where the transform has a `size` of another aspect, the middle of the frame is taken: nothing is squeezed.
        """
        row = self.row()
        matrix = None if params is None else self.normalised(params, frame)
        if params is not None and row is not None:
            frame = row.operation.leaves(row, params, frame)
        size = getattr(self, "size", None)
        if size is None or (row is not None and row.operation.resizes):
            return matrix, frame
        leaves = frames_of(size, frame)
        return times(matrix, scaling(cover(frame, leaves))), leaves

    def padding(self) -> Padding | None:
        """What lies outside the image; None where the operation never looks there."""
        return getattr(self, "pad_mode", None)


class Pointwise(Fusible):
    """A random transform of each pixel's colour on its own: one stage of the colour map."""

    leaves_range: ClassVar[bool] = False
    """Whether it takes colours out of 0..1, where each further step expects them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not defines(self, "stage"):
            raise UsageError(f"{type(self).__name__} must define `stage`")
        if not defines(self, "row", "effect"):
            raise UsageError(f"{type(self).__name__} must define `effect(params)`, or `row()`")

    @property
    def stage(self) -> Stage:
        """Which part of the colour map it is."""
        raise UsageError(f"{type(self).__name__} must define `stage`")

    def effect(self, params: Params) -> Array:
        """The array of the stage, with a row a sample."""
        row = self.row()
        if row is None:
            raise UsageError(f"{type(self).__name__} must define `effect(params)`, or `row()`")
        check_stage(self, row)
        n = len(next(iter(params.values()), ()))
        effect: Array = row.operation.effect(row, row.complete(params, n))
        return effect


def check_stage(transform: Pointwise, row: Row[ColourOperation]) -> None:
    """`UsageError` where a row's operation is none of the transform's stage."""
    if transform.stage not in row.operation.stages:
        raise UsageError(
            f"{type(transform).__name__}: stage must be {' or '.join(stage.name for stage in row.operation.stages)}, "
            f"where {row.operation.opcode.name} acts, but got {transform.stage.name}"
        )


@dataclass
class _Runs:
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


def segments(transforms: Sequence[Transform]) -> tuple[Segment, ...]:
    """How a list of transforms falls into runs that are done at once."""
    runs = _Runs()
    for i, t in enumerate(transforms):
        if isinstance(t, Geometric):
            runs.geometric(i, t.padding())
        elif isinstance(t, Pointwise):
            runs.pointwise(i, type(t).__name__, t.stage)
        else:
            runs.barrier(i, type(t).__name__)
    rows = zip(runs.kinds, runs.operations, runs.reasons, strict=True)
    return tuple(Segment(kind, tuple(operations), reason) for kind, operations, reason in rows)


def one_by_one(transforms: Sequence[Transform]) -> tuple[Segment, ...]:
    """Each transform a run of its own: the naive way; only what is erased behind `Normalize` joins that."""
    runs: list[Segment] = []
    for i, t in enumerate(transforms):
        kind = "colour" if i and isinstance(t, Pointwise) else segments([t])[0].kind
        if _leaves_range(transforms[i - 1 : i]) and isinstance(t, Pointwise) and t.stage == Stage.ERASE:
            runs[-1] = replace(runs[-1], operations=(*runs[-1].operations, i))
        else:
            runs.append(Segment(kind, (i,), "nothing is fused"))
    return tuple(runs)


def _leaves_range(transforms: Sequence[Transform]) -> str:
    """The name of one that takes colours out of 0..1, if there is one."""
    return next((type(t).__name__ for t in transforms if isinstance(t, Pointwise) and t.leaves_range), "")


def check_colours(transforms: Sequence[Transform], runs: Sequence[Segment]) -> None:
    """`UsageError` where an operation gets colours that are not in 0..1 any more: it would cut or mistake them.

    What is erased behind `Normalize` is zero, the mean colour.
    """
    beyond = ""
    for run in runs:
        within = ""
        for t in (transforms[i] for i in run.operations if isinstance(transforms[i], Pointwise)):
            if within and t.stage != Stage.ERASE:  # type: ignore[attr-defined]
                raise UsageError(
                    f"{within} must come after {type(t).__name__}, and once: a step takes colours in 0..1, and "
                    f"{within} takes them out of it"
                )
            within = _leaves_range([t]) or within
        first = type(transforms[run.operations[0]]).__name__
        if beyond and (run.kind != "barrier" or isinstance(transforms[run.operations[0]], Barrier)):
            raise UsageError(
                f"{beyond} must come after {first}, which begins a step of its own ({run.reason}): "
                f"a step takes colours in 0..1, and {beyond} takes them out of it"
            )
        beyond = _leaves_range([transforms[i] for i in run.operations]) or beyond


def decide(
    transforms: Sequence[Transform],
    names: Sequence[str],
    keys: NDArray[np.uint64],
    seed: int,
    epoch: int,
    split: Split | None,
) -> list[Params | None]:
    """The parameters of each transform for the samples `keys`; None for one that does nothing."""
    n = len(keys)
    own: dict[str, int] = {}
    shared: dict[str, int] = {}
    for t, name in zip(transforms, names, strict=True):
        if isinstance(t, RandTransform) and t.active(split):
            counts = shared if getattr(t, "batch", False) else own
            counts[name] = max(t.draws, counts.get(name, 0))
    numbers = draws(seed, epoch, keys, own)
    if shared:  # one decision for all samples of the epoch, which so does not depend on batch-mates either
        once = draws(seed, epoch, np.zeros(1, np.uint64), shared)
        numbers |= {name: Draw(np.broadcast_to(d.values, (n, d.values.shape[1]))) for name, d in once.items()}
    decided: list[Params | None] = []
    for t, name in zip(transforms, names, strict=True):
        if isinstance(t, RandTransform):
            decided.append(t.params(numbers[name]) if t.active(split) else t.rest(n))
        else:
            decided.append({} if split is None or t.split in (None, split) else None)
    return decided


def make_plan(
    transforms: Sequence[Transform],
    sizes: NDArray[Any],
    keys: NDArray[np.uint64],
    *,
    runs: Sequence[Segment] | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    epoch: int = 0,
    split: Split | None = None,
) -> Plan:
    """Draw and compose all transforms for a batch; `sizes` is `[N, 2]`, heights and widths, `keys` `uint64[N]`."""
    sources = np.asarray(sizes, np.float64).reshape(-1, 2)
    decided = decide(transforms, names or name_operations(transforms), keys, seed, epoch, split)
    frame, steps = sources, []
    for segment in segments(transforms) if runs is None else runs:
        step, frame = _step(transforms, segment, decided, frame)
        steps.append(step)
    return Plan(tuple(steps), sources)


def _step(
    transforms: Sequence[Transform], segment: Segment, decided: Sequence[Params | None], frame: Array
) -> tuple[Step, Array]:
    source, matrix = frame, None
    padding: Padding | None = None
    colour: dict[Stage, Array] = {}
    barrier = None
    for i in segment.operations:
        t, params = transforms[i], decided[i]
        if isinstance(t, Geometric):
            placed, frame = t.place(params, frame)
            matrix, padding = times(matrix, placed), t.padding() or padding
        elif isinstance(t, Pointwise):
            if params is not None:
                effect = t.effect(params)
                colour[t.stage] = after(t.stage, colour[t.stage], effect) if t.stage in colour else effect
        elif params is not None:
            barrier = (t, params)
    size = common_size(frame)
    if segment.kind != "warp":
        return Step(segment, None, size, colour, "reflection", barrier), frame
    if size is not None:  # whole pixels
        frame = frames_of(size, frame)
    pixels = times(times(to_pixels(source), matrix), from_pixels(frame))
    return Step(segment, pixels, size, colour, padding or "reflection"), frame
