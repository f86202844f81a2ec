"""A training by one call: what it leaves, what it says, and what it refuses."""

import html
import json
from contextlib import closing

import pytest
import torch

from onewarp.errors import TrainingError, UsageError
from onewarp.pipeline import Cache, connect, parent_label
from onewarp.pipeline.commands.transform_texts import read_fused
from onewarp.pipeline.presizing.presizer import presize
from onewarp.trainers import saving
from onewarp.trainers.run import Settings, loaders


def test_it_leaves_a_model_and_a_report_and_nothing_else(trained):
    assert sorted(p.name for p in trained.model.parent.iterdir()) == ["model.safetensors", "report.html"]
    assert "<h2>Confusion matrix" in trained.report.read_text()
    assert set(trained.values) == {"train_loss", "valid_loss", "error_rate", "time"}


def test_a_seed_gives_the_same_weights_and_leaves_the_global_generator(cache, tmp_path, quick_run):
    before = torch.get_rng_state()
    first, second, other = (
        saving.read(quick_run(cache, tmp_path / name, seed=seed).model)[0]
        for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_report_says_what_the_model_was_made_of(trained, cache, tmp_path, transforms, quick_run):
    page = html.unescape(quick_run(cache, tmp_path, seed=5).report.read_text())
    stored = Cache.open(cache)
    for words in (
        transforms,
        str(cache),
        stored.fingerprint,
        "onewarp train --some words",
        "small_resnet",
        "1.000e-03",
    ):
        assert words in page
    for name, value in {"seed": "5", "batch size": "8"}.items():
        assert f"<td>{name}</td><td>{value}</td>" in page
    assert f"torch {torch.__version__}" in page or f"torch {torch.__version__.split('+')[0]}" in page
    assert "Epoch 0 has the lowest validation loss" in page


def test_a_run_with_other_settings_is_refused_with_what_differs(cache, tmp_path, quick_run):
    settings = vars(Settings("small_resnet", 1, 1e-3, False, bs=8))
    (tmp_path / "run.json").write_text(json.dumps({"settings": settings, "lr": 1e-3}))
    with pytest.raises(UsageError, match=r"other settings \(epochs was 1, now 2; seed was 0, now 3\)"):
        quick_run(cache, tmp_path, epochs=2, seed=3)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(TrainingError, match=r"run\.json must hold what onewarp writes"):
        quick_run(cache, tmp_path)
    with pytest.raises(UsageError, match="out must be a folder, but"):
        quick_run(cache, tmp_path / "run.json")


def test_a_cache_without_labels_or_splits_cannot_be_trained_on(photos, tmp_path, transforms):
    presize(photos, tmp_path / "c", size=64)
    with pytest.raises(UsageError, match="must have labels"):
        loaders(tmp_path / "c", read_fused(transforms))
    presize(photos, tmp_path / "d", size=64, label=parent_label)
    with pytest.raises(UsageError, match="must have splits"):
        loaders(tmp_path / "d", read_fused(transforms))


@pytest.mark.parametrize("augment", ["client", "server"])
def test_a_run_over_a_service_has_the_weights_of_one_over_the_folder(trained, address, tmp_path, quick_run, augment):
    with closing(connect(address, augment=augment)) as remote:
        run = quick_run(remote, tmp_path)
    weights, facts = saving.read(run.model)
    expected, expected_facts = saving.read(trained.model)
    assert facts == expected_facts
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    assert f"{address}: 24 rows" in run.report.read_text()
