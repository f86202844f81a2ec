"""What a cache says of itself in the footer of its index."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import CacheError
from .recipe import FORMAT
from .schema import FOOTER

INDEX, REJECTED_FILE, SUMMARY = "_index.parquet", "_rejected.parquet", "_cache.json"
MAPPED_INDEX = "_index.arrow"
"""The same table as INDEX in Arrow's IPC format, which can be read in place: Parquet has to be decoded whole."""


def read_footer(folder: Path) -> dict[str, Any]:
    """The JSON of the index's footer; `CacheError` where there is no finished cache, or one of another version."""
    path = folder / INDEX
    if not path.exists():
        raise CacheError(f"{folder} {_absence(folder)}")
    try:
        said = json.loads((pq.read_schema(path).metadata or {}).get(FOOTER, b"null"))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CacheError(f"{path} cannot be read ({str(error).splitlines()[0]}): run presize again") from error
    if said is None:
        raise CacheError(f"{path} must be the index of a cache, but was not written by onewarp")
    check_format(folder, said)
    return dict(said)


def refuse_newer(folder: Path) -> None:
    """Refuse to write to the cache of another version; no harm where there is none, or a damaged one."""
    try:
        said = json.loads((pq.read_schema(folder / INDEX).metadata or {}).get(FOOTER, b"null"))
    except (OSError, ValueError, pa.ArrowException):
        return
    if said is not None:
        check_format(folder, said)


def check_format(path: Path, said: dict[str, Any]) -> None:
    """Refuse a cache that another version has written in another format."""
    if said["format"] != FORMAT:
        anew = "delete it, or make it anew with `onewarp presize --overwrite`"
        age, cure = ("a newer", "install that") if said["format"] > FORMAT else ("an older", anew)
        raise CacheError(
            f"{path} was made by {age} version of onewarp (format {said['format']}, this one reads {FORMAT}): {cure}"
        )


def _absence(folder: Path) -> str:
    if not folder.exists():
        return "does not exist: make a cache with `onewarp presize`"
    if not folder.is_dir():
        return "must be the folder of a cache, but is a file"
    if any(folder.glob("part-*.parquet")):
        return "holds a cache that is not finished: run the same presize again, it goes on from there"
    return "must be a cache, but holds none: make one with `onewarp presize`"
