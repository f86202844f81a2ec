"""The items of a data set: those that `get_items` finds, or the files of a folder, or the rows of a table."""

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
from ..dataset.sources import Item, ListableSource, Source
from ..dataset.tables import open_source
from .sample_catalogue import Pictures


@dataclass(frozen=True)
class ItemSet:
    """Items with their keys, and what splitters know them by (`origins`); `source` is where they are from.

    `source_items` are the same as the source lists them, None where a function found the items. `listing` says which
    files became no items (`set_aside`, `passed_by`), where that is known.
    """

    items: Sequence[Any]
    keys: Sequence[str]
    origins: Sequence[str]
    source: Source
    source_items: Sequence[Item] | None = None
    listing: Any = None


def items_of_function(get_items: Callable[[Any], Sequence[Any]], source: Any) -> ItemSet:
    """The items that a function finds in a source."""
    at_path = isinstance(source, str | os.PathLike)
    listing = list_images(source) if get_items is get_image_files and at_path else None
    items = list(get_items(source)) if listing is None else listing.files
    if not items:
        raise UsageError(f"no items were found in {source}: a data set needs at least one")
    keys = keys_of(items, Path(source) if at_path else None)
    return ItemSet(items, keys, keys, Pictures(os.path.abspath(source) if at_path else "items"), None, listing)


def items_of_source(source: Any, image: str | None = None, key: str | None = None) -> ItemSet:
    """The files of a folder, the rows of a table (`image` and `key` name its columns), or what a list holds."""
    if not isinstance(source, str | os.PathLike | ListableSource) and rows_in_memory(source) is None:
        if not hasattr(source, "__iter__"):
            raise UsageError(f"source must be a folder, a table or a list of items, but got {source!r}")
        return items_of_function(list, source)
    source = open_source(source, image, key)
    items = source.items()
    return ItemSet([item.view for item in items], [item.key for item in items], origins(items), source, items, items)
