"""The footer of a cache: one small file that describes the cache and names all its other files."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import CacheError
from . import format2
from .checksums import digest
from .recipe import FORMAT, canonical
from .regular_files import read_regular
from .validation import refuse_footer

COMMIT = "_cache.json"

_BEGIN, _BEHIND = b'{"checksum":"', b'",'
_HEAD = len(_BEGIN) + 16 + len(_BEHIND)
_MOST_BYTES = 1 << 30


def footer_bytes(footer: Mapping[str, object]) -> bytes:
    """A footer as JSON that begins with the digest of all bytes behind it."""
    rest = canonical(footer)[1:].encode() + b"\n"
    return _BEGIN + digest([rest]).encode() + _BEHIND + rest


def read_footer(folder: Path) -> dict[str, Any]:
    """The footer of a cache; `CacheError` where there is no finished one, or one that this version does not read."""
    return parse_footer(read_commit(folder), folder / COMMIT)


def read_commit(folder: Path) -> bytes:
    """The bytes of the footer; `CacheError` where there is no finished cache of a format since 3."""
    path = folder / COMMIT
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise CacheError(f"{folder} {_absence(folder)}") from None
    except OSError as error:
        raise CacheError(f"{path} cannot be read ({error.strerror})") from None
    return read_regular(path, most=_MOST_BYTES)


def parse_footer(data: bytes, path: Path) -> dict[str, Any]:
    """What the bytes of a footer say; `CacheError` where they are damaged, of another format, or cannot be true."""
    footer = _load_json(data, path)
    check_format(path, footer)
    refuse_footer(footer, path)
    return footer


def refuse_newer(folder: Path) -> None:
    """Refuse to write to the cache of a newer version; no harm where there is none, or a damaged one."""
    try:
        footer = _load_json(read_commit(folder), folder / COMMIT)
    except CacheError:
        return
    check_format(folder, footer)


def is_format2(folder: Path) -> bool:
    """Whether a folder holds a finished cache of format 2."""
    try:
        return os.path.exists(folder / format2.INDEX) and not read_commit(folder).startswith(_BEGIN)
    except CacheError:
        return True


def check_format(path: Path, footer: Mapping[str, object]) -> None:
    """Refuse a cache that another version has written in another format."""
    if footer.get("format") == FORMAT:
        return
    written = footer.get("format")
    if type(written) is not int:
        raise CacheError(f"{path}: format must be {FORMAT}, but is {written!r}: the cache was not made by onewarp")
    remake = "delete it, or make it anew with `onewarp presize --overwrite`"
    age, cure = ("a newer", "install that") if written > FORMAT else ("an older", remake)
    raise CacheError(f"{path} was made by {age} version of onewarp (format {written}, this one reads {FORMAT}): {cure}")


def _load_json(data: bytes, path: Path) -> dict[str, Any]:
    """The JSON of a footer whose bytes are those that were written."""
    rest = data[_HEAD:]
    if data[:_HEAD] != _BEGIN + digest([rest]).encode() + _BEHIND:
        raise CacheError(f"{path} is damaged, or no footer of a cache: run presize again, it makes it anew")
    try:
        footer = json.loads(b"{" + rest, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CacheError(f"{path} is no footer of a cache ({error})") from None
    if not isinstance(footer, dict):
        raise CacheError(f"{path} is no footer of a cache, but a {type(footer).__name__}")
    return footer


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _absence(folder: Path) -> str:
    if not folder.exists():
        return "does not exist: make a cache with `onewarp presize`"
    if not folder.is_dir():
        return "must be the folder of a cache, but is a file"
    if any(folder.glob("part-*.parquet")):
        return "holds a cache that is not finished: run the same presize again, it goes on from there"
    return "must be a cache, but holds none: make one with `onewarp presize`"
