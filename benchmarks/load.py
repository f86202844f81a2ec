"""Loading beside its peers: the same photos, the same core, the page cache in the same stated state.

`python -m onewarp.benchmarks.load run PHOTOS WORK --out RESULTS.json` writes every format once and measures each
reader in processes of its own, in rounds. Each process also measures a plain copy of rows within memory between the
epochs: its median tells how fast the machine was at that moment, and ratios are taken against it. PHOTOS is a folder
of image files. See benchmarks/README.md for the method.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from ..pipeline.cache.reader import Cache
from ..pipeline.dataset.items import get_image_files
from ..pipeline.loading.cache_rows import CacheRows
from ..pipeline.loading.loader import Loader
from ..pipeline.presizing.presizer import presize
from ..transforms.augment import aug_transforms, fuse
from ..transforms.colour import Normalize
from ..transforms.decoding.decode import decode_pixels
from ..transforms.decoding.resizing import Sizing, resize
from .measuring import pagecache, results
from .measuring.timing import quartiles
from .peers import endtoend, loading
from .peers.loading import BATCH, Epochs, Photos, Reader

SIDE, SIZE = 460, 224
TRANSFORMS = [*aug_transforms(size=SIZE, min_scale=0.75), Normalize(endtoend.MEAN, endtoend.STD)]
PACKAGES = ("torch", "numpy", "pyarrow", "ffcv", "datasets", "webdataset", "lmdb", "fastai", "torchvision", "pillow")


@dataclass(frozen=True)
class Measurement:
    """Rows a second of each epoch, and of a copy within memory beside each.

    `rates` and `copies` are by the clock; `cpu_rates` and `cpu_copies` by the processor time of the process, which
    others on the machine disturb less: the measure for one worker. Worker processes are not in it.
    """

    reader: str
    state: pagecache.State
    workers: int
    rates: list[float]
    copies: list[float]
    cpu_rates: list[float]
    cpu_copies: list[float]


WARPED = "onewarp, end to end"
GOALS = (
    # reader, beside whom, state, workers of the one and of the other, at least
    ("onewarp", "FFCV", "sequential", (1, 1), 1.3),
    ("onewarp", "WebDataset", "sequential", (1, 1), 5.0),
    ("onewarp", "ImageFolder", "sequential", (1, 1), 40.0),
    ("onewarp", "FFCV", "scattered", (1, 1), 1.0),
    ("onewarp JPEG", "FFCV JPEG", "sequential", (1, 1), 1.0),
    ("onewarp JPEG", "Hugging Face JPEG", "sequential", (1, 1), 1.5),
    (WARPED, "the warp alone", "sequential", (1, 1), 0.9),
    (WARPED, "fastai, end to end", "sequential", (1, 1), 40.0),
    (WARPED, "ImageFolder + torchvision v2, end to end", "sequential", (1, 1), 15.0),
    ("onewarp", "onewarp", "sequential", (2, 1), 1.8),
    ("onewarp JPEG", "onewarp JPEG", "sequential", (2, 1), 1.8),
    (WARPED, WARPED, "sequential", (2, 1), 1.8),
)


def goals(groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was asked beside what `groups` of a result say, by the clock; pairs that were not measured are left out."""
    by = {(one["reader"], one["state"], one["workers"]): one for one in groups}
    found = []
    alone = by.get(("onewarp", "sequential", 1))
    if alone is not None:
        found.append(results.goal("load: onewarp, times a copy within memory", 0.7, alone["over_copy_clock"][1]))
    for reader, other, state, workers, least in GOALS:
        one, beside = by.get((reader, state, workers[0])), by.get((other, state, workers[1]))
        if one is None or beside is None:
            continue
        words = f"two threads times one, {reader}" if reader == other else f"{reader}, times {other}"
        ratio = one["rows_per_second_clock"][1] / beside["rows_per_second_clock"][1]
        found.append(results.goal(f"load: {words}{', scattered' * (state == 'scattered')}", least, ratio))
    return found


