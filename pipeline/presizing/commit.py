"""How a cache becomes visible: every part under its name, then the index and the list of rejected files, then, in one
step, the footer that names them.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import CacheError
from ...transforms.draw import hash_keys
from ..cache import format2
from ..cache.atomic_files import ATTEMPT, TEMPORARY, files_like, sync_folder, write_whole
from ..cache.checksums import block_checksums, checksum, digest
from ..cache.footer import COMMIT, footer_bytes
from ..cache.parts import Rejection
from ..cache.recipe import canonical
from ..cache.schema import REJECTED, index_schema
from .part_task import PartResult, part_name


def rows_footer(results: Sequence[PartResult], set_aside: Sequence[Rejection]) -> dict[str, Any]:
    """The entries of the footer about rows and rejections."""
    counts = Counter(name for part in results for name in _splits(part.rows) if name is not None)
    splits = any("split" in part.rows.column_names for part in results)
    return {
        "splits": dict(sorted(counts.items())) if splits else None,
        "rows": sum(part.rows.num_rows for part in results),
        "rejected": len(set_aside) + sum(len(part.rejected) for part in results),
    }


def commit(
    folder: Path,
    results: Sequence[PartResult],
    small: list[pa.Field],
    cache_footer: dict[str, Any],
    set_aside: Sequence[Rejection] = (),
) -> None:
    """Make these parts, and no others, the cache in `folder`; `cache_footer` has what the plan says of the cache.

    `set_aside` are the files that came into no part. The new footer is written after all files that it names, and the
    files of the former cache stay until then: another process that opens the cache sees the former or the new one.
    """
    footer = (
        cache_footer
        | rows_footer(results, set_aside)
        | parts_footer(folder, [_publish(folder, part) for part in results])
    )
    if footer["rows"] == 0:
        first = next(entry for part in results for entry in part.rejected)
        raise CacheError(f"none of {footer['rejected']} files became a row; the first: {first.key} {first.reason}")
    index, rejections = _arrow(_index(results, small)), rejections_bytes(results, set_aside)
    checksums = block_checksums(index)
    name = f"_index-{digest([canonical(checksums).encode()])}.arrow"
    footer["index"] = {"name": name, "bytes": len(index), "checksums": checksums}
    footer["rejections"] = rejections_footer(rejections)
    write_whole(folder / name, index)
    write_whole(folder / footer["rejections"]["name"], rejections)
    write_whole(folder / COMMIT, footer_bytes(footer))
    for path in strays(folder, footer):
        path.unlink(missing_ok=True)
    sync_folder(folder)


def rejections_bytes(results: Sequence[PartResult], set_aside: Sequence[Rejection]) -> bytes:
    """The list of rejections, sorted by key, as a Parquet file."""
    rejected = [*set_aside, *(entry for part in results for entry in part.rejected)]
    return _parquet(_rejections_table(sorted(rejected, key=lambda entry: entry.key)))


def rejections_footer(data: bytes) -> dict[str, Any]:
    """The entries of the footer about the list of rejections."""
    return {"name": f"_rejected-{digest([data])}.parquet", "bytes": len(data), "checksum": checksum(data)}


def parts_footer(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """The entries of the footer about the parts."""
    return {"parts": list(names), "part_bytes": [(folder / name).stat().st_size for name in names]}


def strays(folder: Path, footer: Mapping[str, Any]) -> list[Path]:
    """The files that the footer does not name: of former caches, and of runs that were killed."""
    names = {*footer["parts"], footer["index"]["name"], footer["rejections"]["name"]}
    patterns = (
        "part-*.parquet",
        "_index-*.arrow",
        "_rejected-*.parquet",
        f"{TEMPORARY}*",
        f"{ATTEMPT}*",
        *format2.FILES,
    )
    return [path for path in files_like(folder, *patterns) if path.name not in names]


def final_name(part: PartResult) -> str:
    """The name of a part under its number in this cache."""
    return part_name(part.number, part.name.rsplit("-", 1)[1].removesuffix(".parquet"))


def _publish(folder: Path, part: PartResult) -> str:
    """Give a part its name in this cache as well, and return that name."""
    name = final_name(part)
    if name != part.name:
        temporary = folder / f"{TEMPORARY}{name}"
        try:
            os.link(folder / part.name, temporary)
            os.replace(temporary, folder / name)
            temporary.unlink(missing_ok=True)  # replacing a file by a link to itself leaves the link behind
        except OSError:  # a file system without links
            write_whole(folder / name, (folder / part.name).read_bytes())
    return name


def _index(results: Sequence[PartResult], small: list[pa.Field]) -> pa.Table:
    schema = index_schema(small)
    tables = []
    for number, part in enumerate(results):
        keys = part.rows.column("key").to_pylist()
        rows = part.rows.append_column("key_hash", pa.array(hash_keys(keys), pa.uint64()))
        rows = rows.append_column("part", pa.array(np.full(len(keys), number, np.int32)))
        tables.append(rows.select(schema.names).cast(schema))
    return pa.concat_tables(tables)


def _rejections_table(rejected: Sequence[Rejection]) -> pa.Table:
    return pa.Table.from_pylist([vars(entry) for entry in rejected], schema=REJECTED)


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=1 << 16)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _arrow(table: pa.Table) -> bytes:
    """One record batch, uncompressed, so that every column is one piece of memory once it is mapped."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _splits(rows: pa.Table) -> list[str | None]:
    return rows.column("split").to_pylist() if "split" in rows.column_names else []
