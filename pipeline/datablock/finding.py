"""The items of a data set: those that a function finds, or those of a folder or a table."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ..dataset.item_labels import origins
from ..dataset.items import get_image_files, list_images
from ..dataset.keys import keys_of
from ..dataset.memory_table import rows_in_memory
from ..dataset.sources import Item, Source
from ..dataset.tables import open_source
from .sample_catalogue import Pictures


@dataclass(frozen=True)
class Found:
    """Items with their keys, and what splitters know them by (`origins`); `source` is where they are from.

    `listed` are the items of a source that lists them by itself, None for those that a function found. `listing` says
    what became none of them (`set_aside`, `passed_by`), where that is known.
    """

    items: Sequence[Any]
    keys: Sequence[str]
    origins: Sequence[str]
    source: Source
    listed: Sequence[Item] | None = None
    listing: Any = None


def found_by(get_items: Callable[[Any], Sequence[Any]], source: Any) -> Found:
    """The items that a function finds in a source."""
    at_path = isinstance(source, str | os.PathLike)
    listing = list_images(source) if get_items is get_image_files and at_path else None
    items = list(get_items(source)) if listing is None else listing.files
    if not items:
        raise UsageError(f"no items were found in {source}: a data set needs at least one")
    keys = keys_of(items, Path(source) if at_path else None)
    return Found(items, keys, keys, Pictures(os.path.abspath(source) if at_path else "items"), None, listing)


def found_in(source: Any, image: str | None = None, key: str | None = None) -> Found:
    """The files of a folder, the rows of a table (`image` and `key` name its columns), or what a list holds."""
    is_source = all(hasattr(source, name) for name in ("items", "read", "where"))
    if not isinstance(source, str | os.PathLike) and not is_source and rows_in_memory(source) is None:
        if not hasattr(source, "__iter__"):
            raise UsageError(f"source must be a folder, a table or a list of items, but got {source!r}")
        return found_by(list, source)
    opened = open_source(source, image, key)
    items = opened.items()
    return Found([item.view for item in items], [item.key for item in items], origins(items), opened, items, items)
