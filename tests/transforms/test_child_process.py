"""Processes of our own find what this one finds."""

import subprocess
import sys

import onewarp
from onewarp.transforms.child_process import environment


def test_a_child_imports_what_this_process_can(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("WHERE = __file__")
    monkeypatch.setattr(sys, "path", [str(tmp_path), "", *sys.path])
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("SOME_SETTING", "kept")
    code = (
        "import beside, onewarp, os; print(beside.WHERE); print(onewarp.__path__[0]); print(os.environ['SOME_SETTING'])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.stdout.splitlines() == [str(tmp_path / "beside.py"), onewarp.__path__[0], "kept"], done.stderr


def test_entries_that_name_no_folder_are_left_out(monkeypatch):
    monkeypatch.setattr(sys, "path", ["", "/some/where"])
    assert environment()["PYTHONPATH"] == "/some/where"
