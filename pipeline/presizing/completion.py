"""Whether a cache already is what its plan asks for; neither a lock nor a write to its folder is needed."""

import json
from collections.abc import Iterator, Sequence

from ...errors import CacheError
from ..cache.footer import read_footer
from ..cache.recipe import canonical
from ..cache.regular_files import open_regular
from ..cache.verification import list_damages
from .commit import final_name, parts_footer, rejections_bytes, rejections_footer, rows_footer, strays
from .lock import LOCK
from .part_plan import PartPlan
from .part_task import PartResult, PartTask, inspect_part
from .workers import worker_pool


def find_finished_parts(plan: PartPlan, scheduler: str, workers: int | None, verify: bool) -> list[PartResult] | None:
    """The results of all parts, in order, where the cache in the folder is the one that the plan describes; else None.

    Files whose size or time has changed are read and hashed, and so are masks, points and boxes: nothing else tells
    whether they are still the same. With `verify` the index and the list of rejections are compared with their
    checksums.
    """
    tasks = list(plan.tasks())
    if any(task.existing is None for task in tasks):
        return None
    results = list(_inspect_parts(plan, tasks, scheduler, workers)) if tasks else []
    if None in results:
        return None
    finished = sorted([*plan.reusable, *(part for part in results if part is not None)], key=lambda part: part.number)
    return finished if _is_committed(plan, finished, verify) else None


def _inspect_parts(
    plan: PartPlan, tasks: Sequence[PartTask], scheduler: str, workers: int | None
) -> Iterator[PartResult | None]:
    """The result of each task whose existing part is still right; None, and the end, at the first that is not."""
    stamps = {item.key: item.stamp for item in plan.catalogue.items}
    rest = iter(tasks)
    with worker_pool(scheduler, workers) as pool:
        for _, result in pool.map(inspect_part, lambda: next(rest, None)):
            if result is None or isinstance(result, Exception):
                yield None
                return
            plan.hashes.add(result.hashes, stamps)
            yield result


def _is_committed(plan: PartPlan, results: Sequence[PartResult], verify: bool) -> bool:
    """Whether the cache's footer is the one that would be written now, and the files that it names have their sizes.

    With `verify` also whether they have their checksums, and whether no stray files lie beside them.
    """
    folder = plan.folder
    try:
        footer = read_footer(folder)
        set_aside = plan.catalogue.set_aside
        parts = parts_footer(folder, [final_name(part) for part in results])
        expected = plan.cache_footer | rows_footer(results, set_aside) | parts
        expected["rejections"] = rejections_footer(rejections_bytes(results, set_aside))
        if not all(footer.get(name) == value for name, value in json.loads(canonical(expected)).items()):
            return False
        for file in (footer["index"], footer["rejections"]):
            with open_regular(folder / file["name"], file["bytes"]):
                pass
        # Leftovers of a run that was killed, or files of one that goes on now.
        leftovers = (folder / LOCK).exists() or strays(folder, footer)
        return not verify or not (leftovers or any(list_damages(folder, footer)))
    except (CacheError, FileNotFoundError):
        return False
