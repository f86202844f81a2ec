"""What a worker does: it decodes, presizes, encodes and writes the files of one part.

A worker gets names and numbers alone, and gives back the part's name and its small columns: pixels never travel.
"""

import ctypes
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from PIL import Image

from ...errors import CacheError, DecodeError, LabelError
from ...transforms.decoding.cost import turn, worker_share
from ...transforms.decoding.decode import decode_pixels
from ...transforms.decoding.resizing import resize
from ..cache.atomic_files import ATTEMPT, atomic_file, disk_errors
from ..cache.checksums import checksum, checksum_fault
from ..cache.encodings import encode
from ..cache.parts import Part, PartWriter, Rejection, read_frame, read_part, row_bytes
from ..cache.recipe import Recipe
from ..dataset.blocks import Block
from ..dataset.sources import Source
from .crash_search import CrashCause, find_crash_causes
from .target_values import RawTargets, read_targets, spatial_columns

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


@dataclass(frozen=True)
class PriorResult:
    """What an earlier run has made of a file: a row and its location, or a rejection."""

    sha256: str
    row: Mapping[str, Any] | None = None
    location: tuple[str, int] | None = None  # the path of the part, and the offset of the pixels in it
    rejected: Rejection | None = None

    def fits(self, raw_targets: RawTargets) -> bool:
        """Whether the result was made of the same mask, points and boxes; a rejected picture needs none."""
        if self.rejected is not None:
            return self.rejected.targets in (None, raw_targets.digest)
        return self.row is not None and self.row.get("targets_sha256") == raw_targets.digest


@dataclass(frozen=True)
class PartEntry:
    """A file that is to become a row of a part.

    `targets` are the columns that do not depend on the pixels (label, split). `raw_targets` is, by column, what the
    mask, points and boxes are made of. `unchanged` says that the file is still the one that `prior` was made of; where
    this is not certain, the worker reads the file and compares hashes.
    """

    key: str
    place: Any
    size: int | None
    targets: Mapping[str, Any]
    raw_targets: Mapping[str, Any] = field(default_factory=dict)
    prior: PriorResult | None = None
    unchanged: bool = False


@dataclass(frozen=True)
class PartTask:
    """The making of one part: its `number`, its `entries`, and `existing`, the path of a part that holds these files.

    `spatial_blocks` are the blocks of masks, points and boxes by column. `footer` is what the part says of itself.
    `deaths` counts the workers that died of this task: after the first, a process of its own tries the files before a
    worker decodes them.
    """

    number: int
    folder: str
    source: Source
    recipe: Recipe
    schema: pa.Schema
    entries: tuple[PartEntry, ...]
    footer: Mapping[str, Any]
    spatial_blocks: Mapping[str, Block] = field(default_factory=dict)
    existing: str | None = None
    deaths: int = 0


@dataclass
class PartResult:
    """A part that a task has made or found: its name, rows and rejections.

    `hashes` are the SHA-256 of the files by key. `lacks` says by key what is missing of accepted files that are not
    whole. `decoded` and `copied` count the rows by where they came from.
    """

    number: int
    name: str
    rows: pa.Table
    rejected: list[Rejection]
    hashes: dict[str, str] = field(default_factory=dict)
    lacks: dict[str, str] = field(default_factory=dict)
    decoded: int = 0
    copied: int = 0


@dataclass(frozen=True)
class _Row:
    columns: Mapping[str, Any]
    pictures: Mapping[str, bytes | memoryview]
    copied: bool
    lacks: str = ""


def make_part(task: PartTask) -> PartResult:
    """Write the part of a task, unless an existing part still holds all its files."""
    prepare_worker()
    folder = Path(task.folder)
    with disk_errors(folder):
        existing = inspect_part(task)
        if existing is not None:
            return existing
        with _attempt(folder, task.number) as attempts, atomic_file(folder) as (file, commit):
            with PartWriter(file, task.schema) as writer:
                result = _write(task, writer, _find_crash_causes(task) if task.deaths or attempts else {})
            file.flush()
            part = read_frame(file, folder)
            name = part_name(task.number, part.digest)
            commit(name)
    return replace(result, name=name, rows=part.rows)


def inspect_part(task: PartTask) -> PartResult | None:
    """The existing part of a task, if there is one and no file of it has changed; else None."""
    if task.existing is None or not all(_is_current(task, entry) for entry in task.entries):
        return None
    return result_of_part(task.number, read_part(Path(task.existing)))


def result_of_part(number: int, part: Part) -> PartResult:
    """The result for a part that stays as it is."""
    hashes = dict(zip(part.rows.column("key").to_pylist(), part.rows.column("sha256").to_pylist(), strict=True))
    return PartResult(number, part.path.name, part.rows, part.rejected, hashes)


def prepare_worker() -> None:
    """Give a worker one thread, silence warnings that name no file, and let it keep its memory.

    Fetching the pages of memory anew for each picture costs a fifth of the time.
    """
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # about metadata that the decoder skips
    Image.core.set_blocks_max(256)  # type: ignore[attr-defined]
    with suppress(OSError, AttributeError):  # only glibc has mallopt
        tune = ctypes.CDLL(None).mallopt
        tune(_MMAP_THRESHOLD, 1 << 26)
        tune(_TRIM_THRESHOLD, 1 << 28)


def part_name(number: int, digest: str) -> str:
    """The name of a part: sorts as the parts do, and changes with the content."""
    return f"part-{number:05d}-{digest}.parquet"


