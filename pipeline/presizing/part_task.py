"""What a worker does: the files of one part are decoded, presized, encoded and written.

Nothing is sent to the worker but names and numbers, and nothing comes back but the part's name and its small columns.
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
from ..cache.atomic_files import ATTEMPT, disk_errors, written_aside
from ..cache.checksums import checksum
from ..cache.encodings import encode
from ..cache.parts import Part, PartWriter, Rejected, read_frame, read_part, row_bytes
from ..cache.recipe import Recipe
from ..dataset.blocks import Block
from ..dataset.sources import Source
from .crash_search import Killer, find_killers
from .target_values import Given, placed, read_given

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


@dataclass(frozen=True)
class Known:
    """What an earlier run has made of a file: its row and where that lies, or its refusal."""

    sha256: str
    row: Mapping[str, Any] | None = None
    place: tuple[str, int] | None = None  # path of the part, offset
    rejected: Rejected | None = None

    def holds(self, given: Given) -> bool:
        """Whether it was made of the same mask, points and boxes; a picture that was refused needs none."""
        if self.rejected is not None:
            return self.rejected.targets in (None, given.digest)
        return self.row is not None and self.row.get("targets_sha256") == given.digest


@dataclass(frozen=True)
class Wanted:
    """A file that is to become a row.

    `targets` are its columns that do not depend on the pixels (label, split), `given` what its mask, points and boxes
    are made of, by column. `unchanged` says that the file is still the one that `known` was made of; where it is not
    sure, the worker reads the file and compares hashes.
    """

    key: str
    place: Any
    size: int | None
    targets: Mapping[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)
    known: Known | None = None
    unchanged: bool = False


@dataclass(frozen=True)
class Job:
    """One part: `number` among the parts, the files that belong to it, and `kept`, the path of a part that holds them.

    `places` are the blocks of masks, points and boxes by column.
    `deaths` counts the workers that died of it: after the first, its files are tried in a process of their own before.
    """

    number: int
    folder: str
    source: Source
    recipe: Recipe
    schema: pa.Schema
    wanted: tuple[Wanted, ...]
    said: Mapping[str, Any]
    places: Mapping[str, Block] = field(default_factory=dict)
    kept: str | None = None
    deaths: int = 0


@dataclass
class Done:
    """What has become of a job: the part's name, its rows and rejected files, what files lack that are not whole and
    were accepted, and how many rows were made anew.
    """

    number: int
    name: str
    rows: pa.Table
    rejected: list[Rejected]
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


def make_part(job: Job) -> Done:
    """Write the part of a job, or find that the one that is there still holds."""
    prepare_worker()
    folder = Path(job.folder)
    with disk_errors(folder):
        found = look_into(job)
        if found is not None:
            return found
        with _attempt(folder, job.number) as attempts, written_aside(folder) as (file, commit):
            with PartWriter(file, job.schema) as writer:
                done = _write(job, writer, _killers(job) if job.deaths or attempts else {})
            file.flush()
            part = read_frame(file, folder)
            name = part_name(job.number, part.digest)
            commit(name)
    return replace(done, name=name, rows=part.rows)


def look_into(job: Job) -> Done | None:
    """The part that holds a job's files, if there is one and they are still those that it was made of."""
    if job.kept is None or not all(_still_holds(job, wanted) for wanted in job.wanted):
        return None
    return found_part(job.number, read_part(Path(job.kept)))


def found_part(number: int, part: Part) -> Done:
    """A part that stays as it is."""
    hashes = dict(zip(part.rows.column("key").to_pylist(), part.rows.column("sha256").to_pylist(), strict=True))
    return Done(number, part.path.name, part.rows, part.rejected, hashes)


def prepare_worker() -> None:
    """One thread per worker, no warnings that name no file, and memory that is kept: to fetch its pages anew costs a
    fifth of the time.
    """
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of what is read past on purpose
    Image.core.set_blocks_max(256)  # type: ignore[attr-defined]
    with suppress(OSError, AttributeError):  # glibc's, from a system without which it is not asked
        tune = ctypes.CDLL(None).mallopt
        tune(_MMAP_THRESHOLD, 1 << 26)
        tune(_TRIM_THRESHOLD, 1 << 28)


def part_name(number: int, digest: str) -> str:
    """The name of a part: sorts as the parts do, and changes with the content."""
    return f"part-{number:05d}-{digest}.parquet"


