"""Two versions of the project in the same rounds: here, this one beside itself."""

import json
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from onewarp.benchmarks import versions
from onewarp.benchmarks.measuring import results
from onewarp.cli import main
from onewarp.errors import UsageError

ROOT = Path(versions.__file__).resolve().parents[1]
here = pytest.mark.skipif(
    not (ROOT / ".venv/bin/python").exists(), reason="the environment of this checkout is elsewhere"
)


@here
@pytest.mark.parametrize("suite", ["augment"])  # the others take a minute each: `onewarp bench load --against CHECKOUT`
def test_a_version_is_measured_beside_another_and_beside_itself(suite, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.new("RGB", (48, 40), (80 * number, 40, 0)).save(tmp_path / "photos" / f"{number}.png")
    monkeypatch.setattr(versions, "SECONDS", 0.0)
    words = ["bench", suite, "--against", str(ROOT), "--photos", str(tmp_path / "photos"), "--rounds", "2", "--json"]
    if suite == "augment":
        words += ["--seconds", "0"]
    run = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "out")], standalone_mode=False)
    assert run.exception is None
    found = json.loads(run.stdout)
    assert [row["name"] for row in found["rows"]] == list(versions.WORK[suite])
    for row in found["rows"]:
        assert 0 < row["ratio"][0] <= row["ratio"][1] <= row["ratio"][2]
        assert 0 < row["noise"][0] <= row["noise"][1] <= row["noise"][2]
    assert [one["asked"] for one in found["asked"]] == [versions.LEAST[suite]] * len(found["rows"])
    assert results.read("versions", folder=tmp_path / "out") == [found]


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(UsageError, match="must name a checkout with an environment"):
        versions.python_of(tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho /somewhere/else\n")
    python.chmod(0o755)
    with pytest.raises(UsageError, match="has its onewarp, but it has /somewhere/else"):
        versions.python_of(tmp_path)


def test_work_that_fails_is_said_to_have(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(click.ClickException, match="the process for 'the warp' ended with 1"):
        versions.Version(Path(sys.executable), tmp_path / "photos", "the warp", 0)
