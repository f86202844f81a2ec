"""Work on processes and on a real cluster of two, with workers that die."""

import os
import signal
import subprocess
import sys
import threading
import time

import dask
import pytest
from distributed import Client, LocalCluster

from onewarp.cli import in_options
from onewarp.errors import CacheError, ResourceError, UsageError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.commands import data_commands
from onewarp.pipeline.presizing import workers
from onewarp.pipeline.presizing.presizer import presize
from onewarp.pipeline.presizing.workers import is_worker_death, worker_pool


def test_a_file_that_kills_its_worker_is_found_and_the_job_goes_on(many, poisoned, draw, tmp_path, files_in):
    draw(many / "000-segfault.png")
    done = presize(poisoned(str(many)), tmp_path / "C", 8, encoding="raw", scheduler="processes", workers=2)
    assert [(entry.key, entry.reason) for entry in done.rejected] == [
        ("000-segfault.png", "kills the process that decodes it (signal 11)")
    ]
    (many / "000-segfault.png").unlink()
    again = presize(many, tmp_path / "C", 8)
    assert (again.decoded, again.rejected) == (0, [])
    presize(many, tmp_path / "threads", 8)
    assert files_in(tmp_path / "C") == files_in(tmp_path / "threads")


def test_a_worker_killed_in_the_middle_of_a_cluster_changes_nothing(many, tmp_path, files_in):
    presize(many, tmp_path / "expected", 8)
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "5 minutes"}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))

        def kill_when_work_has_begun() -> None:
            while not list((tmp_path / "C").glob(".attempt-*")):
                time.sleep(0.002)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill_when_work_has_begun)
        killer.start()
        done = presize(many, tmp_path / "C", 8, scheduler=cluster.scheduler_address)
        killer.join()
    assert done.rejected == []
    assert files_in(tmp_path / "C") == files_in(tmp_path / "expected")


def test_a_part_that_killed_its_process_is_looked_into_by_the_next_run(many, poisoned, draw, tmp_path):
    """Threads die with the process, and nobody is left to tell but the record of the attempts."""
    for number in (100, 101, 102):
        draw(many / f"{number}-segfault.png")
    program = f"""
from poisoned_source import Poisoned
from onewarp.pipeline.presizing import workers
from onewarp.pipeline.presizing.presizer import presize
from onewarp.pipeline.presizing.workers import is_worker_death, worker_pool
print(presize(Poisoned({str(many)!r}), {str(tmp_path / "C")!r}, 8, encoding="raw").rejected)
"""
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True) for _ in range(2)]
    assert [run.returncode for run in runs] == [-signal.SIGSEGV, 0]
    assert runs[1].stdout.count("segfault.png") == 3
    assert len(Cache.open(tmp_path / "C")) == 400


def test_killed_twice_in_one_part_gives_the_same_rows(many, poisoned, draw, tmp_path, files_in):
    """Whatever killed the process before, each file is judged by itself, on one thread as on many."""
    draw(many / "200-twice.png", size=(1200, 1600))
    program = f"""
from poisoned_source import Poisoned
from onewarp.pipeline.presizing import workers
from onewarp.pipeline.presizing.presizer import presize
from onewarp.pipeline.presizing.workers import is_worker_death, worker_pool
print(presize(Poisoned({str(many)!r}), {str(tmp_path / "C")!r}, 8, encoding="raw", workers=8, memory=1 << 20).rejected)
"""
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True) for _ in range(3)]
    assert [run.returncode for run in runs] == [-signal.SIGKILL, -signal.SIGKILL, 0], runs[-1].stderr
    assert runs[2].stdout.strip() == "[]"
    presize(many, tmp_path / "expected", 8, encoding="raw", workers=1)
    assert files_in(tmp_path / "C") == files_in(tmp_path / "expected")


