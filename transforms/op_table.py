"""The rows of a list of transforms as one table, by which all of a batch is drawn at once, in C++ or on a GPU.

A table holds what `warp/opcodes.py` says, and knows no transform: each declares its row (see `operations.py`). What has
no row, because its parameters are a function of the user's or because it is a barrier, is decided by itself, on the
host.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .draw import operation_word
from .fusible import Geometric, Pointwise, check_stage, is_declared
from .geometric_operations import CROP
from .operations import GeometricOperation, Row, constant
from .plan import Segment, Stage, height_width
from .transform import Split, Transform
from .warp.opcodes import FLOATS, INTEGERS, Column, Field, Flag, Group, Opcode
from .warp.outspec import Padding


@dataclass(frozen=True)
class NotCompilable:
    """Why there is no table, and the host has to decide."""

    reason: str


@dataclass(frozen=True)
class Launch:
    """What is done at once after the drawing, one for each segment, and with which parts of the colour map."""

    stages: frozenset[Stage]
    padding: Padding
    diagonal: bool
    """Whether its affine maps leave each channel by itself."""


@dataclass(frozen=True)
class OpTable:
    """The table: `integers[rows, 8]`, `floats[rows, 32]`; one warp and then a pointwise step for each launch more."""

    integers: NDArray[np.int32]
    floats: NDArray[np.float64]
    launches: tuple[Launch, ...]
    size: tuple[int, int] | None
    """Height and width of the result; None where they are those of the images."""

    @property
    def turning(self) -> int:
        """How many of the first rows there are up to the last that may turn the frame."""
        turns = np.flatnonzero(self.integers[:, Column.FLAGS] & Flag.TURNS)
        return int(turns[-1]) + 1 if len(turns) else 0


def compile_table(
    transforms: Sequence[Transform], names: Sequence[str], segments: Sequence[Segment], split: Split | None
) -> OpTable | NotCompilable:
    """The table of what transforms do on a split, with their streams' names and the segments into which they fall.

    `NotCompilable` for several resamplings, and for the first transform that has to be decided on the host.
    """
    kinds = [segment.kind for segment in segments]
    if kinds[:1] != ["warp"] or set(kinds[1:]) - {"colour"}:
        return NotCompilable(f"it is more than one resampling, or has a barrier: {', '.join(kinds) or 'nothing'}")
    table = _Table()
    for segment in segments:
        for i in segment.operations:
            if reason := table.add(transforms[i], names[i], split):
                return NotCompilable(f"{type(transforms[i]).__name__} is decided on the host: {reason}")
        table.end()
    if table.frame == "any":
        return NotCompilable(f"{table.turned} is decided on the host: it may turn images that are not square")
    integers = np.array(table.integers).astype(np.uint32).view(np.int32)
    return OpTable(integers, np.array(table.floats), tuple(table.launches), table.frame)


def _group(row: Row[Any], flags: int) -> Group:
    """What a row changes, as C++ and Triton ask for it."""
    if isinstance(row.operation, GeometricOperation):
        return Group.GEOMETRY
    if Stage.RGB in row.operation.stages:
        return Group.LOGITS if flags & Flag.LOGIT else Group.COLOURS
    return Group.ALONE


@dataclass
class _Table:
    """An operation table while its rows are written."""

    integers: list[NDArray[np.int64]] = field(default_factory=list)
    floats: list[NDArray[np.float64]] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    frame: tuple[int, int] | Literal["any"] | None = None
    """The size so far: one that is known, any (some images are turned), or that of the images."""
    turned: str = ""
    """What turned them."""
    stages: set[Stage] = field(default_factory=set)
    padding: Padding = "reflection"
    mixes: bool = False
    crop: int = -1
    """The row of the last crop."""

    def add(self, t: Transform, name: str, split: Split | None) -> str:
        """Add what a transform does on a split, or say why that cannot be."""
        if not isinstance(t, Geometric | Pointwise) or not is_declared(t):
            return "it has methods of its own"
        acts = t.active(split)
        row = t.row() if acts else t.eval_row()
        if row is None and acts:
            return "what it picks has methods of its own"
        if row is not None:
            if any(number.ends is None for number in row.numbers.values()):
                return "its `draw` is a function or a list"
            flags = int(Flag.BATCH) if getattr(t, "batch", False) else 0
            if isinstance(t, Pointwise):
                check_stage(t, row)
                flags |= Flag.LOGIT if t.stage == Stage.LOGIT else 0
                self.stages.add(t.stage)
            self._write(row, operation_word(name), flags)
        if isinstance(t, Geometric):
            self.padding = t.padding() or self.padding
            self._resize(t, row)
        return ""

    def _resize(self, t: Geometric, row: Row[Any] | None) -> None:
        """The frame that a transform leaves; one that takes the middle of another aspect has a row more for that."""
        size = getattr(t, "size", None)
        if row is not None and row.operation.resizes:
            size = row.constants[:2]
        elif size is not None:
            self._write(CROP.row(constants=height_width(size), x=constant(0.5), y=constant(0.5)))
        elif row is not None and row.flags & Flag.TURNS and not (self.frame and self.frame[0] == self.frame[1]):
            self.frame, self.turned = "any", type(t).__name__
        if size is not None:
            self.frame = height_width(size)

    def _write(self, row: Row[Any], word: int = 0, flags: int = 0) -> None:
        floats = np.zeros(FLOATS)
        deciding = {0, *(operand.chance for operand in row.operation.operands)}
        floats[[Field.SPAN + chance for chance in deciding]] = 1
        floats[Field.CHANCE : Field.CHANCE + 2] = math.ceil(row.p * 2**24) / 2**24  # as coarse as what is drawn
        floats[Field.OTHER : Field.OTHER + len(row.constants)] = row.constants
        flags |= row.flags
        for operand in row.operation.operands:
            number = row.number(operand)
            low, high = number.ends or (math.nan, math.nan)
            if number.decision is not None and operand.log:
                low = high = math.log(low)
            elif number.decision is None and number.log and not operand.log:
                flags |= Flag.POWER
            floats[Field.LOW + operand.number], floats[Field.SPAN + operand.number] = low, high - low
        if pick := row.pick:
            flags |= Flag.PICKED | (Flag.AT_ENDS if pick.at_ends else 0)
        index, of = (pick.index, pick.of) if pick else (0, 1)
        self.mixes = self.mixes or bool(flags & Flag.MIX)
        group = _group(row, flags)
        self._line(row.operation.opcode, floats, FLAGS=flags, WORD=word, INDEX=index, OF=of, GROUP=group)
        if isinstance(row.operation, GeometricOperation) and row.operation.resizes:
            self.crop = len(self.integers) - 1

    def end(self) -> None:
        """Close a segment by a row, and begin the next launch."""
        self._line(Opcode.END, np.zeros(FLOATS), OF=1, SEGMENT=len(self.launches), GROUP=Group.ALONE)
        self.launches.append(Launch(frozenset(self.stages), self.padding, diagonal=not self.mixes))
        self.stages, self.padding, self.mixes = set(), "reflection", False

    def _line(self, opcode: Opcode, floats: NDArray[np.float64], **columns: int) -> None:
        integers = np.zeros(INTEGERS, np.int64)
        integers[Column.OPERATION], integers[Column.FRAME] = opcode, self.crop
        for name, value in columns.items():
            integers[Column[name]] = value
        self.integers.append(integers)
        self.floats.append(floats)
