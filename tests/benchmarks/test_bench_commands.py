import json

import pytest
from click.testing import CliRunner

from onewarp.benchmarks import quality
from onewarp.benchmarks.bench_commands import bench
from onewarp.cli import main


def test_every_suite_has_a_command():
    told = CliRunner().invoke(main, ["bench", "--help"])
    assert told.exit_code == 0
    assert list(bench.commands) == ["augment", "quality", "presize", "load", "serve", "train"]


def test_no_photos_are_one_line_and_wrong_usage(tmp_path):
    told = CliRunner().invoke(main, ["bench", "quality", "--photos", str(tmp_path)])
    assert told.exit_code == 2
    assert "photos must lie in a folder" in told.output


def test_quality_leaves_json_and_a_picture(tmp_path, shared, monkeypatch):
    pytest.importorskip("scipy")
    monkeypatch.setattr(quality, "SIZE", 48)
    monkeypatch.setattr(quality, "SIDES", (96,))
    pets = shared / "pets" / "images"
    done = CliRunner().invoke(
        bench, ["quality", "--photos", str(pets), "--count", "1", "--out", str(tmp_path), "--json"]
    )
    assert done.exit_code == 0, done.output
    (path,) = tmp_path.glob("quality--*--cpu.json")
    assert json.loads(done.stdout) == json.loads(path.read_text())
    assert path.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
