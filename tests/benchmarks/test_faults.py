"""All kinds of faults, a few of each, tried by the command; and the place of their table."""

import subprocess
import sys
from pathlib import Path

import pytest

from onewarp.benchmarks import readme
from onewarp.benchmarks.measuring import results


@pytest.mark.usefixtures("linux")
def test_a_few_of_all_faults_do_a_cache_and_models_no_harm(tmp_path):
    """All of them are tried by the same command without `--short`."""
    subjects = ["--of=cache-raw", "--of=checkpoint", "--of=export"]
    program = [sys.executable, "-m", "onewarp.benchmarks.faults", "--short", "--most=1", *subjects, f"--out={tmp_path}"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = results.read("faults", folder=tmp_path)
    assert {row["setting"] for row in found["rows"]} == {"cache-raw", "checkpoint", "export"}
    assert sum(row["cases"] for row in found["rows"]) == 3 * 8


def test_the_page_of_measurements_has_a_place_for_it():
    assert "<!-- faults: begin -->" in (Path(readme.__file__).parent / "README.md").read_text(encoding="utf-8")