@lru_cache
def write_cache(encoding: Any) -> Callable[[Photos, Path], None]:
    """A cache of square rows."""

    def write(photos: Photos, folder: Path) -> None:
        presize(photos.files, folder / "cache", SIDE, label="parent", square="crop", enlarge=True, encoding=encoding)

    return write


def open_rows(**settings: Any) -> Callable[[Photos, Path, int], Epochs]:
    """Rows as they are, by our loader, without the first epoch's checksums."""

    def open_loader(photos: Photos, folder: Path, workers: int) -> Epochs:
        rows = CacheRows(Cache.open(folder / "cache"), checking="never", **settings)
        return epochs_of(Loader(rows, batch_size=BATCH, tail="drop", threads=workers))

    return open_loader


def open_end_to_end(photos: Photos, folder: Path, workers: int) -> Epochs:
    """Augmented and normalised batches by our loader."""
    rows = CacheRows(Cache.open(folder / "cache"), checking="never")
    return epochs_of(Loader(rows, batch_size=BATCH, batch_tfms=TRANSFORMS, tail="drop", threads=workers))


def epochs_of(loader: Loader) -> Epochs:
    """Epochs of our loader."""

    def epoch() -> Iterator[Any]:
        for batch in loader:
            yield batch[0]

    return epoch


def open_warp_alone(photos: Photos, folder: Path, workers: int) -> Epochs:
    """The warp on rows that are in memory already, under plans that are drawn already."""
    fused = fuse(TRANSFORMS)
    rows = torch.from_numpy(np.array(photos.rows[: 8 * BATCH]))
    sizes = np.full((BATCH, 2), SIDE)
    starts = range(0, len(rows) - BATCH + 1, BATCH)
    plans = [fused.plan(sizes, np.arange(start, start + BATCH, dtype=np.uint64), split="train") for start in starts]

    def epoch() -> Iterator[Any]:
        for start, plan in zip(starts, plans, strict=True):
            yield fused.images(rows[start : start + BATCH], plan)

    return epoch


READERS: dict[str, Reader] = {
    "onewarp": Reader(write_cache("raw"), open_rows()),
    "onewarp pread": Reader(write_cache("raw"), open_rows(reading="pread")),
    "onewarp JPEG": Reader(write_cache("jpeg"), open_rows()),
    **loading.READERS,
    "onewarp, end to end": Reader(write_cache("raw"), open_end_to_end),
    "the warp alone": Reader(loading.write_nothing, open_warp_alone),
    **endtoend.READERS,
}


def folder_of(work: Path, name: str) -> Path:
    """Where a reader's format is kept: readers that write the same share it."""
    same = next(other for other, reader in READERS.items() if reader.write in (READERS[name].write,))
    return work / "formats" / (same if READERS[name].write is not loading.write_nothing else "files").replace(" ", "-")


def photos_in(work: Path) -> Photos:
    """The photos that `prepare` left."""
    files = work / "files"
    paths = get_image_files(files)
    names = sorted({path.parent.name for path in paths})
    rows = np.load(work / "rows.npy", mmap_mode="r")
    return Photos(files, paths, [names.index(path.parent.name) for path in paths], rows)


def prepare(source: Path, work: Path, count: int) -> None:
    """`count` files in folders of classes, links to those of `source` again and again, and their rows."""
    if (work / "rows.npy").exists():
        return
    originals = [path for path in get_image_files(source) if path.suffix.lower() == ".jpg" and is_jpeg(path)]
    for i in range(count):
        path = originals[i % len(originals)]
        name = path.stem.rpartition("_")[0] or "photos"
        link = work / "files" / name / f"{path.stem}_{i // len(originals)}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_bytes(path.read_bytes())
    sizing = Sizing(SIDE, "crop", enlarge=True)
    rows = [resize(decode_pixels(path, SIDE), sizing)[0] for path in get_image_files(work / "files")]
    np.save(work / "rows.npy", np.stack(rows))


