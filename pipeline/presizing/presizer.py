"""Presize photos once: decode, turn upright, resize, and keep them in a Parquet cache."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from ...errors import CacheError, UsageError
from ...transforms.decoding.decode import Decoding
from ...transforms.decoding.resizing import Sizing
from ..cache.atomic_files import disk_errors, sweep
from ..cache.encodings import Encoding
from ..cache.footer import COMMIT, refuse_newer
from ..cache.parts import Rejection, read_part
from ..cache.recipe import Recipe, differences
from ..dataset.item_labels import Labeller
from ..dataset.labels import labeller_from
from ..dataset.splits import Splitter, splitter_from
from ..dataset.tables import DataSource, open_source
from .catalogue import Catalogue, catalogue_of
from .commit import commit
from .completion import find_finished_parts
from .encoding_choice import choose_encoding
from .execution import make_parts, refuse_too_many
from .existing_parts import ExistingParts, find_parts
from .file_hashes import load_hash_memo
from .lock import write_lock
from .part_plan import PartPlan
from .part_task import PartResult
from .progress import NoProgress, Reporter, reporter


class Block(Protocol):
    """What `presize` needs of a `DataBlock`."""

    def catalogue(self, source: DataSource, image: str | None, key: str | None) -> Catalogue:
        """The items of a source, with labels and splits."""

    def sizing(self) -> Sizing | None:
        """The size of its `Resize`, if it has one."""


@dataclass(frozen=True)
class Summary:
    """What a run of `presize` has done, and the cache that it leaves.

    `decoded` rows were made of their files, `copied` taken over from an earlier run into a part that had to be written
    anew, `kept` left where they were. `notes` are what there is to know of the source and its labels, a line each.
    `lacks` says by key what is missing of files that were accepted in this run although they are not whole.
    """

    cache: Path
    rows: int
    rejected: list[Rejection]
    encoding: Encoding
    decoded: int
    copied: int
    seconds: float
    notes: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """Rows of parts that were not touched."""
        return self.rows - self.decoded - self.copied


def presize(
    source: DataSource | Catalogue,
    cache: str | os.PathLike[str],
    size: int | None = None,
    *,
    label: str | Labeller | None = None,
    split: str | Splitter | None = None,
    block: Block | None = None,
    encoding: Encoding | Literal["auto"] = "auto",
    square: Literal["crop", "squish", "pad"] | None = None,
    enlarge: bool = False,
    image: str | None = None,
    key: str | None = None,
    decoding: Decoding | None = None,
    jpeg_quality: int = 95,
    budget: int = 16 << 30,
    memory: int | None = None,
    max_rejected: int | None = None,
    scheduler: str = "threads",
    workers: int | None = None,
    overwrite: bool = False,
    rehash: bool = False,
    verify: bool = True,
    quiet: bool = True,
    report: Reporter | None = None,
) -> Summary:
    """Decode and resize every image of `source` once, into the cache in the folder `cache`.

    `source` is a folder, a table (`.csv`, `.parquet`; `image` and `key` name its columns) or any source that lists its
    items. `label` and `split` are labellers and splitters, or their names on the command line; a `block` (a
    `DataBlock`) says both in their place. Without `square` the aspect is kept and the short side is at most `size`:
    460, or what the block's `Resize` says. `encoding="auto"` keeps pixels raw where they are expected to fit into
    `budget` bytes, and as JPEG otherwise. All workers of a machine together hold no more than `memory` bytes of
    pictures that they decode, half of what it has if not given: a file that needs more than a worker's share waits for
    its turn. Files that cannot be used are set aside; more than `max_rejected` of them end the run. `rehash` reads and
    hashes every file again, also those that seem to be the same by size, times and inode.

    The cache is complete when this returns. Stopped or killed before that, it goes on from the parts that are whole
    when it is called again; called on a finished cache it does what is new or changed, and makes anew what is damaged:
    all that it keeps is read and held against its checksums, unless `verify` is false. `report` gets the progress
    in place of the terminal. The result depends on the source and the settings alone. While another process writes the
    cache, it waits, and then does what is left. Raises `UsageError` for a source or settings that cannot be used,
    `LabelError` for labels that cannot be found, and `CacheError` where the folder was made with other settings, or
    cannot be written to.
    """
    start = time.monotonic()
    sizing, decoding = Sizing(_size(size, block), square, enlarge), decoding or Decoding()
    catalogue = source if isinstance(source, Catalogue) else _catalogue(source, image, key, label, split, block)
    bounds = (budget, memory, workers)
    request = _Request(
        _folder(cache), catalogue, sizing, decoding, encoding, jpeg_quality, *bounds, overwrite, rehash, verify
    )
    worker_settings = (scheduler, workers)
    terminal = reporter(len(catalogue.items), "presizing", quiet)
    with disk_errors(request.folder), terminal if report is None else nullcontext(report) as report:
        for note in catalogue.notes:
            report.say(note)
        plan, decoded, lacks = request.plan(report), 0, dict[str, str]()
        results = find_finished_parts(plan, *worker_settings, verify=verify)
        if results is None:
            _ensure_folder(request.folder)
            with write_lock(request.folder, report.say):
                sweep(request.folder)
                if plan.existing.is_outdated():  # another process was faster
                    plan = request.plan(report)
                    results = find_finished_parts(
                        plan, *worker_settings, verify=False
                    )  # the lock is ours, and lies there too
                if results is None:
                    results = make_parts(plan, *worker_settings, report, max_rejected)
                    decoded = sum(part.decoded for part in results)
                    lacks = {key: lack for part in results for key, lack in part.lacks.items()}
                    if (narrower := request.narrow_vocab(plan, results)) is not None:
                        plan, results = narrower, make_parts(narrower, *worker_settings, NoProgress(), max_rejected)
                    commit(request.folder, results, plan.small, plan.cache_footer, catalogue.set_aside)
        refuse_too_many([*catalogue.set_aside, *(entry for part in results for entry in part.rejected)], max_rejected)
    summary = _summary(request.folder, results, decoded, catalogue, plan.recipe.encoding, start)
    return replace(summary, lacks=lacks)


@dataclass(frozen=True)
class _Request:
    """The cache that a call of `presize` asks for."""

    folder: Path
    catalogue: Catalogue
    sizing: Sizing
    decoding: Decoding
    encoding: Encoding | Literal["auto"]
    jpeg_quality: int
    budget: int
    memory: int | None
    workers: int | None
    overwrite: bool
    rehash: bool
    verify: bool

    def plan(self, report: Reporter) -> PartPlan:
        """The plan from the existing parts to the requested cache; `CacheError` where they have other settings."""
        if not self.overwrite:
            refuse_newer(self.folder)
        existing = ExistingParts() if self.overwrite else find_parts(self.folder, self.verify)
        encoding = self._choose_encoding(existing, report)
        recipe = Recipe(self.sizing, self.decoding, encoding, self.jpeg_quality, self.memory, self.workers)
        _refuse_other(self.folder, existing, recipe)
        hashes = None if self.rehash else self.catalogue.hashes
        hashes = hashes or load_hash_memo(self.catalogue.source.where(), forget=self.rehash)
        return PartPlan(self.catalogue.narrow_vocab(existing.rejections()), self.folder, recipe, existing, hashes)

    def narrow_vocab(self, plan: PartPlan, results: Sequence[PartResult]) -> PartPlan | None:
        """The plan whose vocabularies name only classes that have a row; None where those of `plan` already do.

        They differ where other files than before were rejected. No file is decoded again for the new plan.
        """
        refused = frozenset(entry.key for part in results for entry in part.rejected)
        narrower = self.catalogue.narrow_vocab(refused)
        if narrower.targets == plan.catalogue.targets or not any(part.rows.num_rows for part in results):
            return None
        existing = ExistingParts()
        for part in results:
            existing.add(read_part(self.folder / part.name))
        return PartPlan(narrower, self.folder, plan.recipe, existing, plan.hashes)

    def _choose_encoding(self, existing: ExistingParts, report: Reporter) -> Encoding:
        if self.encoding != "auto":
            return self.encoding
        if existing.parts:
            stored: Encoding = existing.parts[0].footer["pixels"]["encoding"]
            return stored
        items = self.catalogue.items
        encoding, expected = choose_encoding(items, self.catalogue.source, self.sizing, self.decoding, self.budget)
        sizes = f"about {expected / 2**30:.2f} GiB (budget {self.budget / 2**30:.1f} GiB)"
        report.say(f"encoding: {encoding}, {len(items)} images, {sizes}")
        return encoding


def _catalogue(
    source: DataSource,
    image: str | None,
    key: str | None,
    label: str | Labeller | None,
    split: str | Splitter | None,
    block: Block | None,
) -> Catalogue:
    if block is None:
        labeller = labeller_from(label) if isinstance(label, str) else label
        splitter = splitter_from(split) if isinstance(split, str) else split
        return catalogue_of(open_source(source, image, key), labeller, splitter)
    if label is not None or split is not None:
        other = "label" if label is not None else "split"
        raise UsageError(f"a block says what labels and splits are, but {other} is given too: leave one of them out")
    return block.catalogue(source, image, key)


def _size(requested: int | None, block: Block | None) -> int:
    if requested is not None:
        return requested
    sizing = None if block is None else block.sizing()
    return 460 if sizing is None else sizing.size


def _folder(cache: str | os.PathLike[str]) -> Path:
    folder = Path(os.path.abspath(cache))
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"cache must be a folder, but {folder} is a file: give another path")
    refuse_foreign_folder(folder)
    return folder


def refuse_foreign_folder(folder: Path) -> None:
    """Refuse a folder of other things, before anything is written to it."""
    if not folder.exists() or (folder / COMMIT).exists():
        return
    with disk_errors(folder):
        strangers = [entry.name for entry in folder.iterdir() if not entry.name.startswith(("part-", "_", "."))]
    if strangers:
        raise UsageError(
            f"cache must be an empty folder or a cache, but {folder} holds {strangers[0]}: give another path"
        )


def _ensure_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except NotADirectoryError:
        raise UsageError(f"cache must be a folder, but a part of {folder} is a file: give another path") from None


def _refuse_other(folder: Path, existing: ExistingParts, recipe: Recipe) -> None:
    settings = recipe.pixels()
    for part in existing.parts:
        if part.footer["pixels"] != settings:
            changes = "; ".join(differences(part.footer["pixels"], settings))
            raise CacheError(
                f"{folder} was made with other settings ({changes}): give another folder, the same settings, "
                "or overwrite it (--overwrite)"
            )


def _summary(
    folder: Path, results: Sequence[PartResult], decoded: int, catalogue: Catalogue, encoding: Encoding, start: float
) -> Summary:
    rejected = [*catalogue.set_aside, *(entry for part in results for entry in part.rejected)]
    return Summary(
        folder,
        rows=sum(part.rows.num_rows for part in results),
        rejected=rejected,
        encoding=encoding,
        decoded=decoded,
        copied=sum(part.decoded + part.copied for part in results) - decoded,
        seconds=time.monotonic() - start,
        notes=tuple(catalogue.notes),
    )
