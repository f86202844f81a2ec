"""The base classes of transforms that fuse: a homography or a colour map a sample, declared by a row or by methods."""

from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .draw import Draw
from .execute import call
from .operations import ColourOperation, Row
from .plan import Array, Composition, Plan, Segment, Stage, compose, cover, frames_of, height_width, scaling
from .random_transform import Keys, Params, RandTransform, check_key, decide, sample_keys
from .settings import check_number
from .transform import Split
from .warp.opcodes import NUMBERS
from .warp.outspec import PADDINGS, Padding

Mode = Literal["bilinear"]
"""What the ancestors call `mode`: their transforms take it at this place, and here it has one value."""


class Fusible(RandTransform):
    """A random transform that is a homography or a colour map; on its own it is a warp of one operation.

    It is declared by its `row`, or by methods of its own: `params`, and `normalised` or `effect`.
    """

    def row(self) -> Row[Any] | None:
        """What it does to training samples; None where its own methods say so."""
        return None

    def eval_row(self) -> Row[Any] | None:
        """What it does to all other samples; None for nothing, or where `eval_params` says so."""
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

    def eval_params(self, n: int) -> Params | None:
        """The operands of its row at rest."""
        row = self.eval_row()
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

        def plan(sizes: NDArray[np.int64], keys: Keys) -> Plan:
            (params,) = decide([self], names, sample_keys(keys, len(sizes)), seed, epoch, split)
            composition = Composition(sizes.astype(np.float64))
            self.join(composition, params)
            return Plan((composition.step(Segment("warp", (0,), "the source is read")),), composition.source)

        return call(plan, x, keys)

    def join(self, composition: Composition, params: Params | None) -> None:
        """Add to a step what the transform does with these parameters; None for nothing."""
        raise UsageError(f"{type(self).__name__} must be a Geometric or a Pointwise transform")

    def __post_init__(self) -> None:
        (only,) = get_args(Mode)
        if (mode := getattr(self, "mode", only)) != only:
            raise UsageError(f"mode must be {only!r} (filtered where the image shrinks), but got {mode!r}")
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

    return distance("row") <= min(distance(name) for name in _METHODS_OF_A_ROW)


_METHODS_OF_A_ROW = ("params", "eval_params", "normalised", "place", "effect")
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
        return compose(matrix, scaling(cover(frame, leaves))), leaves

    def padding(self) -> Padding | None:
        """What lies outside the image; None where the operation never looks there."""
        return getattr(self, "pad_mode", None)

    def join(self, composition: Composition, params: Params | None) -> None:
        """Multiply its matrix into that of the step; a transform that does nothing may still leave another frame."""
        matrix, frame = self.place(params, composition.frame)
        composition.move(matrix, frame, self.padding())


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

    def join(self, composition: Composition, params: Params | None) -> None:
        """Make its effect a part of the colour map of the step."""
        if params is not None:
            composition.recolour(self.stage, self.effect(params))


def check_stage(transform: Pointwise, row: Row[ColourOperation]) -> None:
    """`UsageError` where a row's operation is none of the transform's stage."""
    if transform.stage not in row.operation.stages:
        raise UsageError(
            f"{type(transform).__name__}: stage must be {' or '.join(stage.name for stage in row.operation.stages)}, "
            f"where {row.operation.opcode.name} acts, but got {transform.stage.name}"
        )
