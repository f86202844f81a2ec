"""Some hostile requests at a running server, and how answers are judged."""

import subprocess
import sys
from pathlib import Path

import pytest

from onewarp.benchmarks import hostile, readme
from onewarp.benchmarks.faults.hostile_requests import KINDS
from onewarp.benchmarks.measuring import results


def test_some_hostile_requests_do_a_server_no_harm(tmp_path):
    """Ten thousand are sent by the same command without `--count`."""
    program = [sys.executable, "-m", "onewarp.benchmarks.hostile", "--count=140", "--seed=7", f"--out={tmp_path}"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = results.read("hostile", folder=tmp_path)
    assert [row["name"] for row in found["rows"]] == [*KINDS]
    assert {row["cases"] for row in found["rows"]} == {140 // len(KINDS)}
    assert sum(row["outcomes"]["whole"] for row in found["rows"]) > 0


@pytest.mark.parametrize(
    ("data", "ended", "state"),
    [
        (b"\0\0grpc-status\x010", True, "whole"),
        (b"\0\0grpc-status\x0213 rows must be below 12", True, "refused"),
        (b"", True, "refused"),
        (b"\0\0", False, "hang"),
        (b"/srv/caches/pets is gone", True, "wrong"),
        (b'Traceback (most recent call last):%0A  File "/usr/lib/x.py", line 3', True, "traceback"),
        (b'Traceback (most recent call last):%0A  File "pyarrow/_flight.pyx", line 3', True, "refused"),
        (b"the server failed, and its log says why", True, "traceback"),
    ],
)
def test_answers_are_judged(data, ended, state):
    assert hostile.judge(data, ended, "/srv/caches").state == state


def test_the_page_of_measurements_has_a_place_for_it():
    assert "<!-- hostile: begin -->" in (Path(readme.__file__).parent / "README.md").read_text(encoding="utf-8")
