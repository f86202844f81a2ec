import os
import sys

import pytest

from onewarp.benchmarks.resuming import processes

RANKED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")


def test_one_process_is_of_no_group(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    (one,) = processes.group(1)
    assert not set(RANKED) & one.keys()
    assert one["OMP_NUM_THREADS"] == "1"


def test_processes_of_a_group_differ_by_their_ranks_alone():
    first, second, third = processes.group(3)
    assert [one["RANK"] for one in (first, second, third)] == [one["LOCAL_RANK"] for one in (first, second, third)]
    assert [one["RANK"] for one in (first, second, third)] == ["0", "1", "2"]
    assert first["WORLD_SIZE"] == "3"
    ranks = {"RANK": "1", "LOCAL_RANK": "1"}
    assert first | ranks == second
    assert 0 < int(first["MASTER_PORT"]) < 65536


def test_a_launcher_says_more_where_there_are_several():
    (one,) = processes.launch_environments(1)
    assert one["ACCELERATE_USE_CPU"] == "true"
    assert "TORCHELASTIC_RUN_ID" not in one
    assert [two["LOCAL_WORLD_SIZE"] for two in processes.launch_environments(2)] == ["2", "2"]


def test_processes_say_what_they_say_into_files_of_their_own(tmp_path):
    environments = [{**os.environ, "RANK": str(rank)} for rank in range(2)]
    program = "import os, sys; print(os.environ['RANK'], file=sys.stderr); sys.exit(3 * int(os.environ['RANK']))"
    started = processes.start([sys.executable, "-S", "-c", program], environments, tmp_path, "run")
    assert processes.wait(started, 60) == [0, 3]
    assert [(tmp_path / f"run-{rank}.out").read_text() for rank in range(2)] == ["0\n", "1\n"]


def test_processes_that_hang_are_ended(tmp_path):
    program = [sys.executable, "-S", "-c", "import time; time.sleep(3600)"]
    started = processes.start(program, [dict(os.environ)] * 2, tmp_path, "run")
    with pytest.raises(AssertionError, match="all ranks must end, but hang after 0 s"):
        processes.wait(started, 0.1)
    assert [process.returncode for process in started] == [-9, -9]
