"""Settings, checked when a transform is made: numbers in their ranges, or a `UsageError` that names the setting."""

import math
from typing import Any

import numpy as np

from ..errors import UsageError


def check_number(transform: Any, name: str, low: float = -math.inf, high: float = math.inf, ends: str = "[]") -> None:
    """Refuse a setting that is no finite number between `low` and `high`; `ends` are open as "(" and ")" say.

    >>> from .geometry import Rotate
    >>> check_number(Rotate(30), "max_deg", 0, 20)
    Traceback (most recent call last):
    onewarp.errors.UsageError: Rotate: max_deg must be a number in [0, 20], but got 30
    """
    value = getattr(transform, name)
    if not _inside(value, low, high, ends):
        raise UsageError(_message(transform, name, f"a number{_range(low, high, ends)}", value))


def check_pair(transform: Any, name: str, low: float = -math.inf, high: float = math.inf, ends: str = "[]") -> None:
    """Refuse a setting that is not two numbers in their range, the smaller first; a list becomes a tuple."""
    value = getattr(transform, name)
    pair = tuple(value) if isinstance(value, tuple | list) else ()
    if len(pair) != 2 or not all(_inside(number, low, high, ends) for number in pair) or pair[0] > pair[1]:
        raise UsageError(_message(transform, name, f"(low, high), two numbers{_range(low, high, ends)}", value))
    object.__setattr__(transform, name, pair)


def check_range(transform: Any, name: str, low: float, high: float, ends: str = "[]") -> None:
    """Refuse a setting that is neither a number in a range nor two to draw between."""
    check = check_pair if isinstance(getattr(transform, name), tuple | list) else check_number
    check(transform, name, low, high, ends)


def check_decision(transform: Any, name: str, low: float = -math.inf, high: float = math.inf, ends: str = "[]") -> None:
    """Refuse a decision in place of chance that is a number, or has one, outside of its range; functions pass."""
    value = getattr(transform, name)
    if value is None or callable(value):
        return
    try:
        numbers = np.asarray(value, np.float64).ravel().tolist()
    except (TypeError, ValueError):
        numbers = [math.nan]
    if not numbers or not all(_inside(number, low, high, ends) for number in numbers):
        expected = f"a number{_range(low, high, ends)}, one a sample, or a function of the draw"
        raise UsageError(_message(transform, name, expected, value))


def check_numbers(
    transform: Any, name: str, count: int, low: float = -math.inf, high: float = math.inf, ends: str = "[]"
) -> None:
    """Refuse a setting that is not `count` numbers in their range; a list becomes a tuple."""
    value = getattr(transform, name)
    try:
        numbers = tuple(value)
    except TypeError:
        numbers = ()
    if len(numbers) != count or not all(_inside(number, low, high, ends) for number in numbers):
        raise UsageError(_message(transform, name, f"{count} numbers{_range(low, high, ends)}", value))
    object.__setattr__(transform, name, tuple(n if isinstance(n, int | float) else float(n) for n in numbers))


def check_choice(transform: Any, name: str, choices: tuple[str, ...]) -> None:
    """Refuse a setting that is none of the choices."""
    value = getattr(transform, name)
    if value not in choices:
        raise UsageError(_message(transform, name, " or ".join(map(repr, choices)), value))


def _inside(value: Any, low: float, high: float, ends: str) -> bool:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    above = number > low if ends[0] == "(" else number >= low
    below = number < high if ends[1] == ")" else number <= high
    return math.isfinite(number) and above and below and not isinstance(value, str)


def _range(low: float, high: float, ends: str) -> str:
    if math.isinf(low) and math.isinf(high):
        return " (finite)"
    if math.isinf(high):
        return f" {'above' if ends[0] == '(' else 'from'} {low:g}{'' if ends[0] == '(' else ' on'}"
    return f" in {ends[0]}{low:g}, {high:g}{ends[1]}"


def _message(transform: Any, name: str, expected: str, value: Any) -> str:
    return f"{type(transform).__name__}: {name} must be {expected}, but got {value!r}"
