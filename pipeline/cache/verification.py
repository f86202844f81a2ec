"""Every byte of a cache, compared with its checksums."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import CacheError, DamagedRowError
from .checksums import checksum, checksum_fault
from .digest_blocks import Blocks
from .frames import digest_around
from .index import Index, to_plain
from .mapping import MappedFiles
from .parts import bytes_at, read_frame
from .regular_files import open_regular, read_regular
from .row_store import RowStore


def list_damages(folder: Path, footer: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the index and with the list of rejected files: a line for each block of the index."""
    index, rejections = footer["index"], footer["rejections"]
    try:
        path = folder / index["name"]
        data = MappedFiles([path], [index["bytes"]]).data[: index["bytes"]]
        yield from Blocks(path, data, index["checksums"]).damages()
    except CacheError as error:
        yield str(error)
    try:
        rejections_bytes(folder, rejections)
    except CacheError as error:
        yield str(error)


def rejections_bytes(folder: Path, entry: Mapping[str, Any]) -> bytes:
    """The bytes of the list of rejected files; `CacheError` where they are damaged."""
    data = read_regular(folder / entry["name"], entry["bytes"])
    if checksum(data) != entry["checksum"]:
        raise CacheError(f"{folder / entry['name']} is damaged: run presize again, it makes it anew")
    return data


def part_damages(path: Path, number: int, size: int, store: RowStore, has_digest_name: bool) -> Iterator[str]:
    """What is wrong with a part: a line for each row, and one for its other bytes.

    `number` is that of the part in the index. `has_digest_name`: the part's name is the digest of its frame.
    """
    index = store.index
    rows = np.flatnonzero(np.concatenate([*index["part"].equal(number), np.empty(0, bool)]))
    prefixes = [name.removesuffix("checksum") for name in index.names if name.endswith("checksum")]
    try:
        with open_regular(path, size) as file:
            for row in rows.tolist():
                yield from _row_damages(file, row, store, prefixes)
            if has_digest_name:
                yield from _frame_damages(file, path, rows, index, prefixes)
    except (CacheError, OSError) as error:
        yield str(error)


def _row_damages(file: BinaryIO, row: int, store: RowStore, prefixes: list[str]) -> Iterator[str]:
    rows = np.array([row], np.int64)
    for mask in [prefix.removesuffix("_") or None for prefix in prefixes]:
        try:
            _, offset, length = store.locations(rows, mask).row(0)
            fault = checksum_fault(bytes_at(file, offset, length), store.checksums(rows, mask)[0], mask)
        except DamagedRowError as error:
            yield str(error)
        except (CacheError, OSError, OverflowError) as error:
            yield store.describe(row, str(error))
        else:
            if fault:
                yield store.describe(row, fault)


def _frame_damages(
    file: BinaryIO, path: Path, rows: NDArray[np.int64], index: Index, prefixes: list[str]
) -> Iterator[str]:
    begins, lengths = (np.concatenate([index[f"{p}{what}"][rows] for p in prefixes]) for what in ("offset", "length"))
    if not path.name.endswith(f"-{digest_around(file, begins, lengths)}.parquet"):
        yield f"{path} is damaged: {_describe_damage(file, path, rows, index)}"


def _describe_damage(file: BinaryIO, path: Path, rows: NDArray[np.int64], index: Index) -> str:
    """Which columns of a part differ from the index; else that its other bytes do."""
    try:
        part = read_frame(file, path)
    except CacheError as error:
        return str(error)
    shared = [name for name in part.rows.column_names if name in index.names and len(part.rows) == len(rows)]
    differing = [
        name for name in shared if part.rows.column(name).to_pylist() != [to_plain(v) for v in index[name][rows]]
    ]
    return (
        f"its columns {', '.join(differing)} are not those that were written"
        if differing
        else "its headers or its footer"
    )