def test_an_address_where_nobody_answers(many, tmp_path):
    with pytest.raises(UsageError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:1"):
        presize(many, tmp_path / "C", 8, scheduler="tcp://127.0.0.1:1")


CLUSTER = """
import time
from distributed import LocalCluster
cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", protocol="tcp")
print(cluster.scheduler_address, flush=True)
time.sleep(600)
"""


def test_a_scheduler_that_dies_is_one_line_and_the_next_run_goes_on(many, tmp_path):
    with subprocess.Popen([sys.executable, "-c", CLUSTER], stdout=subprocess.PIPE, text=True) as cluster:
        address = cluster.stdout.readline().strip()

        def kill_when_a_part_is_done() -> None:
            while not list((tmp_path / "C").glob("part-*")):
                time.sleep(0.002)
            cluster.kill()

        killer = threading.Thread(target=kill_when_a_part_is_done)
        killer.start()
        with pytest.raises(CacheError, match=f"the dask scheduler at {address} is gone") as caught:
            presize(many, tmp_path / "C", 8, scheduler=address)
        killer.join()
    assert "\n" not in str(caught.value)
    assert presize(many, tmp_path / "C", 8).kept > 0


KILLED_AT_START = """
import os, signal, sys
if "--multiprocessing-fork" in sys.orig_argv:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_that_is_killed_while_it_starts_is_one_line(tmp_path, monkeypatch):
    """As by a system without memory, or by itself, where a script does not guard what it starts."""
    (tmp_path / "sitecustomize.py").write_text(KILLED_AT_START)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ResourceError, match="a worker process ended while it started") as caught:
        worker_pool("processes", 1).__enter__()
    assert "\n" not in str(caught.value)
    message = in_options(str(caught.value), data_commands.presize)
    assert "give --workers 1, or --scheduler threads; the same command goes on from here" in message


def test_workers_that_die_and_do_not_start_again_are_not_waited_for(tmp_path, monkeypatch):
    """The system kills the one that works, and then each one that is to take its place."""
    condition = f"if os.path.exists({str(tmp_path / 'crowded')!r}) and"
    (tmp_path / "sitecustomize.py").write_text(KILLED_AT_START.replace("if", condition, 1))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(workers, "_RESTART_SECONDS", 1.0)
    with worker_pool("processes", 1) as pool:
        (tmp_path / "crowded").touch()
        jobs = iter([signal.SIGKILL, signal.SIGKILL, signal.SIGKILL])
        results = pool.map(signal.raise_signal, lambda: next(jobs, None))
        job, error = next(results)
        assert (job, is_worker_death(error)) == (signal.SIGKILL, True)
        with pytest.raises(ResourceError, match="all worker processes have ended, and none starts again"):
            list(results)


def test_no_worker_gets_ctrl_c():
    program = """
import signal
from onewarp.pipeline.presizing.workers import is_worker_death, worker_pool

def blocked(number):
    words = dict(line.split(maxsplit=1) for line in open("/proc/self/status") if len(line.split()) == 2)
    return int(words["SigBlk:"], 16) >> signal.SIGINT - 1 & 1

if __name__ == "__main__":
    jobs = iter(range(6))
    with worker_pool("processes", 2) as workers:
        print([result for _, result in workers.map(blocked, lambda: next(jobs, None))])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str([1] * 6)


class Interrupting:
    """Gets Ctrl-C while it is finalized, where Python ignores whatever is raised."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.fixture
def ignored(monkeypatch):
    """The exceptions that Python has ignored."""
    errors = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: errors.append(unraisable.exc_type))
    return errors


def test_ctrl_c_within_a_finalizer_is_ignored_by_python(ignored):
    """Else the tests below show nothing."""
    Interrupting()
    assert ignored == [KeyboardInterrupt]


def test_ctrl_c_ends_the_work_wherever_it_comes(ignored):
    done = []

    def jobs():
        if len(done) == 2:
            Interrupting()
        return len(done) if len(done) < 50 else None

    with pytest.raises(KeyboardInterrupt), worker_pool("threads", 1) as pool:
        done.extend(result for _, result in pool.map(abs, jobs))
    assert len(done) < 10
    assert ignored == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_workers_start_ends_the_work_before_it_begins(ignored, monkeypatch):
    imported = workers._import_distributed

    def interrupted():
        Interrupting()
        return imported()

    monkeypatch.setattr(workers, "_import_distributed", interrupted)
    with pytest.raises(KeyboardInterrupt), worker_pool("threads", 1):
        pytest.fail("the work has begun")
    assert ignored == []


def test_ctrl_c_while_workers_end_is_raised_when_they_have():
    with pytest.raises(KeyboardInterrupt), worker_pool("threads", 1):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_is_not_held():
    """As where workers do not end."""
    held = []

    def interrupt_twice():
        signal.raise_signal(signal.SIGINT)
        held.append("the first")
        signal.raise_signal(signal.SIGINT)
        held.append("the second")

    with pytest.raises(KeyboardInterrupt), worker_pool("threads", 1):
        interrupt_twice()
    assert held == ["the first"]


def test_a_program_that_handles_ctrl_c_itself_goes_on_doing_so():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with worker_pool("threads", 1) as pool:
            signal.raise_signal(signal.SIGINT)
            jobs = iter([-3])
            assert [result for _, result in pool.map(abs, lambda: next(jobs, None))] == [3]
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


def test_ctrl_c_reaches_the_one_who_started_the_workers_alone(many, tmp_path):
    """As a terminal sends it: to all processes of the group."""
    program = f"""
import click
from onewarp.cli import main
main(["presize", {str(many)!r}, {str(tmp_path / "C")!r}, "--size", "8", "--scheduler", "processes", "--workers", "1"])
"""
    run = subprocess.Popen([sys.executable, "-c", program], start_new_session=True, stderr=subprocess.PIPE, text=True)
    while run.poll() is None and not list((tmp_path / "C").glob(".attempt-*")):
        time.sleep(0.002)
    os.killpg(run.pid, signal.SIGINT)
    said = [line for line in run.communicate()[1].splitlines() if line]  # one is empty: it ends the terminal's ^C
    assert said[1:] == ["onewarp: stopped; the same command goes on from here"]
    assert run.returncode == 130
    assert presize(many, tmp_path / "C", 8).rows == 400
