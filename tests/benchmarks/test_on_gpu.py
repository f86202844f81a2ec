"""The day a GPU is there, rehearsed without one: in Triton's interpreter, at tiny sizes, and without figures."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("triton")
from onewarp.benchmarks import on_gpu

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("warp", "alone", "grid-sample", "waiting", "tune", "dali", "cv-cuda")


def started(folder, *arguments, root=ROOT):
    return subprocess.Popen(
        ["bash", str(root / "benchmarks" / "on_gpu.sh"), "--dry", "--budget", "3600", "--out", str(folder), *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(folder, *arguments, root=ROOT):
    process = started(folder, *arguments, root=root)
    output = process.communicate()[0]
    return process.returncode, output


def report(folder):
    file = folder / "dry.json"
    return json.loads(file.read_text()) if file.exists() else {}


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory):
    """A call that is killed as soon as it has measured something: its folder, and what the JSON has then."""
    folder = tmp_path_factory.mktemp("on_gpu")
    process = started(folder, "--only", "warp")
    while process.poll() is None and not report(folder).get("groups"):
        time.sleep(0.05)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return folder, report(folder)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder with a wheel of a package that is called cvcuda, and has nothing in it."""
    folder = tmp_path_factory.mktemp("wheels")
    info = "cvcuda-0.1.dist-info"
    with zipfile.ZipFile(folder / "cvcuda-0.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("cvcuda.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: cvcuda\nVersion: 0.1\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture(scope="module")
def second(cut_off, wheels):
    """The call after it, of more parts."""
    only = [word for part in PARTS for word in ("--only", part)]
    return cut_off[0], *run(cut_off[0], *only, "--wheels", str(wheels))


def test_what_was_measured_before_a_call_is_cut_off_is_kept_and_the_next_one_goes_on(cut_off, second):
    _, before = cut_off
    folder, code, output = second
    assert code == 0, output
    after = report(folder)
    first = next(iter(before["groups"]))
    assert after["groups"][first] == before["groups"][first]  # with the time at which it was measured
    assert list(after["groups"]) == [
        "antialiased, 2",
        "plain, 2",
        "onewarp: one at a time, same kernel",
        "onewarp: one at a time, in torch",
        "grid-sample",
    ]
    assert after["checks"] == before["checks"]


def test_all_but_the_figures_runs_without_a_gpu(second):
    folder, code, output = second
    assert code == 0, output
    found = report(folder)
    assert all(check["holds"] for check in found["checks"])
    assert any(check["name"].startswith("gpu, packed, reflection") for check in found["checks"])
    assert any(check["name"] == "parameters drawn on the device" for check in found["checks"])
    names = [[figure["name"] for figure in group["figures"]] for group in found["groups"].values()]
    assert names[0][0] == "onewarp: antialiased, whole call, graph"
    assert names[-1] == ["onewarp: antialiased, whole call, graph", "grid_sample, composed"]
    assert {found["parts"][part] for part in ("checks", "tests", "warp", "alone", "grid-sample", "tune")} == {"done"}
    assert "median" not in json.dumps(found)
    assert "microseconds" not in json.dumps(found)
    assert not (folder / "dry.md").exists()
    pytest.importorskip("timm", reason="timm comes with the train extra")
    waited = json.loads((folder / "waiting-dry.json").read_text())
    assert (waited["model"], waited["rows"]) == ("small_resnet", 24)
    assert "waiting" not in waited


def test_only_what_is_asked_for_is_done_after_the_checks_and_tests(second):
    assert set(report(second[0])["parts"]) == {"checks", "tests", *PARTS}


def test_what_is_missing_is_said_and_wheels_are_taken_from_a_folder(second):
    folder, _, output = second
    assert "dali: not done: nvidia.dali is not installed\n" in output
    assert "cvcuda" in report(folder)["skipped"]["cv-cuda"]  # it was found, but cannot do anything
    assert "Not measured: cv-cuda (AttributeError" in output


def test_where_the_budget_is_used_up_what_there_is_is_kept(second):
    before = report(second[0])
    code, output = run(second[0], "--budget", "0", "--only", "kornia", "--only", "warp")
    assert code == 3
    assert "warp: done\n" in output
    assert "the budget of 0 s is used up; the next call goes on with: kornia\n" in output
    assert report(second[0]) == before


def test_a_part_ends_at_its_limit():
    assert on_gpu.run_limited([sys.executable, "-c", "import time; time.sleep(3600)"], 0.5).startswith("cut off after")
    assert on_gpu.run_limited([sys.executable, "-c", ""], 600) == "done"
    assert on_gpu.run_limited([sys.executable, "-c", "raise SystemExit(5)"], 600) == "failed with exit code 5"


@pytest.fixture
def other_tree(tmp_path):
    """A copy of the sources, to put faults in."""
    ignored = shutil.ignore_patterns(".*", "*.so", "build", "docs", "results", "__pycache__", "*.egg-info")
    return Path(shutil.copytree(ROOT, tmp_path / "tree", ignore=ignored))


def test_nothing_is_measured_where_a_test_or_a_check_fails(other_tree, tmp_path):
    tests = other_tree / "tests" / "transforms" / "warp" / "triton" / "test_warp.py"
    tests.write_text(tests.read_text() + f"\n\ndef {on_gpu.DRY_TESTS}_wrongly():\n    assert not DEVICE\n")
    code, output = run(tmp_path / "out", "--only", "warp", root=other_tree)
    assert code == 1
    assert "tests: failed with exit code 1\nnothing is measured" in output
    found = report(tmp_path / "out")
    assert (found["parts"], "groups" in found) == ({"checks": "done", "tests": "failed with exit code 1"}, False)

    kernel = other_tree / "transforms" / "warp" / "gpu_kernel.py"
    text = kernel.read_text()
    assert text.count("u + 0.5, v + 0.5, 1.0, 1.0,") == 1
    kernel.write_text(text.replace("u + 0.5, v + 0.5, 1.0, 1.0,", "u + 0.9, v + 0.5, 1.0, 1.0,"))
    code, output = run(tmp_path / "out", "--only", "warp", root=other_tree)
    assert code == 1
    assert "BAD gpu, packed, reflection, antialias=False" in output
    assert f"it is put aside as dry--{found['machine']['sources']}.json" in output
    assert report(tmp_path / "out")["parts"] == {"checks": "failed with exit code 1"}
    assert json.loads((tmp_path / "out" / f"dry--{found['machine']['sources']}.json").read_text()) == found


def test_a_folder_without_wheels_is_wrong_usage(tmp_path):
    code, output = run(tmp_path, "--wheels", str(tmp_path))
    assert code == 2
    assert f"--wheels names a folder with files *.whl, but {tmp_path} has none" in output
