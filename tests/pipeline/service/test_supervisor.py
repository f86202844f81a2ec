"""Processes that are started together, renewed, and ended together, whoever ends."""

import os
import signal
import subprocess
import sys
from threading import Timer

import pytest

from onewarp.errors import ServiceError
from onewarp.pipeline.service import supervisor as supervising


@pytest.fixture
def play(monkeypatch, tmp_path):
    """play(script): the words of each replica run `script`, a program of Python that has them as `sys.argv`."""

    def use(script):
        file = tmp_path / "replica.py"
        file.write_text("import os, signal, sys, time\n" + script)
        popen = subprocess.Popen

        def start(words, **settings):
            return popen([sys.executable, "-S", str(file), *words[3:]], **settings)

        monkeypatch.setattr(supervising.subprocess, "Popen", start)

    return use


class Ear:
    """Hears what a supervisor says; `act` is called with the number of lines so far, and each line."""

    def __init__(self, act):
        self.lines, self._act = [], act

    def __call__(self, line):
        self.lines.append(line)
        self._act(len(self.lines), line)


def stop():
    os.kill(os.getpid(), signal.SIGTERM)


ANSWERING = """
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
signal.signal(signal.SIGINT, lambda *_: os._exit(3))
print(sys.argv[1], os.getpid(), flush=True)
while not stopped:
    time.sleep(0.01)
"""


def test_each_says_its_line_and_all_end_with_a_signal(play):
    play(ANSWERING)
    ear = Ear(lambda count, line: stop() if count == 2 else None)
    assert supervising.Supervisor([["a"], ["b"]], ear, print).run() == 0
    assert sorted(line.split()[0] for line in ear.lines) == ["a", "b"]
    for line in ear.lines:
        with pytest.raises(ProcessLookupError):
            os.kill(int(line.split()[1]), 0)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_ctrl_c_reaches_the_processes_through_the_supervisor_alone(play):
    """A terminal sends it to a whole group: a process that got it twice would not end what it has begun."""
    play(ANSWERING)

    def act(count, line):
        assert os.getpgid(int(line.split()[1])) != os.getpgid(0)
        if count == 2:
            os.kill(os.getpid(), signal.SIGINT)

    assert supervising.Supervisor([["a"], ["b"]], Ear(act), print).run() == 0


def test_one_that_is_killed_is_started_again(play, monkeypatch):
    monkeypatch.setattr(supervising, "_FIRST_PAUSE", 0.05)
    play(ANSWERING)

    def act(count, line):
        if count == 2:
            os.kill(int(line.split()[1]), signal.SIGKILL)
        if count == 3:
            stop()

    ear, warnings = Ear(act), []
    assert supervising.Supervisor([["a"], ["b"]], ear, warnings.append).run() == 0
    assert ear.lines[2].split()[0] == ear.lines[1].split()[0]
    assert len(warnings) == 1
    assert "ended with status -9" in warnings[0]


def test_one_that_ends_before_it_has_answered_ends_all(play):
    play("if sys.argv[1] == 'b': sys.exit(1)\n" + ANSWERING)
    with pytest.raises(ServiceError, match="ended before it answered"):
        supervising.Supervisor([["a"], ["b"]], lambda line: None, print).run()


def test_one_that_hangs_is_killed_after_its_grace(play, monkeypatch):
    monkeypatch.setattr(supervising, "_KILL_AFTER", 0.1)
    play("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('here', flush=True)\ntime.sleep(60)")
    status = supervising.Supervisor([["a"]], lambda line: stop(), print, grace=0.1).run()
    assert status == signal.SIGKILL


def test_a_second_signal_ends_all_at_once(play):
    play("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('here', flush=True)\ntime.sleep(60)")

    def stop_twice(line):
        stop()
        Timer(0.3, stop).start()

    assert supervising.Supervisor([["a"]], stop_twice, print, grace=600).run() == signal.SIGKILL


def test_one_that_fails_again_and_again_is_started_less_and_less_often(play, monkeypatch, tmp_path):
    monkeypatch.setattr(supervising, "_FIRST_PAUSE", 0.02)
    mark = tmp_path / "mark"
    play(f"if os.path.exists({str(mark)!r}): sys.exit(1)\nopen({str(mark)!r}, 'w')\nprint('here', flush=True)")
    warnings = []

    def warn(line):
        warnings.append(float(line.split()[-2]))
        if len(warnings) == 4:
            stop()

    supervising.Supervisor([["a"]], lambda line: None, warn).run()
    assert warnings == [0.02, 0.02, 0.04, 0.08]
