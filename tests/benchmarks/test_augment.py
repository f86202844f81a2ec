"""The comparison of augmenting: who is timed, how turns become figures, and what was asked of them."""

import os

import numpy as np
import pytest
import torch

from onewarp.benchmarks import augment
from onewarp.benchmarks.correctness import EXACT
from onewarp.benchmarks.measuring.timing import Turn
from onewarp.pipeline.presizing.progress import NoProgress
from onewarp.transforms.augment import fuse
from onewarp.transforms.warp import cpu


def test_who_fails_the_gate_is_not_timed(monkeypatch):
    rows = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    monkeypatch.setattr(augment, "PEERS", {})
    monkeypatch.setattr(
        augment.one_by_one, "in_torch", lambda images, plan: augment.one_by_one.in_kernel(images, plan) + 1
    )
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


def test_a_turn_is_told_as_images_a_second():
    assert augment.speeds([Turn(clock=2.0, cpu=1.0), Turn(0.5, 0.25)], 64) == {"clock": [32, 128], "cpu": [64, 256]}


def test_one_core_is_measured_by_its_time_and_several_by_the_clock():
    speeds = {"clock": [1.0, 2.0, 3.0], "cpu": [4.0, 5.0, 6.0]}
    rows = [{"name": "a", "threads": n, "status": "measured", "images_per_second": speeds} for n in (1, 2)]
    assert (augment.rate(rows, "a"), augment.rate(rows, "a", 2)) == (5, 2)
    assert augment.rate([{"name": "a", "threads": 1, "status": "failed"}], "a") is None


def test_what_was_asked_is_a_ratio_of_medians(speed):
    found = {one["measure"]: one for one in speed["asked"]}
    assert found[f"{augment.FUSED}, times {augment.ALONE}"]["got"] == 20
    assert found[f"{augment.FUSED}, two threads over one"] == {
        "measure": f"{augment.FUSED}, two threads over one",
        "asked": 1.8,
        "got": 1.9,
        "holds": True,
    }


def test_instructions_are_forced_for_a_call_and_no_longer(monkeypatch):
    monkeypatch.delenv(cpu.INSTRUCTION_SET, raising=False)
    call = augment.force("portable", lambda: os.environ[cpu.INSTRUCTION_SET])
    assert call() == "portable"
    with pytest.raises(ZeroDivisionError):
        augment.force("portable", lambda: 1 / 0)()
    assert cpu.INSTRUCTION_SET not in os.environ


def test_the_gate_judges_what_a_contender_gives_and_a_reason_goes_with_it(rows, plans, gate):
    right = fuse(augment.recipe()).images(torch.from_numpy(rows), plans[0])

    def failing():
        raise ValueError("no such thing")

    calls = {
        "right": augment.Contender(lambda: right, EXACT[True]),
        "brighter": augment.Contender(lambda: right + 0.1, EXACT[True]),
        "its own draws": augment.Contender(lambda: right + 0.1),
        "bytes": augment.Contender(lambda: right.byte()),
        "small": augment.Contender(lambda: right[..., :9]),
        "failing": augment.Contender(failing),
        augment.DRAWING: augment.Contender(lambda: "a plan"),
    }
    found = dict(augment.judge(gate, calls, 2))
    assert {name: one["status"] for name, one in found.items()} == {
        "right": "measured",
        "brighter": "wrong",
        "its own draws": "measured",
        "bytes": "wrong",
        "small": "wrong",
        "failing": "failed",
        augment.DRAWING: "measured",
    }
    assert found["failing"]["reason"] == "ValueError: no such thing"
    assert found["small"]["reason"] == "gave torch.float32(2, 3, 224, 9)"
    assert found["brighter"]["reason"].endswith("at most")
    assert "reason" not in found["right"]
