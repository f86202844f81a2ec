"""What a cache holds, in few numbers."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .open_cache import OpenCache


def describe(cache: OpenCache) -> dict[str, Any]:
    """Numbers of a cache, for JSON.

    `rows`, `classes` (0 without labels), `vocab`, `targets` (kind by column), `counts` (by column of labels, the rows
    of each class in the order of its vocabulary), `splits` (rows by name), `rejected`, `encoding`, `sizes` (least, mean
    and greatest `height` and `width`), `bytes` (of all parts), `fingerprint`, `format`, `parts`, `pixels` (settings).
    """
    footer = cache.footer
    return {
        "rows": len(cache),
        "classes": len(cache.vocab or []),
        "vocab": cache.vocab,
        "targets": {name: target["kind"] for name, target in cache.targets.items()},
        "counts": {name: _counts(cache, name) for name, t in cache.targets.items() if "category" in t["kind"]},
        "splits": cache.splits,
        "rejected": footer["rejected"],
        "encoding": cache.encoding,
        "sizes": {side: _spread(cache, side) for side in ("height", "width")},
        "bytes": sum(footer["part_bytes"]),
        "fingerprint": cache.fingerprint,
        "format": footer["format"],
        "parts": len(footer["parts"]),
        "pixels": footer["pixels"],
    }


def _spread(cache: OpenCache, side: str) -> dict[str, float]:
    column = cache.small[side].to_arrow()
    ends = pc.min_max(column).as_py()
    return {"min": ends["min"], "mean": round(pc.mean(column).as_py(), 1), "max": ends["max"]}


def _counts(cache: OpenCache, name: str) -> list[int]:
    column = cache.index.column(name)
    numbers = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    counts = {row["values"]: row["counts"] for row in pc.value_counts(numbers.drop_null()).to_pylist()}
    return [counts.get(number, 0) for number in range(len(cache.targets[name]["vocab"] or ()))]
