"""Which files share a part, and what of an earlier run can be kept.

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
from .existing_parts import Earlier
from .file_hashes import Seen
from .part_task import Done, Job, Wanted, found_part
from .target_values import read_given

_LEAST, _MOST, _MASK = 64, 256, 63  # images in a part: 64 at least, 127 on average, 256 at most


def borders(keys: Sequence[str]) -> list[tuple[int, int]]:
    """The parts of sorted keys, as (first, behind the last).

    >>> parts = borders([f"{i:05d}.jpg" for i in range(1000)])
    >>> parts[0][0], parts[-1][1], max(end - begin for begin, end in parts) <= 256
    (0, 1000, True)
    """
    found, begin = [], 0
    for i, key in enumerate(keys):
        count = i + 1 - begin
        if count == _MOST or (count >= _LEAST and hash_key(key) & _MASK == 0):
            found.append((begin, i + 1))
            begin = i + 1
    return found + [(begin, len(keys))] * (begin < len(keys))


@dataclass
class Plan:
    """All parts of a cache, and what each of them needs; `SpecError` for a pipeline that cannot be written down.

    `said` is what each part says of itself, `about` what the cache says as a whole before it has rows.
    """

    catalogue: Catalogue
    folder: Path
    recipe: Recipe
    earlier: Earlier
    memory: Seen
    found: list[Done] = field(default_factory=list)

    def __post_init__(self) -> None:
        sizing = self.recipe.sizing
        fixed = None if sizing.square is None else 3 * sizing.size**2
        targets = self.catalogue.targets
        self.small = small_fields(self.catalogue.fields)
        self.schema = part_schema(pixels_field(self.recipe.encoding, fixed), self.small, targets)
        pixels = self.recipe.pixels()
        self.said = {
            "format": FORMAT,
            "pixels": pixels,
            "fingerprint": fingerprint(pixels),
            "limits": self.recipe.limits(),
            "targets": targets,
        }
        pipeline = to_spec({**self.catalogue.pipeline, "presize": replace(self.recipe, memory=None, workers=None)})
        self.about = {
            **self.said,
            "pipeline": pipeline,
            "pipeline_fingerprint": fingerprint(pipeline),
            "vocab": self.catalogue.vocab,
            "set_aside": fingerprint([[entry.key, entry.reason] for entry in self.catalogue.set_aside]),
        }

    def jobs(self) -> Iterator[Job]:
        """The parts that have to be made or looked into; those that stay as they are go to `found`."""
        self.found = []
        for number, (begin, end) in enumerate(borders([item.key for item in self.catalogue.items])):
            wanted = tuple(self._wanted(i) for i in range(begin, end))
            part = self.earlier.holding([one.key for one in wanted], self.recipe.limits())
            if part is not None and not self._as_wanted(part.said, part.rows, wanted):
                part = None
            settled = not self.catalogue.places and all(_settled(one) for one in wanted)
            if part is not None and settled:
                self.found.append(found_part(number, part))
                continue
            yield Job(
                number,
                str(self.folder),
                self.catalogue.source,
                self.recipe,
                self.schema,
                wanted,
                self.said,
                self.catalogue.places,
                kept=None if part is None else str(part.path),
            )

    def _wanted(self, i: int) -> Wanted:
        item = self.catalogue.items[i]
        known = self.earlier.known(item.key, self.recipe.limits())
        remembered = self.memory.hash_of(item.key, item.stamp)
        whole = isinstance(item.place, str)  # a row of a table has the stamp of its table
        return Wanted(
            item.key,
            item.place,
            item.stamp[0] if item.stamp is not None and whole else None,
            self.catalogue.told(i),
            self.catalogue.contents(i),
            known,
            unchanged=known is not None and known.sha256 == remembered,
        )

    def _as_wanted(self, said: dict[str, Any], rows: pa.Table, wanted: Sequence[Wanted]) -> bool:
        """Whether a part has the columns, the vocabularies, the labels and the splits of today."""
        columns = {field.name: field.type for field in self.small}
        there = {field.name: field.type for field in rows.schema if not field.name.endswith("offset")}
        if columns != there or {**said, "rejected": None} != {**self.said, "rejected": None}:
            return False
        today = {one.key: one.targets for one in wanted}
        names = [*self.catalogue.labels, *(["split"] if self.catalogue.splits is not None else [])]
        return all(
            today[row["key"]][name] == row[name] for row in rows.select(["key", *names]).to_pylist() for name in names
        )


def _settled(one: Wanted) -> bool:
    """Whether a file and what belongs to it are those that its row, or its refusal, was made of."""
    return one.unchanged and one.known is not None and one.known.holds(read_given(one.given))
