"""Whether a cache is already what is asked for, found out without a lock and without writing to its folder."""

from collections.abc import Iterator, Sequence

from ...errors import CacheError
from .crew import crew
from .footer import read_footer
from .plan import Plan
from .work import Done, Job, look_into


def finished_parts(plan: Plan, scheduler: str, workers: int | None) -> list[Done] | None:
    """Every part of the plan, in order, where each is there as it is wanted and the cache says so; else None.

    Files whose size or time have changed are
    read and hashed, as are masks, points and boxes: nothing else tells whether they are still the same.
    """
    jobs = list(plan.jobs())
    if any(job.kept is None for job in jobs):
        return None
    looked = list(_looked_into(plan, jobs, scheduler, workers)) if jobs else []
    if None in looked:
        return None
    done = sorted([*plan.found, *(part for part in looked if part is not None)], key=lambda part: part.number)
    return done if _is_committed(plan, done) else None


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


def _is_committed(plan: Plan, done: Sequence[Done]) -> bool:
    try:
        said = read_footer(plan.folder)
    except CacheError:
        return False
    names = [part.name for part in done]
    return said["parts"] == names and all(said.get(name) == value for name, value in plan.about.items())
