"""From an item to its label: by folder, by pattern, by a table's column.

A labeller is a callable without state, a function of a module or a frozen dataclass, so that it can be written to JSON.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import LabelError, UsageError
from ...transforms.category import escape_bytes, is_missing
from ..composition.spec import register


@register
def parent_label(item: str | os.PathLike[str]) -> str:
    """The name of the folder that the file lies in; bytes that are not UTF-8 are escaped.

    >>> parent_label("pets/train/birman/12.jpg")
    'birman'
    """
    name = escape_bytes(Path(item).parent.name)
    if not name:
        raise LabelError(f"label must be the name of the file's folder, but {os.fspath(item)} lies in none")
    return name


@register
@dataclass(frozen=True)
class RegexLabeller:
    """The first group of a pattern, searched in the item (at its beginning only where `match` is set).

    Raises `LabelError`, which names the file and shows the pattern, where it is not found.

    >>> RegexLabeller(r"(.+)_\\d+.jpg$")("great_pyrenees_182.jpg")
    'great_pyrenees'
    """

    pat: str
    match: bool = False

    def __post_init__(self) -> None:
        try:
            compiled = re.compile(self.pat)
        except re.error as error:
            raise UsageError(f"pattern must be a regular expression, but {self.pat!r} is not: {error}") from error
        if compiled.groups < 1:
            raise UsageError(f"pattern must have a group in parentheses that is the label, but {self.pat!r} has none")

    def __call__(self, item: str | os.PathLike[str]) -> str:
        """The label in the path or name `item`."""
        text, pattern = os.fspath(item), _compile(self.pat)
        match = pattern.match(text) if self.match else pattern.search(text)
        if not match or match.group(1) is None:
            raise LabelError(
                f"label pattern {self.pat!r} was not found in {text!r}: change the pattern, or the file's name"
            )
        return match.group(1)


@lru_cache
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@register
@dataclass(frozen=True)
class UsingAttr:
    """Apply `function` to the attribute `attr` of the item; made by `using_attr`."""

    function: Callable[[Any], Any]
    attr: str

    def __call__(self, item: Any) -> Any:
        """What `function` makes of the item's attribute; a path given as text is taken as a `Path`."""
        item = Path(item) if isinstance(item, str) else item
        if not hasattr(item, self.attr):
            raise LabelError(
                f"item must have an attribute {self.attr!r}, but {item!r} of {type(item).__name__} has none"
            )
        return self.function(getattr(item, self.attr))


def using_attr(f: Callable[[Any], Any], attr: str) -> UsingAttr:
    """A labeller that applies `f` to an attribute of the item, as `using_attr(RegexLabeller(…), "name")`.

    >>> using_attr(RegexLabeller(r"(.+)_\\d+.jpg$"), "name")("images/Birman_121.jpg")
    'Birman'
    """
    return UsingAttr(f, attr)


@register
@dataclass(frozen=True)
class ColReader:
    """The value of a column (or of several) in a table's row, between `pref` and `suff`.

    A row is a mapping from column to value, a row of pandas (of `iterrows` or `itertuples`), or an object with
    attributes. `label_delim` splits the value into a list of labels, of which an empty value has none. A value that is
    missing (see `is_missing`) is None. `pref` may be a folder, a `Path`, which ends in a slash then. Raises
    `LabelError` for a column that is not there.

    >>> ColReader("breed")({"file": "1.jpg", "breed": "birman"})
    'birman'
    >>> ColReader("tags", label_delim=" ")({"tags": "cat indoor"})
    ['cat', 'indoor']
    >>> ColReader("file", pref=Path("photos"))({"file": "1.jpg"})
    'photos/1.jpg'
    """

    cols: str | tuple[str, ...]
    pref: str | os.PathLike[str] = ""
    suff: str = ""
    label_delim: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.cols, str):
            object.__setattr__(self, "cols", tuple(self.cols))
        if isinstance(self.pref, os.PathLike):
            object.__setattr__(self, "pref", os.path.join(self.pref, ""))
        if self.label_delim == "":
            raise UsageError("label_delim must be the text between two labels, as ';', but is empty")

    def __call__(self, row: Any) -> Any:
        """The label of `row`: one value, or a tuple of them where several columns were named."""
        if isinstance(self.cols, str):
            return self._read(row, self.cols)
        return tuple(self._read(row, column) for column in self.cols)

    def _read(self, row: Any, column: str) -> Any:
        value = column_of(row, column)
        if self.label_delim is not None and not isinstance(value, list | tuple):
            return [] if is_missing(value) else [label for label in str(value).split(self.label_delim) if label]
        if is_missing(value):
            return None
        if isinstance(value, list | tuple | np.ndarray):
            return list(value)
        return f"{self.pref}{value}{self.suff}" if self.pref or self.suff else value


def column_of(row: Any, column: str) -> Any:
    """The value of `column` in a row of a table; `LabelError` where there is none.

    Columns come before the attributes that the row's own class has: pandas' rows have a `name`, a `size`, a `count`.
    """
    names = _columns(row)
    if names is None:
        if isinstance(row, str | os.PathLike) or not hasattr(row, column):
            raise LabelError(
                f"column {column!r} must be in the row, but {describe(row)} is no row of a table that has it"
            )
        return getattr(row, column)
    if names.count(column) != 1:
        problem = "is there several times" if column in names else "is not among them"
        raise LabelError(f"column must be one of {', '.join(map(str, names))}, but got {column!r}, which {problem}")
    return getattr(row, column) if isinstance(row, tuple) else row[column]


def _columns(row: object) -> list[Any] | None:
    """The names of a row's columns, None for an object that has attributes alone."""
    if isinstance(row, tuple):
        return list(getattr(row, "_fields", ()))
    if isinstance(row, np.void):  # of a structured array
        return list(row.dtype.names or ())
    if hasattr(row, "keys") and hasattr(row, "__getitem__"):  # a mapping, pandas' Series
        return list(row.keys())
    return None


def describe(row: object, limit: int = 120) -> str:
    """A row in few words, for a message."""
    text = repr(dict(row)) if isinstance(row, Mapping) else repr(row)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def labels_of(items: Sequence[object], labeller: Callable[[Any], Any]) -> list[Any]:
    """The label of every item; an error of a labeller of the user's own names the item."""
    labels = []
    for item in items:
        try:
            labels.append(labeller(item))
        except LabelError:
            raise
        except Exception as error:
            raise LabelError(
                f"labeller {labeller!r} failed on {describe(item)}: {type(error).__name__}: {error}"
            ) from error
    return labels


def labeller_from(text: str) -> Callable[[Any], Any] | None:
    """The labeller that a command line names: `none`, `parent`, `regex:PATTERN` (on the file's name), `column:NAME`.

    `column:NAME:DELIM` reads several labels with DELIM between them, which holds neither letters nor digits.

    >>> labeller_from("column:breed")
    ColReader(cols='breed', pref='', suff='', label_delim=None)
    >>> labeller_from("column:tags:; ")
    ColReader(cols='tags', pref='', suff='', label_delim='; ')
    """
    kind, _, rest = text.partition(":")
    if text == "none":
        return None
    if text == "parent":
        return parent_label
    if kind == "regex" and rest:
        return using_attr(RegexLabeller(rest), "name")
    if kind == "column" and rest:
        several = re.fullmatch(r"(.+):([^\w:]+)", rest, re.DOTALL)
        return ColReader(several[1], label_delim=several[2]) if several else ColReader(rest)
    raise UsageError(f"label must be none, parent, regex:PATTERN, column:NAME or column:NAME:DELIM, but got {text!r}")
