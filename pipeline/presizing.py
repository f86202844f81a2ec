"""Presize photos once: decode, turn upright, resize, and keep them in a Parquet cache."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import torch

from ..errors import CacheError, UsageError
from ..transforms.decoding import Decoding
from ..transforms.resizing import Sizing
from .budget import choose_encoding
from .commit import commit, index_footer
from .crew import crew
from .durable import disk_errors, sweep
from .encodings import Encoding
from .footer import refuse_newer
from .labels import labeller_from
from .lock import writing
from .parts import Rejected
from .plan import Earlier, borders, earlier_parts
from .progress import Reporter, reporter
from .recipe import FORMAT, Recipe, differences, fingerprint
from .schema import part_schema, pixels_field, small_fields
from .seen import Seen, seen
from .sources import Item, Source
from .spec import to_spec
from .splits import Splitter, splitter_from
from .tables import open_source
from .targets import Labels, label_items, split_items
from .work import Done, Job, Wanted, found_part, make_part

Labeller = Callable[[Any], Any]


@dataclass(frozen=True)
class Summary:
    """What a run of `presize` has left and done.

    `decoded` rows were made of their files, `copied` taken over from an earlier run into a part that had to be written
    anew, `kept` left where they were.
    """

    cache: Path
    rows: int
    rejected: list[Rejected]
    encoding: Encoding
    decoded: int
    copied: int
    seconds: float

    @property
    def kept(self) -> int:
        """Rows of parts that were not touched."""
        return self.rows - self.decoded - self.copied


def presize(
    source: str | os.PathLike[str] | Source,
    cache: str | os.PathLike[str],
    size: int = 460,
    *,
    label: str | Labeller | None = None,
    split: str | Splitter | None = None,
    encoding: Encoding | Literal["auto"] = "auto",
    square: Literal["crop", "squish", "pad"] | None = None,
    enlarge: bool = False,
    image: str | None = None,
    key: str | None = None,
    decoding: Decoding | None = None,
    jpeg_quality: int = 95,
    budget: int = 16 << 30,
    max_rejected: int | None = None,
    scheduler: str = "threads",
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> Summary:
    """Decode and resize every image of `source` once, into the cache in the folder `cache`.

    `source` is a folder, a table (`.csv`, `.parquet`; `image` and `key` name its columns) or any `Source`. `label` and
    `split` are labellers and splitters, or their names on the command line. Without `square` the aspect is kept and the
    short side is at most `size`. `encoding="auto"` keeps pixels raw where they are expected to fit into `budget` bytes,
    and as JPEG otherwise. Files that cannot be used are set aside; more than `max_rejected` of them end the run.

    The cache is complete when this returns. Stopped or killed before that, it goes on from the parts that are whole
    when it is called again; called on a finished cache it does what is new or changed. The result depends on the
    source and the settings alone. Raises `UsageError` for a source or settings that cannot be used, `LabelError` for
    labels that cannot be found, and `CacheError` where the folder is in use, made with other settings, or cannot be
    written to.
    """
    begun = time.monotonic()
    origin = open_source(source, image, key)
    sizing, decoding = Sizing(size, square, enlarge), decoding or Decoding()
    labeller = labeller_from(label) if isinstance(label, str) else label
    splitter = splitter_from(split) if isinstance(split, str) else split
    items = origin.items()
    labels, splits = label_items(items, labeller), split_items(items, splitter)
    folder = _folder(cache)
    with ExitStack() as stack:
        stack.enter_context(disk_errors(folder))
        stack.enter_context(writing(folder))
        report = stack.enter_context(reporter(len(items), "presizing", quiet))
        sweep(folder)
        if not overwrite:
            refuse_newer(folder)
        earlier = Earlier() if overwrite else earlier_parts(folder)
        chosen = _encoding(encoding, earlier, items, origin, sizing, budget, report)
        recipe = Recipe(sizing, decoding, chosen, jpeg_quality)
        _refuse_other(folder, earlier, recipe)
        plan = Plan(origin, folder, recipe, items, labels, splits, earlier, seen(origin.where()))
        done = _make(plan, scheduler, workers, report, max_rejected)
        pipeline = to_spec({"label": labeller, "split": splitter, "presize": recipe})
        commit(folder, done, plan.small, index_footer(recipe, pipeline, labels, splits, done))
    return _summary(folder, done, chosen, begun)


@dataclass
class Plan:
    """All parts of a cache, and what each of them needs."""

    source: Source
    folder: Path
    recipe: Recipe
    items: Sequence[Item]
    labels: Labels | None
    splits: Sequence[str | None] | None
    earlier: Earlier
    memory: Seen
    found: list[Done] = field(default_factory=list)

    def __post_init__(self) -> None:
        sizing = self.recipe.sizing
        fixed = None if sizing.square is None else 3 * sizing.size**2
        self.small = small_fields(None if self.labels is None else self.labels.type, self.splits is not None)
        vocab = None if self.labels is None else self.labels.vocab
        self.schema = part_schema(pixels_field(self.recipe.encoding, fixed), self.small, vocab)
        pixels = self.recipe.pixels()
        self.said = {
            "format": FORMAT,
            "pixels": pixels,
            "fingerprint": fingerprint(pixels),
            "limits": self.recipe.limits(),
            "vocab": vocab,
        }

    def jobs(self) -> Iterator[Job]:
        """The parts that have to be made or looked into; those that stay as they are go to `found`."""
        for number, (begin, end) in enumerate(borders([item.key for item in self.items])):
            wanted = tuple(self._wanted(i) for i in range(begin, end))
            part = self.earlier.holding([one.key for one in wanted], self.recipe.limits())
            if part is not None and not self._as_wanted(part.said, part.rows, wanted):
                part = None
            if part is not None and all(one.unchanged for one in wanted):
                self.found.append(found_part(number, part))
                continue
            yield Job(
                number,
                str(self.folder),
                self.source,
                self.recipe,
                self.schema,
                wanted,
                self.said,
                kept=None if part is None else str(part.path),
            )

    def _wanted(self, i: int) -> Wanted:
        item = self.items[i]
        known = self.earlier.known(item.key, self.recipe.limits())
        remembered = self.memory.hash_of(item.key, item.stamp)
        return Wanted(
            item.key,
            item.place,
            None if item.stamp is None else item.stamp[0],
            self._targets(i),
            known,
            unchanged=known is not None and known.sha256 == remembered,
        )

    def _targets(self, i: int) -> dict[str, Any]:
        targets: dict[str, Any] = {} if self.labels is None else {"label": self.labels.values[i]}
        return targets if self.splits is None else targets | {"split": self.splits[i]}

    def _as_wanted(self, said: dict[str, Any], rows: pa.Table, wanted: Sequence[Wanted]) -> bool:
        """Whether a part has the columns, the vocabulary, the labels and the splits of today."""
        columns = {field.name: field.type for field in self.small}
        there = {field.name: field.type for field in rows.schema if field.name != "offset"}
        if columns != there or {**said, "rejected": None} != {**self.said, "rejected": None}:
            return False
        today = {one.key: one.targets for one in wanted}
        names = [name for name in ("label", "split") if name in columns]
        return all(
            today[row["key"]][name] == row[name] for row in rows.select(["key", *names]).to_pylist() for name in names
        )


def _folder(cache: str | os.PathLike[str]) -> Path:
    folder = Path(os.path.abspath(cache))
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"cache must be a folder, but {folder} is a file: give another path")
    with disk_errors(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except NotADirectoryError:
            raise UsageError(f"cache must be a folder, but a part of {folder} is a file: give another path") from None
    strangers = [entry.name for entry in folder.iterdir() if not entry.name.startswith(("part-", "_", "."))]
    if strangers and not (folder / "_index.parquet").exists():
        raise UsageError(
            f"cache must be an empty folder or a cache, but {folder} holds {strangers[0]}: give another path"
        )
    return folder


def _encoding(
    asked: Encoding | Literal["auto"],
    earlier: Earlier,
    items: Sequence[Item],
    source: Source,
    sizing: Sizing,
    budget: int,
    report: Reporter,
) -> Encoding:
    if asked != "auto":
        return asked
    if earlier.parts:
        there: Encoding = earlier.parts[0].said["pixels"]["encoding"]
        return there
    chosen, expected = choose_encoding(items, source, sizing, budget)
    report.say(f"encoding: {chosen}, {len(items)} images, about {expected / 1e9:.2f} GB (budget {budget / 1e9:.1f} GB)")
    return chosen


def _refuse_other(folder: Path, earlier: Earlier, recipe: Recipe) -> None:
    asked = recipe.pixels()
    for part in earlier.parts:
        if part.said["pixels"] != asked:
            found = "; ".join(differences(part.said["pixels"], asked))
            raise CacheError(
                f"{folder} was made with other settings ({found}): give another folder, the same settings, "
                "or overwrite it (--overwrite)"
            )


def _make(plan: Plan, scheduler: str, workers: int | None, report: Reporter, max_rejected: int | None) -> list[Done]:
    """Every part, in order."""
    stamps = {item.key: item.stamp for item in plan.items}
    threads = torch.get_num_threads()
    rejected: list[Rejected] = []
    made: list[Done] = []
    jobs = plan.jobs()
    first = next(jobs, None)
    if first is not None:
        try:
            with crew(scheduler, workers) as workforce:
                for job, done in workforce.map(make_part, _chain(first, jobs)):
                    if isinstance(done, Exception):
                        raise done
                    made.append(done)
                    rejected += done.rejected
                    plan.memory.add(done.hashes, stamps)
                    report.advance(len(job.wanted))
                    _refuse_too_many(rejected, max_rejected)
        finally:
            torch.set_num_threads(threads)  # a worker among our threads has set it to one
    made += plan.found
    return sorted(made, key=lambda done: done.number)


def _chain(first: Job, rest: Iterator[Job]) -> Iterator[Job]:
    yield first
    yield from rest


def _refuse_too_many(rejected: Sequence[Rejected], most: int | None) -> None:
    if most is not None and len(rejected) > most:
        first = rejected[0]
        raise CacheError(
            f"{len(rejected)} files were rejected, more than max_rejected={most}; the first: {first.key} "
            f"{first.reason}. Mend or remove them, or allow more; the same command goes on from here"
        )


def _summary(folder: Path, done: Sequence[Done], encoding: Encoding, begun: float) -> Summary:
    rejected = [entry for part in done for entry in part.rejected]
    return Summary(
        folder,
        rows=sum(part.rows.num_rows for part in done),
        rejected=rejected,
        encoding=encoding,
        decoded=sum(part.decoded for part in done),
        copied=sum(part.copied for part in done),
        seconds=time.monotonic() - begun,
    )
