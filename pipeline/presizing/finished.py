"""Whether a cache is already what is asked for, found out without a lock and without writing to its folder."""

import json
from collections.abc import Iterator, Sequence

from ...errors import CacheError
from ..cache.footer import read_footer
from ..cache.recipe import canonical
from ..cache.regular_files import open_regular
from ..cache.verification import list_damages
from .commit import named, parts_footer, rejections_bytes, rejections_footer, rows_footer, strays
from .lock import LOCK
from .part_plan import Plan
from .part_task import Done, Job, look_into
from .workers import crew


def finished_parts(plan: Plan, scheduler: str, workers: int | None, whole: bool) -> list[Done] | None:
    """Every part of the plan, in order, where each is there as it is wanted and the cache says so; else None.

    Files whose size or time have changed are read and hashed, as are masks, points and boxes: nothing else tells
    whether they are still the same. `whole`: the index and the list of rejected files are held against their checksums.
    """
    jobs = list(plan.jobs())
    if any(job.kept is None for job in jobs):
        return None
    looked = list(_looked_into(plan, jobs, scheduler, workers)) if jobs else []
    if None in looked:
        return None
    done = sorted([*plan.found, *(part for part in looked if part is not None)], key=lambda part: part.number)
    return done if _is_committed(plan, done, whole) else None


def _looked_into(plan: Plan, jobs: Sequence[Job], scheduler: str, workers: int | None) -> Iterator[Done | None]:
    """What each job's part holds, or None for the first that does not hold any more."""
    stamps = {item.key: item.stamp for item in plan.catalogue.items}
    left = iter(jobs)
    with crew(scheduler, workers) as workforce:
        for _, done in workforce.map(look_into, lambda: next(left, None)):
            if done is None or isinstance(done, Exception):
                yield None
                return
            plan.memory.add(done.hashes, stamps)
            yield done


def _is_committed(plan: Plan, done: Sequence[Done], whole: bool) -> bool:
    """Whether the footer says all that it is to say, and the files that it names have their sizes.

    `whole`: and their checksums, and no other files of a cache lie beside them.
    """
    folder = plan.folder
    try:
        said = read_footer(folder)
        set_aside = plan.catalogue.set_aside
        expected = plan.about | rows_footer(done, set_aside) | parts_footer(folder, [named(part) for part in done])
        expected["rejections"] = rejections_footer(rejections_bytes(done, set_aside))
        if not all(said.get(name) == value for name, value in json.loads(canonical(expected)).items()):
            return False
        for about in (said["index"], said["rejections"]):
            with open_regular(folder / about["name"], about["bytes"]):
                pass
        left = (folder / LOCK).exists() or strays(folder, said)  # by a run that was killed, or of one that goes on
        return not whole or not (left or any(list_damages(folder, said)))
    except (CacheError, FileNotFoundError):
        return False
