"""Checks of a DataBlock's settings when it is made."""

from collections.abc import Iterable
from typing import Any

from ...errors import UsageError
from ...transforms.transform import Transform
from .blocks import as_block
from .samples import Getter, check_kinds


def check_block(block: Any) -> None:
    """Raise `UsageError` for a setting of a DataBlock that cannot be used."""
    kinds = [as_block(block_or_maker).kind for block_or_maker in as_list("blocks", block.blocks)]
    if kinds:
        check_kinds(kinds)
    check_function("get_items", block.get_items)
    check_function("get_x", block.get_x)
    check_function("splitter", block.splitter)
    if isinstance(block.splitter, type):
        raise UsageError(f"splitter must be made, as {block.splitter.__name__}(), but got the class itself")
    if block.getters is not None and (block.get_x is not None or block.get_y is not None):
        raise UsageError("getters give what each block takes, but get_x or get_y is given too: leave one of them out")
    for getter in getters_of(block):
        check_function("getters" if block.getters is not None else "get_y", getter)
    if kinds and len(getters_of(block)) != len(kinds):
        count = len(getters_of(block))
        if block.getters is not None:
            raise UsageError(f"getters must have a function for each block, {len(kinds)}, but has {count}")
        raise UsageError(f"get_y must have a function for each target, {len(kinds) - 1}, but has {count - 1}")


def getters_of(block: Any) -> tuple[Getter, ...]:
    """A getter for the picture, then one a target; None for what is the item itself."""
    if block.getters is not None:
        return tuple(as_list("getters", block.getters))
    several = isinstance(block.get_y, list | tuple)
    if not several and len(block.blocks) < 2 and block.get_y is None:
        return (block.get_x,)
    return (block.get_x, *(block.get_y if several else [block.get_y]))


def check_function(name: str, value: object) -> None:
    """Raise `UsageError` for what is neither a function nor None."""
    if value is not None and not callable(value):
        raise UsageError(f"{name} must be a function, but got {value!r} ({type(value).__name__})")


def as_list(name: str, value: object) -> list[Any]:
    """One or several things as a list; None for none of them."""
    if value is None:
        return []
    if isinstance(value, Transform) or callable(value):
        return [value]
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise UsageError(f"{name} must be a list, but got {value!r} ({type(value).__name__})")
    return list(value)
