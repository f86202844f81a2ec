"""The rows that fusible transforms are declared by: an operation, and for each of its operands a number.

A row is all that a transform is: what it draws, and what follows from it. `Row.decide` and the functions of
`geometric_operations.py` and `colour_operations.py` carry rows out in numpy; `op_table.py` writes them for C++
(`warp/cpu_draws.h`) and Triton (`warp/gpu_draws.py`), which carry out the same by their opcodes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

import numpy as np

from ..errors import UsageError
from .draw import Draw
from .plan import Array, Stage
from .random_transform import Params
from .warp.opcodes import NUMBERS, Opcode

__all__ = ["ColourOperation", "GeometricOperation", "Number", "Row", "between", "between_logs", "constant"]

Decision = float | Sequence[float] | Callable[[Draw], Any] | None
"""A decision taken out of chance's hands: a number, one a sample, or a function of the draw."""


@dataclass(frozen=True)
class Number:
    """What an operand is for each sample: drawn evenly from `low` to `high`, or, where there is one, the decision."""

    low: float = 0.0
    high: float = 0.0
    decision: Decision = None
    log: bool = False
    """Whether `low` and `high` are logarithms, and the operand is the exponential of what is drawn."""

    @property
    def varies(self) -> bool:
        """Whether it follows from the numbers of a sample."""
        return callable(self.decision) or (self.decision is None and self.low != self.high)

    @property
    def ends(self) -> tuple[float, float] | None:
        """What it is drawn between; None where the decision is a function, or one a sample."""
        decision: Any = self.decision
        if decision is None:
            return self.low, self.high
        return None if callable(decision) or np.ndim(decision) else (float(decision), float(decision))

    def values(self, draw: Draw, i: int) -> Array:
        """For each sample, by its number `i`: `[N]`."""
        if self.decision is None:
            drawn = draw.uniform(i, self.low, self.high) if self.varies else np.full(len(draw), self.low)
            return np.exp(drawn) if self.log else drawn
        value = self.decision(draw) if callable(self.decision) else self.decision
        return np.broadcast_to(np.asarray(value, np.float64), (len(draw),))


def between(low: float, high: float, decision: Decision = None) -> Number:
    """A number drawn evenly from `low` to `high`, or a decision in its place."""
    return Number(low, high, decision)


def between_logs(low: float, high: float, decision: Decision = None) -> Number:
    """A number whose logarithm is drawn evenly from `low` to `high`, or a decision in its place."""
    return Number(low, high, decision, log=True)


def constant(value: float) -> Number:
    """The same number for every sample."""
    return Number(decision=value)


def convert_decision(decision: Decision, convert: Callable[[Any], Any]) -> Decision:
    """A decision whose numbers, an array or one alone, go through `convert`; None stays None."""
    if decision is None:
        return None
    if callable(decision):
        return lambda draw: convert(decision(draw))
    values = np.asarray(convert(np.asarray(decision, np.float64)), np.float64)
    return values.tolist() if values.ndim else float(values)


@dataclass(frozen=True)
class Operand:
    """One operand of an operation, and the number of the row that it is drawn by."""

    name: str
    number: int
    neutral: float | None = None
    """Its value where nothing happens; None where it makes no difference whether something does."""
    chance: int = 0
    """The number, 0 or 2, that decides whether it happens."""
    log: bool = False
    """Whether a table holds its logarithm."""


@dataclass(frozen=True)
class Operation:
    """What a row does: its opcode, and its operands."""

    opcode: Opcode
    operands: tuple[Operand, ...]

    def row(self, *, p: float = 1.0, flags: int = 0, constants: Sequence[float] = (), **numbers: Number) -> "Row[Self]":
        """A row that happens with probability `p`; operands without a number are neutral."""
        return Row(self, numbers, p, flags, tuple(constants))


O_co = TypeVar("O_co", bound=Operation, covariant=True)


@dataclass(frozen=True)
class Pick:
    """Number 0 picks the row where it is `index` of `of`; `at_ends` moves all others to the nearer end of 0..1."""

    index: int
    of: int
    at_ends: bool = False


@dataclass(frozen=True)
class Row(Generic[O_co]):
    """One operation with its numbers, by the names of its operands, and what is not drawn.

    Raises `UsageError` for a number that the operation does not take, and for one that it misses.
    """

    operation: O_co
    numbers: Mapping[str, Number]
    p: float = 1.0
    flags: int = 0
    constants: tuple[float, ...] = ()
    pick: Pick | None = None

    def __post_init__(self) -> None:
        known = {operand.name for operand in self.operation.operands}
        needed = {operand.name for operand in self.operation.operands if operand.neutral is None}
        if not needed <= self.numbers.keys() <= known:
            takes, must, got = (", ".join(sorted(names)) or "nothing" for names in (known, needed, self.numbers))
            raise UsageError(f"{self.operation.opcode.name} takes {takes}, and must have {must}, but got {got}")

    def number(self, operand: Operand) -> Number:
        """What is drawn for an operand."""
        number = self.numbers.get(operand.name)
        return constant(operand.neutral or 0.0) if number is None else replace(number, log=number.log or operand.log)

    @property
    def draws(self) -> int:
        """How many numbers it takes for a sample; a decision that is a function may look at all of them."""
        used = 0
        for operand in self.operation.operands:
            if (number := self.numbers.get(operand.name)) is not None:
                if callable(number.decision):
                    return NUMBERS
                chance = operand.chance + 1 if operand.neutral is not None else 0
                used = max(used, chance, operand.number + 1 if number.varies else 0)
        return used

    def decide(self, draw: Draw) -> Params:
        """The operands that have a number, for each sample, by their names: `[N]` each."""
        params: Params = {}
        for operand in self.operation.operands:
            if operand.name in self.numbers:
                values = self.number(operand).values(draw, operand.number)
                if operand.neutral is not None:
                    values = np.where(draw.chance(operand.chance, self.p), values, operand.neutral)
                params[operand.name] = values
        return params

    def complete(self, params: Params, n: int) -> Params:
        """The parameters of `n` samples, operands without a number among them."""
        neutral = {operand.name: np.full(n, operand.neutral or 0.0) for operand in self.operation.operands}
        return {**neutral, **params}


@dataclass(frozen=True)
class GeometricOperation(Operation):
    """An operation that moves pixels."""

    matrix: Callable[[Row[Any], Params, Array], Array]
    """Output to input in normalised coordinates, `[N, 3, 3]`, of its operands in frames `[N, 2]`."""
    leaves: Callable[[Row[Any], Params, Array], Array] = lambda row, params, frame: frame
    """The frames `[N, 2]` that it leaves."""
    resizes: bool = False
    """Whether it comes to a size of its own: its first two constants, height and width."""


@dataclass(frozen=True)
class ColourOperation(Operation):
    """An operation that changes colours."""

    stages: tuple[Stage, ...]
    """The stages of the colour map that an operation can belong to."""
    effect: Callable[[Row[Any], Params], Array]
    """The array of the stage for its operands, with a row a sample."""
