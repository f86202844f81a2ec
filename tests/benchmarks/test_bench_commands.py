import json

import numpy as np
import pytest
from click.testing import CliRunner

from onewarp.benchmarks import augment, quality
from onewarp.benchmarks.bench_commands import bench
from onewarp.benchmarks.measuring import rounds
from onewarp.cli import main
from onewarp.pipeline.presizing.progress import NoProgress


def test_every_suite_has_a_command():
    told = CliRunner().invoke(main, ["bench", "--help"])
    assert told.exit_code == 0
    assert list(bench.commands) == ["augment", "quality", "presize", "load", "train"]


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


def test_rounds_give_everyone_turns():
    calls = {"a": 0, "b": 0}

    def called(name):
        calls[name] += 1

    turns = rounds.in_rounds({name: lambda name=name: called(name) for name in calls}, 3, 0.0, NoProgress())
    assert {name: len(found) for name, found in turns.items()} == {"a": 3, "b": 3}
    assert calls == {"a": 4, "b": 4}  # a warm-up, and a call in each round


def test_who_fails_the_gate_is_not_timed(monkeypatch):
    rows = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    monkeypatch.setattr(augment, "PEERS", {})
    monkeypatch.setattr(augment.alone, "in_torch", lambda images, plan: augment.alone.in_kernel(images, plan) + 1)
    found = {row["name"]: row for row in augment.compare(rows, 1, 1, 0.0, NoProgress())}
    assert found[augment.TORCH]["status"] == "wrong"
    assert "turns" not in found[augment.TORCH]
    assert found[augment.FUSED]["turns"]["cpu"][0] > 0


def test_processes_are_one_measurement():
    def part(*speeds):
        return [{"name": "a", "turns": {"clock": list(speeds), "cpu": list(speeds)}}, {"name": "b", "status": "wrong"}]

    a, b = augment.together([part(1.0, 5.0), part(2.0)])
    assert a == {"name": "a", "images_per_second": {"clock": [1.5, 2.0, 3.5], "cpu": [1.5, 2.0, 3.5]}, "rounds": 3}
    assert b == {"name": "b", "status": "wrong"}
    a, _ = augment.together([part(1.0), [{"name": "a", "status": "failed"}, {"name": "b", "status": "wrong"}]])
    assert a == {"name": "a", "status": "failed"}
