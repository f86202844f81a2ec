"""How opening a cache grows with its rows: a cache of tiny rows, as many as one likes, opened in a fresh process.

`python -m onewarp.benchmarks.growth WORK --rows 10000000 --out RESULTS.json`
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..pipeline.cache.checksums import block_checksums
from ..pipeline.cache.encodings import Encoding
from ..pipeline.cache.footer import COMMIT, footer_bytes
from ..pipeline.cache.reader import Cache
from ..pipeline.cache.recipe import FORMAT
from ..pipeline.cache.schema import index_schema, small_fields
from ..pipeline.loading.loader import Loader

ROW_BYTES = 12  # 2 x 2 pixels


def write_tiny(folder: Path, rows: int, parts: int = 8) -> None:
    """A cache of `rows` rows of 2 x 2 pixels: real part sizes and a real index, no Parquet around the pixels."""
    folder.mkdir(parents=True)
    per_part = -(-rows // parts)
    names = [f"part-{number:05}-{number:016x}.parquet" for number in range(parts)]
    counts = [min(per_part, rows - number * per_part) for number in range(parts)]
    for name, count in zip(names, counts, strict=True):
        with (folder / name).open("wb") as file:
            file.truncate(count * ROW_BYTES)
    encoding: Encoding = "raw"
    said: dict[str, Any] = {
        "format": FORMAT,
        "fingerprint": "tiny",
        "pipeline_fingerprint": "tiny",
        "pixels": {"encoding": encoding, "size": 2, "square": None, "enlarge": False},
        "targets": [{"name": "label", "kind": "category", "vocab": ["even", "odd"]}],
        "vocab": ["even", "odd"],
        "splits": None,
        "rows": rows,
        "rejected": 0,
        "parts": names,
        "part_bytes": [count * ROW_BYTES for count in counts],
        "rejections": {"name": f"_rejected-{0:016x}.parquet", "bytes": 1, "checksum": 0},
    }
    schema = index_schema(small_fields([pa.field("label", pa.int64())]))
    index = folder / f"_index-{0:016x}.arrow"
    with pa.OSFile(str(index), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        # One batch, as the commit writes it; put together column by column.
        writer.write_batch(pa.RecordBatch.from_arrays([_column(f, rows, per_part) for f in schema], schema=schema))
    with pa.memory_map(str(index)) as file:
        checksums = block_checksums(file.read_buffer())
    said["index"] = {"name": index.name, "bytes": index.stat().st_size, "checksums": checksums}
    (folder / COMMIT).write_bytes(footer_bytes(said))


def _column(field: pa.Field, rows: int, per_part: int) -> pa.Array:
    number = np.arange(rows)
    match field.name:
        case "key" | "origin":
            return _text(number)
        case "sha256":
            return pa.StringArray.from_buffers(rows, pa.py_buffer(np.zeros(rows + 1, np.int32)), pa.py_buffer(b""))
        case "matrix":
            values = np.tile(np.eye(3).ravel(), rows)
            return pa.FixedSizeListArray.from_arrays(pa.array(values), type=field.type)
        case "key_hash":
            return pa.array(number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        case "part":
            return pa.array((number // per_part).astype(np.int32))
        case "offset":
            return pa.array(number % per_part * ROW_BYTES)
        case "label":
            return pa.array(number % 2)
    constant = {"height": 2, "width": 2, "length": ROW_BYTES, "checksum": 0x7BD5C66F}.get(field.name, 1)
    return pa.array(np.full(rows, constant, field.type.to_pandas_dtype()))


def _text(numbers: NDArray[np.int64]) -> pa.Array:
    """Nine digits a number."""
    digits = np.empty((len(numbers), 9), np.uint8)
    for place in range(9):
        digits[:, 8 - place] = numbers // 10**place % 10 + ord("0")
    offsets = np.arange(0, 9 * len(numbers) + 1, 9, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(digits))


def measure_opening(folder: Path) -> dict[str, Any]:
    """Seconds to open the cache, to make a loader and to get a batch, and the memory that each step added."""
    steps: dict[str, Any] = {}
    begin, held = time.perf_counter(), _own_memory()

    def note(name: str) -> None:
        nonlocal begin, held
        now, memory = time.perf_counter(), _own_memory()
        steps[name] = {"seconds": round(now - begin, 4), "megabytes": round((memory - held) / 1e6, 1)}
        begin, held = now, memory

    cache = Cache.open(folder)
    note("open")
    loader = Loader(cache, batch_size=64, threads=1)
    note("loader")
    iterator: Iterator[Any] = iter(loader)
    x, _ = next(iterator)
    note("first batch")
    return {"rows": len(cache), "batch": list(x.shape), **steps}


def _own_memory() -> int:
    """Resident bytes that are not pages of a file."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


@click.command()
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--rows", "counts", multiple=True, type=int, default=(10_000, 10_000_000))
@click.option("--out", type=click.Path(path_type=Path))
@click.option("--child", hidden=True, is_flag=True)
def main(work: Path, counts: tuple[int, ...], out: Path | None, child: bool) -> None:
    """Write caches of tiny rows under WORK, and open each in a fresh process."""
    if child:
        click.echo(json.dumps(measure_opening(work)))
        return
    results = []
    for rows in counts:
        if not (work / str(rows)).exists():
            write_tiny(work / str(rows), rows)
        command = [sys.executable, "-m", __spec__.name, str(work / str(rows)), "--child"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        results.append(json.loads(output))
    text = json.dumps({"suite": "growth", "measured": results}, indent=1)
    click.echo(text)
    if out:
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
