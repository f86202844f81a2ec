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
from ..cache.atomic_files import ASIDE, ATTEMPT, files_like, sync_folder, write_whole
from ..cache.checksums import block_checksums, checksum, digest
from ..cache.footer import COMMIT, footer_bytes
from ..cache.parts import Rejected
from ..cache.recipe import canonical
from ..cache.schema import REJECTED, index_schema
from .part_task import Done, part_name


def rows_footer(done: Sequence[Done], set_aside: Sequence[Rejected]) -> dict[str, Any]:
    """What the footer says of the rows, and of the files that became none."""
    counts = Counter(name for part in done for name in _splits(part.rows) if name is not None)
    splits = any("split" in part.rows.column_names for part in done)
    return {
        "splits": dict(sorted(counts.items())) if splits else None,
        "rows": sum(part.rows.num_rows for part in done),
        "rejected": len(set_aside) + sum(len(part.rejected) for part in done),
    }


def commit(
    folder: Path, done: Sequence[Done], small: list[pa.Field], about: dict[str, Any], set_aside: Sequence[Rejected] = ()
) -> None:
    """Make these parts, and no others, the cache in `folder`; `about` is what its plan says of it.

    `set_aside` are the files that came into no part. All files that the footer names are there before it is, and those
    of the cache before it stay until then: who opens the cache beside this sees the one or the other.
    """
    said = about | rows_footer(done, set_aside) | parts_footer(folder, [_moved(folder, part) for part in done])
    if said["rows"] == 0:
        first = next(entry for part in done for entry in part.rejected)
        raise CacheError(f"none of {said['rejected']} files became a row; the first: {first.key} {first.reason}")
    index, rejections = _arrow(_index(done, small)), rejections_bytes(done, set_aside)
    checksums = block_checksums(index)
    name = f"_index-{digest([canonical(checksums).encode()])}.arrow"
    said["index"] = {"name": name, "bytes": len(index), "checksums": checksums}
    said["rejections"] = rejections_footer(rejections)
    write_whole(folder / name, index)
    write_whole(folder / said["rejections"]["name"], rejections)
    write_whole(folder / COMMIT, footer_bytes(said))
    for path in strays(folder, said):
        path.unlink(missing_ok=True)
    sync_folder(folder)


def rejections_bytes(done: Sequence[Done], set_aside: Sequence[Rejected]) -> bytes:
    """The list of the files that became no row, by key."""
    rejected = [*set_aside, *(entry for part in done for entry in part.rejected)]
    return _parquet(_rejected_table(sorted(rejected, key=lambda entry: entry.key)))


def rejections_footer(data: bytes) -> dict[str, Any]:
    """What the footer says of the list of rejected files."""
    return {"name": f"_rejected-{digest([data])}.parquet", "bytes": len(data), "checksum": checksum(data)}


def parts_footer(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """What the footer says of the parts."""
    return {"parts": list(names), "part_bytes": [(folder / name).stat().st_size for name in names]}


def strays(folder: Path, said: Mapping[str, Any]) -> list[Path]:
    """The files of earlier caches and of runs that were killed, which the footer does not name."""
    named = {*said["parts"], said["index"]["name"], said["rejections"]["name"]}
    patterns = ("part-*.parquet", "_index-*.arrow", "_rejected-*.parquet", f"{ASIDE}*", f"{ATTEMPT}*", *format2.FILES)
    return [path for path in files_like(folder, *patterns) if path.name not in named]


def named(part: Done) -> str:
    """The name of a part at its place among the others."""
    return part_name(part.number, part.name.rsplit("-", 1)[1].removesuffix(".parquet"))


def _moved(folder: Path, part: Done) -> str:
    """The name of a part at its place among the others, under which it is there as well from now on."""
    name = named(part)
    if name != part.name:
        aside = folder / f"{ASIDE}{name}"
        try:
            os.link(folder / part.name, aside)
            os.replace(aside, folder / name)
            aside.unlink(missing_ok=True)  # to replace a file by another name of its own does nothing
        except OSError:  # a file system without links
            write_whole(folder / name, (folder / part.name).read_bytes())
    return name


def _index(done: Sequence[Done], small: list[pa.Field]) -> pa.Table:
    schema = index_schema(small)
    tables = []
    for number, part in enumerate(done):
        keys = part.rows.column("key").to_pylist()
        rows = part.rows.append_column("key_hash", pa.array(hash_keys(keys), pa.uint64()))
        rows = rows.append_column("part", pa.array(np.full(len(keys), number, np.int32)))
        tables.append(rows.select(schema.names).cast(schema))
    return pa.concat_tables(tables)


def _rejected_table(rejected: Sequence[Rejected]) -> pa.Table:
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
