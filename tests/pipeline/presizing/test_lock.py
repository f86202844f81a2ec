"""Who may write a cache: one at a time, and those that wait know for whom, and when nobody is left to wait for."""

import json
import os
import subprocess
import sys
import threading

import pytest

from onewarp.pipeline.presizing.lock import write_lock
from onewarp.pipeline.presizing.presizer import presize

FOREIGN = {"host": "elsewhere", "process": 7, "machine": "another", "since": 0.0}


def enter(folder, said, silence=3600.0):
    """A thread that wants the lock, and an event that tells that it has it."""
    entered = threading.Event()

    def run():
        with write_lock(folder, said.append, silence):
            entered.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, entered


def say(folder, **holder):
    """Write a holder into the lock file as another machine does, of whose lock this one knows nothing."""
    (folder / ".lock").write_text(json.dumps({**FOREIGN, **holder}))


def wait_for(condition):
    while not condition():
        threading.Event().wait(0.01)


def test_a_second_writer_waits_says_for_whom_and_goes_on_where_the_first_was_killed(pictures, tmp_path, capfd):
    (tmp_path / "C").mkdir()
    holder = f"""
import sys, time
from pathlib import Path
from onewarp.pipeline.presizing.lock import write_lock
with write_lock(Path({str(tmp_path / "C")!r}), print):
    print("held", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        done = []
        second = threading.Thread(target=lambda: done.append(presize(pictures, tmp_path / "C", 16, quiet=False)))
        second.start()
        said = ""
        while "waiting for" not in said:
            said += capfd.readouterr().err
        assert f"waiting for process {first.pid} on {os.uname().nodename}, which has been writing the cache" in said
        assert not done
        first.kill()
        second.join()
    assert done[0].rows == 12
    assert not (tmp_path / "C" / ".lock").exists()


def test_the_lock_of_another_machine_holds_as_long_as_there_are_signs_of_it(tmp_path):
    said = []
    say(tmp_path, count=0)
    thread, entered = enter(tmp_path, said)
    wait_for(lambda: said)
    assert said[0].startswith("waiting for process 7 on elsewhere, which has been writing the cache for")
    for count in range(1, 20):
        say(tmp_path, count=count)
        assert not entered.wait(0.05)
    (tmp_path / ".lock").unlink()  # it is done
    assert entered.wait()
    thread.join()
    assert len(said) == 1
    assert not (tmp_path / ".lock").exists()


def test_the_lock_of_another_machine_without_a_sign_is_taken_over(tmp_path):
    said = []
    say(tmp_path, count=3)
    thread, entered = enter(tmp_path, said, silence=0.0)
    assert entered.wait()
    thread.join()
    assert said[-1] == "there has been no sign of process 7 on elsewhere for 0 s: going on from what it left"


def test_a_lock_that_was_taken_over_is_not_released_by_the_one_that_lost_it(tmp_path):
    with write_lock(tmp_path, print):
        say(tmp_path)
    assert (tmp_path / ".lock").exists()


@pytest.mark.parametrize("left", ["", "host 17", "[]", '{"host": 1}', "\0" * 512])
def test_what_a_killed_writer_left_in_the_file_is_no_hindrance(tmp_path, left):
    (tmp_path / ".lock").write_text(left)
    with write_lock(tmp_path, pytest.fail):
        assert json.loads((tmp_path / ".lock").read_text())["process"] == os.getpid()
    assert not (tmp_path / ".lock").exists()


def test_without_locks_of_the_system_the_signs_alone_tell(tmp_path, monkeypatch):
    """As on a file system without them, or where there is no fcntl."""
    monkeypatch.setattr("onewarp.pipeline.presizing.lock.fcntl", None)
    order = []
    with write_lock(tmp_path, print):
        thread, entered = enter(tmp_path, order)
        wait_for(lambda: order)
        assert not entered.is_set()
    assert entered.wait()
    thread.join()
    assert f"waiting for process {os.getpid()}" in order[0]
