"""The parts of a plan, made by a crew: what was finished, what is tried again, and when it is too much."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import torch

from ...errors import CacheError
from ..cache.parts import Rejected
from .part_plan import Plan
from .part_task import Done, Job, make_part
from .progress import Reporter
from .workers import crew, died

_MOST_DEATHS = 3  # of workers, of one job


def make_parts(
    plan: Plan, scheduler: str, workers: int | None, report: Reporter, max_rejected: int | None
) -> list[Done]:
    """Every part, in order."""
    stamps = {item.key: item.stamp for item in plan.catalogue.items}
    threads = torch.get_num_threads()
    rejected: list[Rejected] = [*plan.catalogue.set_aside]
    refuse_too_many(rejected, max_rejected)
    made: list[Done] = []
    jobs = Jobs(plan.jobs())
    if not jobs.empty:
        try:
            with crew(scheduler, workers) as workforce:
                for job, done in workforce.map(make_part, jobs.next):
                    if isinstance(done, Exception):
                        jobs.again(job, done)
                        continue
                    made.append(done)
                    rejected += done.rejected
                    plan.memory.add(done.hashes, stamps)
                    report.advance(len(job.wanted))
                    refuse_too_many(rejected, max_rejected)
        finally:
            torch.set_num_threads(threads)  # a worker among our threads has set it to one
    made += plan.found
    return sorted(made, key=lambda done: done.number)


class Jobs:
    """The jobs that are left: those of a plan, and those that are tried again because their worker died."""

    def __init__(self, plan: Iterator[Job]) -> None:
        self._plan = plan
        self._waiting = list(islice(plan, 1))

    @property
    def empty(self) -> bool:
        """Whether there is none, before any was handed out."""
        return not self._waiting

    def next(self) -> Job | None:
        """The next job."""
        return self._waiting.pop() if self._waiting else next(self._plan, None)

    def again(self, job: Job, error: Exception) -> None:
        """Try a job again whose worker died; raise any other error, and that of a job that no care helps."""
        if not died(error):
            raise error
        if job.deaths == _MOST_DEATHS:
            raise CacheError(
                f"workers die of the files from {job.wanted[0].key} to {job.wanted[-1].key}, and none of these is "
                f"the cause alone: give them more memory; the same command goes on from here ({error})"
            ) from error
        self._waiting.append(replace(job, deaths=job.deaths + 1))


def refuse_too_many(rejected: Sequence[Rejected], most: int | None) -> None:
    """Raise `CacheError` for more rejected files than are allowed."""
    if most is not None and len(rejected) > most:
        first = rejected[0]
        raise CacheError(
            f"{len(rejected)} files were rejected, more than max_rejected={most}; the first: {first.key} "
            f"{first.reason}. Mend or remove them, or allow more; the same command goes on from here"
        )
