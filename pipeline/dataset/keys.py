"""What names a sample: draws, resuming and replay go by it."""

import os
from collections.abc import Sequence
from pathlib import Path

from ...transforms.category import escape_bytes
from .items import relative_key


def keys_of(items: Sequence[object], root: Path | None = None) -> list[str]:
    """The key of each item: its path from the source, or its number; copies of an item get a number behind it.

    >>> keys_of([Path("a/1.jpg"), Path("a/1.jpg"), {"row": 3}], Path("a"))
    ['1.jpg', '1.jpg#1', '2']
    """
    names = []
    for number, item in enumerate(items):
        name = str(number)
        if isinstance(item, str | os.PathLike):
            path = Path(item)
            name = relative_key(path, root) if root and path.is_relative_to(root) else escape_bytes(path.as_posix())
        names.append(name)
    return number_copies(names)


def number_copies(names: Sequence[str]) -> list[str]:
    """A key for each name: the name itself, and for its copies, in order, the name with the first number that is free.

    So what is there once keeps its name, whatever comes or goes beside it.

    >>> number_copies(["a", "b", "a", "a", "a#1"])
    ['a', 'b', 'a#2', 'a#3', 'a#1']
    """
    taken = set(names)
    if len(taken) == len(names):
        return list(names)
    first, last, keys = set[str](), dict[str, int](), []
    for name in names:
        key = name
        if name in first:
            number = last.get(name, 0) + 1
            while (key := f"{name}#{number}") in taken:
                number += 1
            last[name] = number
            taken.add(key)
        first.add(name)
        keys.append(key)
    return keys
