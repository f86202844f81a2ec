"""What names a sample: draws, resuming and replay go by it."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from ...transforms.category import escape_bytes
from .items import relative_key

_MOST_BYTES = 1024
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
"""Categories of characters that no key may have: controls, halves of a pair, and what ends a line."""


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


def key_fault(key: str) -> str | None:
    """Why a key that comes from another machine is refused; None for one that may name a sample.

    It must be what a file under a folder could be called: a relative path with `/`, in Unicode's normal form C, of at
    most 1024 bytes, without control characters.

    >>> key_fault("cat/1.jpg") is None, key_fault("../1.jpg")
    (True, "key '../1.jpg' must be a relative path without empty, . and .. parts")
    """
    if not key:
        return "key must not be empty"
    text = repr(key) if len(key) <= 60 else f"{key[:57]!r}..."
    if any(unicodedata.category(letter) in _CONTROLS for letter in key):
        return f"key {text} must not have control characters"
    if (length := len(key.encode())) > _MOST_BYTES:
        return f"key {text} must have at most {_MOST_BYTES} bytes, but has {length}"
    if any(part in ("", ".", "..") for part in key.split("/")):
        return f"key {text} must be a relative path without empty, . and .. parts"
    if not unicodedata.is_normalized("NFC", key):
        return f"key {text} must be in Unicode's normal form C (unicodedata.normalize('NFC', key))"
    return None
