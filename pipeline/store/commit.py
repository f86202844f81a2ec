"""How a cache becomes visible: every part under its name, then the lists beside it, then the index, last."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import CacheError
from ...transforms.draw import hash_keys
from .durable import ATTEMPT, sweep, sync_folder, write_whole
from .footer import INDEX, MAPPED_INDEX, REJECTED_FILE, SUMMARY
from .parts import Rejected
from .recipe import canonical
from .schema import FOOTER, REJECTED, index_schema
from .work import Done, part_name


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

    `set_aside` are the files that came into no part.
    """
    said = about | rows_footer(done, set_aside)
    if said["rows"] == 0:
        first = next(entry for part in done for entry in part.rejected)
        raise CacheError(f"none of {said['rejected']} files became a row; the first: {first.key} {first.reason}")
    names = [_named(folder, part) for part in done]
    sizes = [(folder / name).stat().st_size for name in names]
    said = {**said, "parts": names, "part_bytes": sizes}
    rejected = sorted([*set_aside, *(entry for part in done for entry in part.rejected)], key=lambda entry: entry.key)
    write_whole(folder / REJECTED_FILE, _parquet(_rejected_table(rejected)))
    write_whole(folder / SUMMARY, (canonical(said) + "\n").encode())
    index = _index(done, small, said)
    write_whole(folder / MAPPED_INDEX, _arrow(index))
    write_whole(folder / INDEX, _parquet(index))
    for path in set(folder.glob("part-*.parquet")) - {folder / name for name in names}:
        path.unlink()
    sweep(folder)
    sweep(folder, ATTEMPT)
    sync_folder(folder)


def _named(folder: Path, part: Done) -> str:
    """The name of a part at its place among the others, under which it is there as well from now on."""
    name = part_name(part.number, part.name.rsplit("-", 1)[1].removesuffix(".parquet"))
    if name != part.name and not (folder / name).exists():
        try:
            os.link(folder / part.name, folder / name)
        except OSError:  # a file system without links
            shutil.copyfile(folder / part.name, folder / f".writing-{name}")
            os.replace(folder / f".writing-{name}", folder / name)
    return name


def _index(done: Sequence[Done], small: list[pa.Field], said: dict[str, Any]) -> pa.Table:
    schema = index_schema(small)
    tables = []
    for number, part in enumerate(done):
        keys = part.rows.column("key").to_pylist()
        rows = part.rows.append_column("key_hash", pa.array(hash_keys(keys), pa.uint64()))
        rows = rows.append_column("part", pa.array(np.full(len(keys), number, np.int32)))
        tables.append(rows.select(schema.names).cast(schema))
    return pa.concat_tables(tables).replace_schema_metadata({FOOTER: canonical(said)})


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
