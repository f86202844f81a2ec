"""The rows of a trainer: what is not installed, and what a trainer does not take, has a reason."""

import json
import sys

import pytest

from onewarp.benchmarks.resuming import fastai, rank, traces


def test_a_trainer_that_is_not_installed_is_one_row(tmp_path, monkeypatch):
    monkeypatch.setitem(rank.PACKAGES, "lightning", "no-such-package")
    assert rank.rows("lightning", tmp_path, None, None) == [
        {
            "name": "Lightning",
            "setting": "alone",
            "status": "not installed",
            "reason": "pip install no-such-package",
        }
    ]


@pytest.fixture
def runs(monkeypatch):
    """The runs that are asked for, which are not done."""
    asked = []

    def row(name, setting, run, idiom, folder, most):
        asked.append((idiom, folder.name, most))
        return {"name": name, "setting": setting, "status": "measured"}

    monkeypatch.setattr(traces, "row", row)
    return asked


def test_an_idiom_that_a_trainer_does_not_take_in_several_processes_is_not_tried(tmp_path, monkeypatch, runs):
    pytest.importorskip("fastai", reason="fastai comes with the group adapters")
    monkeypatch.setenv("WORLD_SIZE", "2")
    rows = rank.rows("fastai", tmp_path, 3, None)
    assert [row["setting"] for row in rows] == [f"{idiom}, 2 processes" for idiom in fastai.IDIOMS]
    assert [row for row in rows if row["status"] == "not taken"] == [
        {
            "name": "fastai",
            "setting": "lr_find, 2 processes",
            "status": "not taken",
            "reason": fastai.ALONE["lr_find"],
        }
    ]
    assert [idiom for idiom, _, _ in runs] == [idiom for idiom in fastai.IDIOMS if idiom != "lr_find"]


def test_a_process_writes_the_rows_of_its_trainers(tmp_path, monkeypatch, runs):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(sys, "argv", ["rank", "plain,learner", str(tmp_path), "5", "1"])
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)
    rank.main()
    rows = json.loads((tmp_path / "plain-1.json").read_text())
    assert [row["name"] for row in rows] == ["plain loop", "onewarp's Learner"]
    assert runs == [("OneCycleLR", "0", 5), ("fit_one_cycle", "0", 5)]
