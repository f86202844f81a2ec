"""Which files share a part, and which parts of an earlier run are used again.

Where a part ends is decided by the hashes of the keys themselves (content-defined chunking, as in LBFS, Muthitacharoen
et al. 2001): a file that comes or goes moves the borders next to it and no others. So the finished cache is a function
of its source and settings alone, however many runs it took and whatever came between them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...transforms.draw import hash_key
from ..cache.recipe import FORMAT, Recipe, fingerprint
from ..cache.schema import part_schema, pixels_field, small_fields
from ..composition.spec import to_spec
from .catalogue import Catalogue
from .existing_parts import ExistingParts
from .file_hashes import HashMemo
from .part_task import PartEntry, PartResult, PartTask, result_of_part
from .target_values import read_targets

_LEAST, _MOST, _MASK = 64, 256, 63  # images in a part: 64 at least, 127 on average, 256 at most


def borders(keys: Sequence[str]) -> list[tuple[int, int]]:
    """The ranges of sorted keys that share a part, each as (first, end).

    >>> parts = borders([f"{i:05d}.jpg" for i in range(1000)])
    >>> parts[0][0], parts[-1][1], max(end - begin for begin, end in parts) <= 256
    (0, 1000, True)
    """
    ranges, begin = [], 0
    for i, key in enumerate(keys):
        count = i + 1 - begin
        if count == _MOST or (count >= _LEAST and hash_key(key) & _MASK == 0):
            ranges.append((begin, i + 1))
            begin = i + 1
    return ranges + [(begin, len(keys))] * (begin < len(keys))


@dataclass
class PartPlan:
    """All parts of a cache, and what each of them needs; `SpecError` for a pipeline that cannot be written to JSON.

    `footer` is what each part says of itself, `cache_footer` what the cache says as a whole before it has rows.
    `reusable` are, after `tasks`, the results of the parts that stay as they are.
    """

    catalogue: Catalogue
    folder: Path
    recipe: Recipe
    existing: ExistingParts
    hashes: HashMemo
    reusable: list[PartResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        sizing = self.recipe.sizing
        fixed = None if sizing.square is None else 3 * sizing.size**2
        targets = self.catalogue.targets
        self.small = small_fields(self.catalogue.fields)
        self.schema = part_schema(pixels_field(self.recipe.encoding, fixed), self.small, targets)
        pixels = self.recipe.pixels()
        self.footer = {
            "format": FORMAT,
            "pixels": pixels,
            "fingerprint": fingerprint(pixels),
            "limits": self.recipe.limits(),
            "targets": targets,
        }
        pipeline = to_spec({**self.catalogue.pipeline, "presize": replace(self.recipe, memory=None, workers=None)})
        self.cache_footer = {
            **self.footer,
            "pipeline": pipeline,
            "pipeline_fingerprint": fingerprint(pipeline),
            "vocab": self.catalogue.vocab,
            "set_aside": fingerprint([[entry.key, entry.reason] for entry in self.catalogue.set_aside]),
        }

    def tasks(self) -> Iterator[PartTask]:
        """A task for each part that must be made or inspected; the other parts go to `reusable`."""
        self.reusable = []
        for number, (begin, end) in enumerate(borders([item.key for item in self.catalogue.items])):
            entries = tuple(self._entry(i) for i in range(begin, end))
            part = self.existing.find_part([entry.key for entry in entries], self.recipe.limits())
            if part is not None and not self._matches(part.footer, part.rows, entries):
                part = None
            up_to_date = not self.catalogue.spatial_blocks and all(_is_up_to_date(entry) for entry in entries)
            if part is not None and up_to_date:
                self.reusable.append(result_of_part(number, part))
                continue
            yield PartTask(
                number,
                str(self.folder),
                self.catalogue.source,
                self.recipe,
                self.schema,
                entries,
                self.footer,
                self.catalogue.spatial_blocks,
                existing=None if part is None else str(part.path),
            )

    def _entry(self, i: int) -> PartEntry:
        item = self.catalogue.items[i]
        prior = self.existing.find(item.key, self.recipe.limits())
        remembered_hash = self.hashes.hash_of(item.key, item.stamp)
        is_file = isinstance(item.place, str)  # else it is a row of a table, whose stamp is the table's
        return PartEntry(
            item.key,
            item.place,
            item.stamp[0] if item.stamp is not None and is_file else None,
            self.catalogue.columns(i),
            self.catalogue.contents(i),
            prior,
            unchanged=prior is not None and prior.sha256 == remembered_hash,
        )

    def _matches(self, footer: dict[str, Any], rows: pa.Table, entries: Sequence[PartEntry]) -> bool:
        """Whether an existing part has the columns, vocabularies, labels and splits of this plan."""
        columns = {field.name: field.type for field in self.small}
        stored = {field.name: field.type for field in rows.schema if not field.name.endswith("offset")}
        if columns != stored or {**footer, "rejected": None} != {**self.footer, "rejected": None}:
            return False
        targets = {entry.key: entry.targets for entry in entries}
        names = [*self.catalogue.labels, *(["split"] if self.catalogue.splits is not None else [])]
        return all(
            targets[row["key"]][name] == row[name] for row in rows.select(["key", *names]).to_pylist() for name in names
        )


def _is_up_to_date(entry: PartEntry) -> bool:
    """Whether neither the file nor its targets have changed since its row or rejection was made."""
    return entry.unchanged and entry.prior is not None and entry.prior.fits(read_targets(entry.raw_targets))
