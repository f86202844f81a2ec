"""What names a sample: draws, resuming and replay go by it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .items import relative_key


def keys_of(items: Sequence[Any], root: Path | None = None) -> list[str]:
    """What names each item: a path from the source, or a number; copies of an item are told apart by a number.

    >>> keys_of([Path("a/1.jpg"), Path("a/1.jpg"), {"row": 3}], Path("a"))
    ['1.jpg', '1.jpg#1', '2']
    """
    seen: dict[str, int] = {}
    keys = []
    for number, item in enumerate(items):
        key = str(number)
        if isinstance(item, str | os.PathLike):
            path = Path(item)
            key = relative_key(path, root) if root and path.is_relative_to(root) else path.as_posix()
        copy = seen.get(key, 0)
        seen[key] = copy + 1
        keys.append(f"{key}#{copy}" if copy else key)
    return keys