def _still_holds(job: Job, wanted: Wanted) -> bool:
    if wanted.known is None or not wanted.known.holds(read_given(wanted.given)):
        return False
    try:
        return wanted.unchanged or _digest(job.source.read(wanted.place)) == wanted.known.sha256
    except OSError:
        return False


@contextmanager
def _attempt(folder: Path, number: int) -> Iterator[int]:
    """How many attempts at a part have begun and never ended, because their process was killed.

    So a part that kills its process is found even where nobody is left to tell: by the next run.
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


def _write(job: Job, writer: PartWriter, killers: Mapping[str, Killer]) -> Done:
    done = Done(job.number, "", job.schema.empty_table(), [])
    for wanted in job.wanted:
        killer = killers.get(wanted.key)
        made = Rejected(wanted.key, killer.reason, wanted.size, killer.sha256) if killer else _make(job, wanted)
        if isinstance(made, Rejected):
            done.rejected.append(made)
        else:
            writer.add(made.columns, made.pictures)
            done.hashes[wanted.key] = made.columns["sha256"]
            if made.lacks:
                done.lacks[wanted.key] = made.lacks
            done.copied += made.copied
            done.decoded += not made.copied
    rejected = [vars(entry) for entry in done.rejected]
    writer.finish({**job.said, "rejected": rejected})
    return done


def _killers(job: Job) -> dict[str, Killer]:
    """The files of a job that kill their worker, and how; those that are taken over are not decoded."""
    files = [(wanted.key, wanted.place) for wanted in job.wanted if not wanted.unchanged]
    return find_killers(job.source, job.recipe, files)


def _make(job: Job, wanted: Wanted) -> _Row | Rejected:
    """The row of a file, taken over from an earlier run where that is possible."""
    given = read_given(wanted.given)
    if wanted.unchanged and wanted.known is not None:
        taken = _take_over(job, wanted, wanted.known, given)
        if taken is not None:
            return taken
    limit = job.recipe.decoding.max_bytes
    if wanted.size is not None and wanted.size > limit:
        return Rejected(wanted.key, f"has {wanted.size:,} bytes, and max_bytes is {limit:,}", wanted.size)
    try:
        data = job.source.read(wanted.place)
    except OSError as error:
        return Rejected(wanted.key, f"cannot be read: {error.strerror or error}", wanted.size)
    digest = _digest(data)
    if wanted.known is not None and wanted.known.sha256 == digest:
        taken = _take_over(job, wanted, wanted.known, given)
        if taken is not None:
            return taken
    try:
        given.refuse_missing()
        columns, encoded, lacks = _decode(job.recipe, wanted, data, digest)
        return replace(_row(job, columns, encoded, given, copied=False), lacks=lacks)
    except DecodeError as error:
        return Rejected(wanted.key, str(error), len(data), digest)
    except LabelError as error:
        return Rejected(wanted.key, str(error), len(data), digest, given.digest)


def _take_over(job: Job, wanted: Wanted, known: Known, given: Given) -> _Row | Rejected | None:
    """What was made of the file before, with the targets of today; None where its bytes are no longer whole, or where
    these targets do not fit.
    """
    if known.rejected is not None:
        return known.rejected if known.holds(given) else None
    if known.row is None or known.place is None:
        return None
    try:
        data = row_bytes(*known.place, known.row["length"])
    except (OSError, CacheError):
        return None
    if checksum(data) != known.row["checksum"]:
        return None
    try:
        return _row(job, {**known.row, **wanted.targets}, data, given, copied=True)
    except LabelError:
        return None


def _row(job: Job, columns: Mapping[str, Any], data: bytes | memoryview, given: Given, copied: bool) -> _Row:
    """The row with its mask, points and boxes; `LabelError` where they do not fit."""
    more, masks = placed(given, job.places, columns)
    return _Row({**columns, **more}, {job.recipe.column: data, **masks}, copied)


def _decode(recipe: Recipe, wanted: Wanted, data: bytes, digest: str) -> tuple[dict[str, Any], bytes | memoryview, str]:
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
        "key": wanted.key,
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        **wanted.targets,
        "length": len(encoded),
        "checksum": checksum(encoded),
        "origin": wanted.key,
        "original_height": picture.size[0],
        "original_width": picture.size[1],
        "orientation": picture.orientation,
        "sha256": digest,
        "matrix": matrix.ravel().tolist(),
    }
    return columns, encoded, picture.lacks


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
