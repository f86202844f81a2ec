"""The command that resumes every trainer, on two of them; each has a test of its own in `resuming/`."""

import pytest
from click.testing import CliRunner

from onewarp.benchmarks.resuming.__main__ import main, together

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own


def test_trainers_are_resumed_in_processes_of_their_own(tmp_path):
    """The shortest form: alone, two resumptions of one run of two trainers."""
    short = ["--processes", "1", "--most", "2", "--idioms", "1", "--no-ranks"]
    done = CliRunner().invoke(main, [*short, "--of", "plain", "--of", "learner", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if line.endswith(", alone | 2 | 2 | 2 | 2 | 2 |")]
    assert len(lines) == 2, done.stdout
    assert len(list(tmp_path.glob("resuming--*.json"))) == 1


def test_what_is_wrong_in_one_process_is_wrong():
    right, wrong = {"name": "a", "status": "measured"}, {"name": "a", "status": "wrong", "reason": "weights"}
    assert together([[right, right], [right, wrong]]) == [right, wrong]
    dead = {"name": "a", "status": "failed", "reason": "it died"}
    assert together([[right, right], [dead]]) == [dead]