def _is_current(task: PartTask, entry: PartEntry) -> bool:
    if entry.prior is None or not entry.prior.fits(read_targets(entry.raw_targets)):
        return False
    try:
        return entry.unchanged or _digest(task.source.read(entry.place)) == entry.prior.sha256
    except OSError:
        return False


@contextmanager
def _attempt(folder: Path, number: int) -> Iterator[int]:
    """How many attempts at a part began and did not end, because their process was killed.

    The record of an attempt outlives the process, so that the next run knows which part kills its process.
    """
    record = folder / f"{ATTEMPT}{number:05d}"
    try:
        attempts = int(record.read_text() or 0)
    except (OSError, ValueError):
        attempts = 0
    record.write_text(str(attempts + 1))
    try:
        yield attempts
    finally:
        record.unlink(missing_ok=True)


def _write(task: PartTask, writer: PartWriter, crash_causes: Mapping[str, CrashCause]) -> PartResult:
    result = PartResult(task.number, "", task.schema.empty_table(), [])
    for entry in task.entries:
        cause = crash_causes.get(entry.key)
        row = Rejection(entry.key, cause.reason, entry.size, cause.sha256) if cause else _make(task, entry)
        if isinstance(row, Rejection):
            result.rejected.append(row)
        else:
            writer.add(row.columns, row.pictures)
            result.hashes[entry.key] = row.columns["sha256"]
            if row.lacks:
                result.lacks[entry.key] = row.lacks
            result.copied += row.copied
            result.decoded += not row.copied
    rejected = [vars(rejection) for rejection in result.rejected]
    writer.finish({**task.footer, "rejected": rejected})
    return result


def _find_crash_causes(task: PartTask) -> dict[str, CrashCause]:
    """The files of a task that kill their worker, by key; files that have not changed are not tried."""
    files = [(entry.key, entry.place) for entry in task.entries if not entry.unchanged]
    return find_crash_causes(task.source, task.recipe, files)


def _make(task: PartTask, entry: PartEntry) -> _Row | Rejection:
    """The row of a file, copied from an earlier run where possible, or the reason why there is none."""
    raw_targets = read_targets(entry.raw_targets)
    if entry.unchanged and entry.prior is not None:
        row = _take_over(task, entry, entry.prior, raw_targets)
        if row is not None:
            return row
    limit = task.recipe.decoding.max_bytes
    if entry.size is not None and entry.size > limit:
        return Rejection(entry.key, f"has {entry.size:,} bytes, and max_bytes is {limit:,}", entry.size)
    try:
        data = task.source.read(entry.place)
    except OSError as error:
        return Rejection(entry.key, f"cannot be read: {error.strerror or error}", entry.size)
    digest = _digest(data)
    if entry.prior is not None and entry.prior.sha256 == digest:
        row = _take_over(task, entry, entry.prior, raw_targets)
        if row is not None:
            return row
    try:
        raw_targets.refuse_missing()
        columns, encoded, lacks = _decode(task.recipe, entry, data, digest)
        return replace(_row(task, columns, encoded, raw_targets, copied=False), lacks=lacks)
    except DecodeError as error:
        return Rejection(entry.key, str(error), len(data), digest)
    except LabelError as error:
        return Rejection(entry.key, str(error), len(data), digest, raw_targets.digest)


def _take_over(
    task: PartTask, entry: PartEntry, prior: PriorResult, raw_targets: RawTargets
) -> _Row | Rejection | None:
    """The prior result of a file, with the targets of this run.

    None where the prior row's bytes are damaged, or where the targets do not fit its picture.
    """
    if prior.rejected is not None:
        return prior.rejected if prior.fits(raw_targets) else None
    if prior.row is None or prior.location is None:
        return None
    try:
        data = row_bytes(*prior.location, prior.row["length"])
    except (OSError, CacheError):
        return None
    if checksum_fault(data, prior.row["checksum"]):
        return None
    try:
        return _row(task, {**prior.row, **entry.targets}, data, raw_targets, copied=True)
    except LabelError:
        return None


def _row(
    task: PartTask, columns: Mapping[str, Any], data: bytes | memoryview, raw_targets: RawTargets, copied: bool
) -> _Row:
    """The row with its mask, points and boxes; `LabelError` where they do not fit."""
    more, masks = spatial_columns(raw_targets, task.spatial_blocks, columns)
    return _Row({**columns, **more}, {task.recipe.column: data, **masks}, copied)


def _decode(
    recipe: Recipe, entry: PartEntry, data: bytes, digest: str
) -> tuple[dict[str, Any], bytes | memoryview, str]:
    """The columns of a picture, its bytes, and what is missing of it."""
    sizing = recipe.sizing
    share = worker_share(recipe.memory, recipe.workers, recipe.decoding.max_memory)
    with ExitStack() as stack:
        picture = decode_pixels(
            data, sizing.size, recipe.decoding, lambda needed: stack.enter_context(turn(needed, share))
        )
        pixels, matrix = resize(picture, sizing)
        picture = replace(picture, raw=pixels)  # the others are let go before the next one's turn
    encoded = encode(pixels, recipe.encoding, recipe.jpeg_quality)
    columns = {
        "key": entry.key,
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        **entry.targets,
        "length": len(encoded),
        "checksum": checksum(encoded),
        "origin": entry.key,
        "original_height": picture.size[0],
        "original_width": picture.size[1],
        "orientation": picture.orientation,
        "sha256": digest,
        "matrix": matrix.ravel().tolist(),
    }
    return columns, encoded, picture.lacks


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
