"""The position of a loader's loop as plain values, and whether such a state fits a loader."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...errors import UsageError


class Position(NamedTuple):
    """An epoch, and how many of its samples were delivered, over all ranks."""

    epoch: int
    delivered: int


def position_of(state: object, identity: Mapping[str, object], most: int) -> Position:
    """The place in a state that was taken of a loader with this `identity`, whose epochs have `most` samples.

    Raises UsageError for the state of another loader, naming what differs, and for what is no state.
    """
    if not isinstance(state, Mapping):
        raise UsageError(f"a state must be what a loader's state_dict() gave, but got {state!r}")
    missing = [name for name in (*Position._fields, *identity) if name not in state]
    if missing:
        raise UsageError(f"a state must be what a loader's state_dict() gave, but there is no {missing[0]!r} in it")
    differing = [_difference(name, state[name], own) for name, own in identity.items() if state[name] != own]
    if differing:
        raise UsageError(
            f"the state was taken from another loader: {'; '.join(differing)}. Make the loader as it was then, or "
            "begin without a state"
        )
    return Position(integer("epoch", state["epoch"], 0), integer("delivered", state["delivered"], 0, most))


def integer(name: str, value: object, least: int | None = None, most: int | None = None) -> int:
    """`value` as a plain integer.

    Raises UsageError, which calls it `name`, unless it is one from `least` to `most`.
    """
    number = int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else None
    if number is None or (least is not None and number < least) or (most is not None and number > most):
        bounds = "" if least is None else f" of at least {least}" if most is None else f" in {least}..{most}"
        raise UsageError(f"{name} must be an integer{bounds}, but got {value!r}")
    return number


def _difference(name: str, stored: object, own: object) -> str:
    if name == "fingerprint":
        return "its rows are not those of this loader (other files, or a cache made with other settings)"
    return f"its {name} is {stored!r}, and this loader's is {own!r}"
