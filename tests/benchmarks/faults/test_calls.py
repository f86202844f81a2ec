"""System calls of a child that its parent fails, lets go, or makes the last ones."""

import errno
import os
import platform
from functools import partial
from pathlib import Path

import pytest

from onewarp.benchmarks.faults import calls
from onewarp.benchmarks.faults.children import run
from onewarp.errors import UsageError

pytestmark = [
    pytest.mark.usefixtures("linux"),
    pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning"),
]


def make_folders(folder: Path, names: str = "abc") -> None:
    """Make folders, and print for each the error's number, or 0."""
    for name in names:
        try:
            os.mkdir(folder / name)
            print(0)
        except OSError as error:
            print(error.errno)


class Decision:
    """Notes calls, and answers the n-th with something."""

    def __init__(self, nth: int, answer: int) -> None:
        self.nth, self.answer, self.calls = nth, answer, []

    def __call__(self, call: calls.Call) -> int:
        self.calls.append(call)
        return self.answer if len(self.calls) == self.nth else calls.LET_GO


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_one_call_fails_with_the_error_and_the_others_are_carried_out(tmp_path, error):
    decide = Decision(2, error)
    end = run(partial(make_folders, tmp_path), decide=decide, folders=[tmp_path], names=["mkdir"])
    assert end.out.split() == ["0", str(error), "0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]
    assert [(call.name, call.path) for call in decide.calls] == [("mkdir", tmp_path / name) for name in "abc"]


def test_a_child_is_killed_before_a_call_is_carried_out(tmp_path):
    end = run(partial(make_folders, tmp_path), decide=Decision(2, calls.KILL), folders=[tmp_path], names=["mkdir"])
    assert end.was_killed
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_calls_elsewhere_and_of_other_names_are_let_go(tmp_path):
    (tmp_path / "other").mkdir()
    decide = Decision(1, errno.EIO)
    end = run(partial(make_folders, tmp_path / "other"), decide=decide, folders=[tmp_path / "one"], names=["mkdir"])
    assert (end.out.split(), decide.calls) == (["0"] * 3, [])
    end = run(partial(make_folders, tmp_path / "other", "xyz"), decide=decide, folders=[tmp_path], names=["rmdir"])
    assert (end.out.split(), decide.calls) == (["0"] * 3, [])


def write_and_read(folder: Path) -> None:
    os.chdir(folder)
    with open("new", "w") as file:  # a relative path
        file.write("text")
    with open(folder / "new") as file:
        file.read()


def test_which_calls_change_what_is_on_the_disk(tmp_path):
    decide = Decision(0, 0)
    assert run(partial(write_and_read, tmp_path), decide=decide, folders=[tmp_path]).status == 0
    of_file = [call for call in decide.calls if call.path == tmp_path / "new"]
    opened = [call for call in of_file if call.name == "openat"]
    assert [call.changes for call in opened] == [True, False]  # the first one makes the file
    changing = [call.name for call in of_file if call.changes]
    assert changing[:2] == ["openat", "write"]
    assert "read" in {call.name for call in of_file if not call.changes}


def test_another_machine_is_refused(monkeypatch):
    calls.refuse_elsewhere()
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(UsageError, match="must be tried on Linux on x86-64, but this is Linux aarch64"):
        calls.refuse_elsewhere()
