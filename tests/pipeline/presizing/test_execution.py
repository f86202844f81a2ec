"""Which task comes next, which is tried again, and when a run gives up."""

from dataclasses import replace
from types import SimpleNamespace

import pyarrow as pa
import pytest
from distributed import KilledWorker

from onewarp.errors import CacheError
from onewarp.pipeline.cache.parts import Rejection
from onewarp.pipeline.cache.recipe import Recipe
from onewarp.pipeline.dataset.sources import FolderSource
from onewarp.pipeline.presizing.execution import TaskQueue, refuse_too_many
from onewarp.pipeline.presizing.part_task import PartEntry, PartTask
from onewarp.pipeline.presizing.presizer import presize


def task(number):
    entries = tuple(PartEntry(f"{name}{number}.png", "", None, {}) for name in "ab")
    return PartTask(number, "C", FolderSource("."), Recipe(), pa.schema([]), entries, {})


def killed():
    return KilledWorker("make_part-1", SimpleNamespace(address="tcp://127.0.0.1:1"), 0)


def test_tasks_come_in_order_and_one_whose_worker_died_comes_before_the_others():
    tasks = TaskQueue(task(number) for number in range(3))
    assert not tasks.empty
    first = tasks.next()
    assert first == task(0)
    tasks.retry(first, killed())
    assert tasks.next() == replace(first, deaths=1)
    assert [tasks.next().number, tasks.next().number, tasks.next()] == [1, 2, None]
    tasks.retry(first, killed())  # the last one to end dies
    assert tasks.next() == replace(first, deaths=1)
    assert tasks.next() is None
    assert TaskQueue(iter(())).empty


def test_tasks_are_planned_when_they_are_asked_for():
    numbers = []
    tasks = TaskQueue(numbers.append(number) or task(number) for number in range(9))
    for _ in range(3):
        tasks.next()
    assert numbers == [0, 1, 2]


def test_a_task_whose_workers_keep_dying_ends_the_run_with_its_files_named():
    tasks, current = TaskQueue(iter([task(7)])), task(7)
    for deaths in range(1, 4):
        tasks.retry(current, killed())
        current = replace(current, deaths=deaths)
    with pytest.raises(CacheError, match=r"workers die of the files from a7\.png to b7\.png, .* give them more memory"):
        tasks.retry(current, killed())


def test_any_other_error_is_raised_as_it_is():
    error = CacheError("no space is left")
    with pytest.raises(CacheError) as caught:
        TaskQueue(iter([task(0)])).retry(task(0), error)
    assert caught.value is error


def test_more_rejected_files_than_allowed_end_the_run_with_the_first_named():
    rejected = [Rejection("a.png", "is empty"), Rejection("b.png", "is cut off")]
    for most in (None, 2, 3):
        refuse_too_many(rejected, most)
    with pytest.raises(CacheError, match=r"2 files were rejected, more than .*=1; the first: a\.png is empty\. "):
        refuse_too_many(rejected, 1)


def test_a_run_that_gives_up_decodes_no_more_than_it_must(many, tmp_path):
    """The files that are no pictures lie in the first of several parts."""
    for i in range(60):
        (many / f"-{i:02}.png").write_bytes(b"no picture")
    with pytest.raises(CacheError, match="more than max_rejected=3"):
        presize(many, tmp_path / "C", 8, workers=1, max_rejected=3)
    count = len(list((tmp_path / "C").glob("part-*")))
    assert presize(many, tmp_path / "C", 8).kept > 0
    assert 1 <= count < len(list((tmp_path / "C").glob("part-*")))
