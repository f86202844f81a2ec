"""Columns that a Hugging Face data set declares to be classes: whole numbers that stand for names."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ...errors import SourceError

_NONE = -1
"""What Hugging Face writes where a row has no class, as in test splits."""


@dataclass(frozen=True)
class ClassNames:
    """The names of the classes in the column `column` of a table, by number."""

    column: str
    names: tuple[str, ...]
    table: str

    def name_of(self, value: Any, row: int) -> Any:
        """The name of a number, or those of a list of them; None for none. `SourceError` names a row out of range."""
        if isinstance(value, list):
            return [self.name_of(number, row) for number in value]
        if value is None or value == _NONE:
            return None
        if not 0 <= value < len(self.names):
            raise SourceError(
                f"column {self.column!r} of {self.table} must hold classes from 0 to {len(self.names) - 1}, or -1 for "
                f"none, but row {row} (from 0) has {value}"
            )
        return self.names[value]


def class_names(schema: pa.Schema, table: str) -> dict[str, ClassNames]:
    """The columns of classes, single ones or lists, by name."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = metadata.get("info", {}).get("features", {})
        names = {name: _names(feature) for name, feature in features.items()}
    except (ValueError, AttributeError) as error:
        raise SourceError(f"table {table} must say in JSON what its columns are to Hugging Face, but {error}") from None
    return {name: ClassNames(name, names, table) for name, names in names.items() if names is not None}


def _names(feature: object) -> tuple[str, ...] | None:
    """The names that a feature declares, also that of a list; two classes of one name get their number behind it."""
    if isinstance(feature, list):
        return _names(feature[0]) if len(feature) == 1 else None
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") in ("Sequence", "List", "LargeList"):
        return _names(feature.get("feature"))
    if feature.get("_type") != "ClassLabel" or not isinstance(feature.get("names"), list):
        return None
    names = [str(name) for name in feature["names"]]
    counts = Counter(names)
    return tuple(name if counts[name] == 1 else f"{name} #{number}" for number, name in enumerate(names))
