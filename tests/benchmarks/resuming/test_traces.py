"""A resumed run that differs from the rest of the whole one is found out."""

from pathlib import Path

import pytest
import torch
from torch import nn

from onewarp.benchmarks.resuming import plain, traces


def test_a_run_that_goes_on_elsewhere_or_otherwise_is_found_out(tmp_path):
    def skipping(idiom: str, folder: Path, start: Path | None) -> traces.Trace:
        found = plain.run(idiom, folder, start)
        if start is not None and len(found.batches) == 9:
            found.batches.pop()
            found.weights = "others"
        return found

    row = traces.row("a loop", "plain", skipping, "OneCycleLR", tmp_path, None)
    assert row["status"] == "wrong"
    assert row["reason"] == "equal in batches 13, steps 14, rates 14, weights 13 of 14"
    idle = traces.row("a loop", "idle", lambda *_: traces.Trace(), "", tmp_path, None)
    assert idle["status"] == "failed"
    assert "must write more checkpoints than 0" in idle["reason"]


def test_a_digest_is_of_the_bytes():
    one = torch.arange(4.0)
    assert traces.digest([one]) == traces.digest([one.clone()]) != traces.digest([one + 1e-6])


def test_a_trace_has_batches_samples_and_where_checkpoints_were_written():
    trace = traces.Trace()
    for images in (torch.zeros(2, 3), torch.ones(3, 3)):
        trace.train(images)
        trace.rates.append(0.1)
        trace.mark(f"{len(trace.batches)}")
    assert trace.marks == {"1": (1, 1), "2": (2, 2)}
    assert len(trace.batches) == len(set(trace.batches)) == 2
    assert len(trace.samples) == 5
    assert len(set(trace.samples)) == 2
    model = nn.Linear(2, 1)
    assert trace.end(model).weights == traces.digest(model.parameters())


@pytest.mark.parametrize(("world", "alone"), [("1", True), ("2", False), (None, True)])
def test_a_launcher_says_how_many_train_together(monkeypatch, world, alone):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if world:
        monkeypatch.setenv("WORLD_SIZE", world)
    assert traces.is_alone() is alone


def test_checkpoints_are_spread_over_a_run_with_the_first_and_the_last():
    names = [str(i) for i in range(11)]
    assert traces.spread(names, 3) == ["0", "5", "10"]
    assert traces.spread(names, None) == traces.spread(names, 11) == names
