import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "on_gpu.sh"


def run(tmp_path, *arguments, python):
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments, "--out", str(tmp_path)],
        env={"PATH": "/usr/bin:/bin", "PYTHON": python, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_but_the_figures_runs_without_a_gpu(tmp_path):
    done = run(tmp_path, "--dry", "--tune", python=sys.executable)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "dry.json").read_text())
    assert all(check["holds"] for check in report["checks"])
    assert any(check["name"].startswith("gpu, packed, reflection") for check in report["checks"])
    assert any(check["name"] == "parameters drawn on the device" for check in report["checks"])
    assert "onewarp: whole call, graph" in report["contenders"]
    assert "grid_sample, composed" in report["contenders"]
    assert "figures" not in report
    assert "microseconds" not in json.dumps(report)
    pytest.importorskip("timm", reason="timm comes with the train extra")
    waited = json.loads((tmp_path / "waiting-dry.json").read_text())
    assert (waited["model"], waited["rows"]) == ("small_resnet", 24)
    assert "waiting" not in waited
