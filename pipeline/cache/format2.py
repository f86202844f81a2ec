"""Caches of format 2, whose small columns had no checksums: they are read, and taken over, but no longer written."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import CacheError
from .checksums import digest
from .index import Index, fitting
from .recipe import canonical
from .regular_files import read_regular
from .schema import FOOTER, index_schema, small_fields, target_fields
from .validation import refuse_footer, tests_of

INDEX, REJECTIONS = "_index.parquet", "_rejected.parquet"
FILES = (INDEX, REJECTIONS, "_index.arrow")
"""The files of a cache of format 2, but its parts and `_cache.json`."""


def read_cache(folder: Path) -> tuple[dict[str, Any], Index]:
    """The footer and the index, out of one file, which is read whole and looked through."""
    path = folder / INDEX
    try:
        table = pq.read_table(io.BytesIO(read_regular(path)))
        footer = json.loads((table.schema.metadata or {}).get(FOOTER, b"null"))
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise CacheError(f"{path} cannot be read ({str(error).splitlines()[0]}): run presize again") from error
    if not isinstance(footer, dict) or footer.get("format") != 2:
        raise CacheError(f"{path} must be the index of a cache of format 2, but is not: run presize again")
    refuse_footer(footer, path)
    schema = index_schema(small_fields(target_fields(footer["targets"], footer["splits"] is not None)))
    return footer, Index(fitting(table.combine_chunks(), footer["rows"], schema, path), tests_of(footer))


def part_digest(rows: pa.Table, footer: Mapping[str, object]) -> str:
    """What stands in the name of a part: the digest of its rows as JSON, and of what its footer says."""
    small = rows.select([name for name in rows.column_names if not name.endswith("offset")])
    return digest(canonical(row).encode() for row in [*small.to_pylist(), footer])
