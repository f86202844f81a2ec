"""How a child ends, and that its parent knows it."""

import os
import signal
import sys
import time
from functools import partial

import pytest

from onewarp.benchmarks.faults import children

pytestmark = [
    pytest.mark.usefixtures("linux"),
    pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning"),
]


def say(out: str, err: str = "") -> None:
    print(out, end="")
    print(err, end="", file=sys.stderr)


def test_what_a_child_prints_and_that_it_ends_well():
    assert children.run(partial(say, "a word", "another")) == children.End(0, "a word", "another")


@pytest.mark.parametrize(
    ("work", "status", "words"),
    [
        (partial(sys.exit, 3), 3, ""),
        (partial(sys.exit, "no"), 1, ""),
        (sys.exit, 0, ""),
        (partial(int, "x"), 70, "ValueError: invalid literal"),
    ],
)
def test_its_status_is_that_of_a_program(work, status, words):
    end = children.run(work)
    assert end.status == status
    assert words in end.err
    assert not end.was_killed


def test_who_hangs_is_ended_at_the_limit_and_has_no_status():
    assert children.run(partial(time.sleep, 3600), limit=0.2).status is None


def test_who_is_killed_has_the_number_of_the_signal():
    end = children.run(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert end.status == children.KILLED == -9
    assert end.was_killed


def test_a_child_has_memory_of_its_own():
    words = []
    assert children.run(partial(words.append, "one")).status == 0
    assert words == []


def import_here(folder: str, end: bool) -> None:
    sys.path.insert(0, folder)
    __import__("onewarp_module_of_a_child")
    if end:
        raise ValueError("in the child")


def test_what_a_run_imports_in_its_child_is_imported_here_afterwards(tmp_path, monkeypatch):
    name = "onewarp_module_of_a_child"
    (tmp_path / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    children.preload(partial(import_here, str(tmp_path), end=False))
    assert sys.modules.pop(name).__file__ == str(tmp_path / f"{name}.py")
    with pytest.raises(RuntimeError, match=r"must end well, but ended with 70: (.|\n)*in the child"):
        children.preload(partial(import_here, str(tmp_path), end=True))
