"""What the columns of a CSV file hold: text as it is written, numbers where nothing else is meant."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ...errors import SourceError

_PARSE = pa.csv.ParseOptions(newlines_in_values=True)
_WHOLE = r"^(0|-?[1-9][0-9]{0,17})$"
_DECIMAL = r"^(0|-?[1-9][0-9]{0,14}|-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15})$"


def column_names(path: str) -> list[str]:
    """The names in the first line; `SourceError` where there is none, or one is there twice."""
    try:
        with pa.csv.open_csv(path, parse_options=_PARSE) as reader:
            names: list[str] = reader.schema.names
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    for name in names:
        if names.count(name) > 1:
            raise SourceError(
                f"columns must have names of their own, but {path} has {name!r} {names.count(name)} times"
            )
    return names


def read_csv(path: str, text: Iterable[str | None] = ()) -> pa.Table:
    """A table of text and numbers; the columns `text` stay text whatever they look like.

    A column is one of numbers where each of its values is written as one writes a number, without leading zeros, signs
    of plus or exponents, and where no two that are written differently are equal. An empty value is null, and so is
    `nan` among numbers. Raises `SourceError` for a file that is not UTF-8, and names the line.
    """
    names = column_names(path)
    convert = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    try:
        table = pa.csv.read_csv(path, parse_options=_PARSE, convert_options=convert)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    text_columns = set(text)
    columns = [table[name] if name in text_columns else numbers_or_text(table[name]) for name in names]
    return pa.table(columns, names=names)


def numbers_or_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of text as whole or decimal numbers, where it holds nothing else.

    >>> for written in (["7", "3"], ["007", "7"], ["1.5", "nan"], ["1.0", "1"], ["1e5"], ["true"]):
    ...     print(numbers_or_text(pa.chunked_array([written])).to_pylist())
    [7, 3]
    ['007', '7']
    [1.5, None]
    ['1.0', '1']
    ['1e5']
    ['true']
    """
    text = pc.if_else(pc.equal(pc.utf8_lower(column), "nan"), None, column)
    for pattern, kind in ((_WHOLE, pa.int64()), (_DECIMAL, pa.float64())):
        if pc.all(pc.match_substring_regex(text, pattern), min_count=1).as_py():
            numbers = text.cast(kind) if kind == pa.int64() else pc.add(text.cast(kind), 0.0)  # -0.0 is 0.0
            if pc.count_distinct(numbers).as_py() == pc.count_distinct(text).as_py():
                return numbers
    return column


def _unreadable(path: str, error: Exception) -> SourceError:
    """Why a file is no table; where it is not UTF-8, the first line that is not."""
    reason = str(error).splitlines()[0]
    if isinstance(error, UnicodeDecodeError) or "UTF8" in reason:
        line = _first_foreign_line(path)
        return SourceError(
            f"table {path} must be UTF-8, but line {line} is not: convert it, as by "
            "`iconv -f LATIN1 -t UTF-8`, from the encoding that it has"
        )
    return SourceError(f"table {path} cannot be read: {reason}")


def _first_foreign_line(path: str) -> int:
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1