def is_jpeg(path: Path) -> bool:
    """Whether the content is a JPEG: some photos of the Pet data set are not what their names say."""
    return path.read_bytes()[:2] == b"\xff\xd8"


def copies(rows: np.ndarray[Any, Any]) -> Epochs:
    """A shuffled copy of rows within memory."""
    held, batch = np.empty_like(rows), np.empty((BATCH, *rows.shape[1:]), np.uint8)
    np.copyto(held, rows)
    state = np.random.default_rng(0)

    def epoch() -> Iterator[Any]:
        order = state.permutation(len(held))
        for start in range(0, len(held) - BATCH + 1, BATCH):
            for i, row in enumerate(order[start : start + BATCH]):
                np.copyto(batch[i], held[row])
            yield batch

    return epoch


def check(reader: str, batch: Any) -> None:
    """Raise where a batch is not 64 whole rows, or 64 augmented photos."""
    shape = tuple(batch.shape)
    if "end to end" in reader or reader == "the warp alone":
        right = shape == (BATCH, 3, SIZE, SIZE) and batch.dtype == torch.float32
    else:
        size = 4 if reader.startswith("fastai") else 1  # fastai's loader makes floats of whatever comes
        right = len(batch) == BATCH and np.prod(shape) == BATCH * SIDE * SIDE * 3 and batch.itemsize == size
    if not right:
        raise click.ClickException(f"{reader} gives batches of {batch.dtype}{shape}")


def rate(epoch: Epochs, expected: str | None = None) -> tuple[float, float]:
    """Rows a second of a whole epoch, by the clock and by processor time; its first batch checked for a reader.

    Whole, because some readers go on in the background when their loop is left.
    """
    count, clock, cpu = 0, time.perf_counter(), time.process_time()
    for batch in epoch():
        if count == 0 and expected:
            check(expected, batch)
        count += len(batch)
    return count / (time.perf_counter() - clock), count / (time.process_time() - cpu)


@click.group()
def main() -> None:
    """Measure how fast rows are read, and made into batches."""


@main.command()
@click.argument("work", type=click.Path(path_type=Path))
@click.argument("reader", type=click.Choice(list(READERS)))
@click.option("--state", type=click.Choice(pagecache.STATES), default="sequential")
@click.option("--workers", default=1)
@click.option("--epochs", default=3)
@click.option("--seconds", default=5.0, help="A reader whose first epoch takes longer is measured over one more.")
def one(work: Path, reader: str, state: pagecache.State, workers: int, epochs: int, seconds: float) -> None:
    """Measure one reader in this process; JSON on stdout."""
    torch.set_num_threads(workers)
    photos = photos_in(work)
    folder = folder_of(work, reader)
    copy = copies(photos.rows[:512])
    pagecache.put([path for path in folder.rglob("*") if path.is_file()] or photos.paths, state)
    epoch = READERS[reader].open(photos, folder, workers)
    if state != "dropped":  # compiled code, worker processes, page tables
        begin = time.perf_counter()
        rate(epoch, reader)
        epochs = epochs if time.perf_counter() - begin < seconds else 1
    rate(copy)
    pairs = [(rate(copy), rate(epoch)) for _ in range(epochs)]
    clock, cpu = ([[one[which] for one in pair] for pair in pairs] for which in (0, 1))
    found = Measurement(
        reader,
        state,
        workers,
        rates=[own for _, own in clock],
        copies=[copied for copied, _ in clock],
        cpu_rates=[own for _, own in cpu],
        cpu_copies=[copied for copied, _ in cpu],
    )
    click.echo(json.dumps(asdict(found)))


