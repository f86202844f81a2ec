"""The parts of a plan, made by workers: which task comes next, which is tried again, and when the run gives up."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import torch

from ...errors import CacheError
from ..cache.parts import Rejection
from .part_plan import PartPlan
from .part_task import PartResult, PartTask, make_part
from .progress import Reporter
from .workers import is_worker_death, worker_pool

_MOST_DEATHS = 3  # of workers at one task


def make_parts(
    plan: PartPlan, scheduler: str, workers: int | None, report: Reporter, max_rejected: int | None
) -> list[PartResult]:
    """Make all parts of a plan; the results in the order of the parts."""
    stamps = {item.key: item.stamp for item in plan.catalogue.items}
    threads = torch.get_num_threads()
    rejected: list[Rejection] = [*plan.catalogue.set_aside]
    refuse_too_many(rejected, max_rejected)
    results: list[PartResult] = []
    tasks = TaskQueue(plan.tasks())
    if not tasks.empty:
        try:
            with worker_pool(scheduler, workers) as pool:
                for task, result in pool.map(make_part, tasks.next):
                    if isinstance(result, Exception):
                        tasks.retry(task, result)
                        continue
                    results.append(result)
                    rejected += result.rejected
                    plan.hashes.add(result.hashes, stamps)
                    report.advance(len(task.entries))
                    refuse_too_many(rejected, max_rejected)
        finally:
            torch.set_num_threads(threads)  # a worker among our threads has set it to one
    results += plan.reusable
    return sorted(results, key=lambda result: result.number)


class TaskQueue:
    """The tasks that are left: those of a plan, and those whose worker died, which are tried again."""

    def __init__(self, plan: Iterator[PartTask]) -> None:
        self._plan = plan
        self._waiting = list(islice(plan, 1))

    @property
    def empty(self) -> bool:
        """Whether the plan has no task; to be asked before the first `next`."""
        return not self._waiting

    def next(self) -> PartTask | None:
        """The next task, None where none is left."""
        return self._waiting.pop() if self._waiting else next(self._plan, None)

    def retry(self, task: PartTask, error: Exception) -> None:
        """Try a task again whose worker died.

        Raises any other error, and `CacheError` for a task whose workers keep dying.
        """
        if not is_worker_death(error):
            raise error
        if task.deaths == _MOST_DEATHS:
            raise CacheError(
                f"workers die of the files from {task.entries[0].key} to {task.entries[-1].key}, and none of these is "
                f"the cause alone: give them more memory; the same command goes on from here ({error})"
            ) from error
        self._waiting.append(replace(task, deaths=task.deaths + 1))


def refuse_too_many(rejected: Sequence[Rejection], most: int | None) -> None:
    """Raise `CacheError` for more rejected files than are allowed."""
    if most is not None and len(rejected) > most:
        first = rejected[0]
        raise CacheError(
            f"{len(rejected)} files were rejected, more than max_rejected={most}; the first: {first.key} "
            f"{first.reason}. Mend or remove them, or allow more; the same command goes on from here"
        )