@main.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Results, JSON; added to what is there.")
@click.option("--rows", default=1536)
@click.option("--rounds", default=3)
@click.option("--reader", "readers", multiple=True, help="Only these.")
@click.option("--state", "states", multiple=True, default=("sequential",))
@click.option("--workers", "workers", multiple=True, type=int, default=(1,))
def run(
    source: Path,
    work: Path,
    out: Path,
    rows: int,
    rounds: int,
    readers: tuple[str, ...],
    states: tuple[str, ...],
    workers: tuple[int, ...],
) -> None:
    """Write every format, and measure the readers in rounds."""
    prepare(source, work, rows)
    photos = photos_in(work)
    chosen = list(readers or READERS)
    for name in chosen:
        folder = folder_of(work, name)
        if not folder.exists():
            folder.mkdir(parents=True)
            click.echo(f"writing {folder.name}", err=True)
            READERS[name].write(photos, folder)
    measured = read_measurements(out)
    for _ in range(rounds):
        for state in states:
            for count in workers:
                for name in chosen:
                    measured.append(in_process(work, name, state, count))
                    click.echo(line(measured[-1]), err=True)
                    found = {**about(len(photos.rows)), "measured": gather(measured)}
                    out.write_text(json.dumps(found, indent=1) + "\n")  # each time: the next reader may fail


def read_measurements(out: Path) -> list[Measurement]:
    """What earlier runs measured."""
    if not out.exists():
        return []
    groups = json.loads(out.read_text())["measured"]
    return [Measurement(**one) for group in groups for one in group["rounds"]]


def in_process(work: Path, reader: str, state: str, workers: int) -> Measurement:
    """`one` in a process of its own, on as many cores as it has workers."""
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:workers])
    command = ["taskset", "-c", cores, sys.executable, "-W", "ignore", "-m", __spec__.name, "one"]
    command += [str(work), reader, "--state", state, "--workers", str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{reader}: {done.stderr[-2000:]}")
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def gather(measured: list[Measurement]) -> list[dict[str, Any]]:
    """All rounds of a reader together: medians and quartiles; in the order of the readers, whichever ran first."""
    places = list(READERS)
    groups: dict[tuple[str, str, int], list[Measurement]] = {}
    for one in sorted(measured, key=lambda one: (one.state != "sequential", one.workers, places.index(one.reader))):
        groups.setdefault((one.reader, one.state, one.workers), []).append(one)
    return [{**summary(many), "rounds": [asdict(one) for one in many]} for many in groups.values()]


def summary(many: list[Measurement]) -> dict[str, Any]:
    """Median and quartiles of rates, and of rates over the copies beside them."""
    first = many[0]
    found: dict[str, Any] = {"reader": first.reader, "state": first.state, "workers": first.workers}
    for measure, rates, beside in (("clock", "rates", "copies"), ("cpu", "cpu_rates", "cpu_copies")):
        pairs = [pair for one in many for pair in zip(getattr(one, rates), getattr(one, beside), strict=True)]
        found[f"rows_per_second_{measure}"] = quartiles([own for own, _ in pairs], 4)
        found[f"over_copy_{measure}"] = quartiles([own / copied for own, copied in pairs], 4)
    return found


def line(one: Measurement) -> str:
    """A measurement for a person."""
    by_clock, by_cpu = statistics.median(one.rates), statistics.median(one.cpu_rates)
    share = by_cpu / statistics.median(one.cpu_copies)
    return (
        f"{one.reader:45} {one.state:11} x{one.workers} {by_clock:8.0f} rows/s, "
        f"{by_cpu:8.0f} a processor second, {share:6.3f} of a copy"
    )


def about(rows: int) -> dict[str, Any]:
    """What was measured with what."""
    return {
        "suite": "load",
        "rows": rows,
        "row_bytes": SIDE * SIDE * 3,
        "machine": f"{results.machine()['processor']}, {len(os.sched_getaffinity(0))} cores",
        "commit": results.commit(),
        "versions": {name: found for name in PACKAGES if (found := results.version_of(name))},
        "kernel": os.uname().release,
        "load_average": [round(x, 2) for x in os.getloadavg()],
    }


if __name__ == "__main__":
    main()
