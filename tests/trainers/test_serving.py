"""Train on a cache, export, load, predict: the file's way is that of the validation set."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from onewarp.errors import SpecError, TrainingError, UsageError
from onewarp.pipeline import get_image_files, parent_label
from onewarp.pipeline.presizing import presize
from onewarp.pipeline.recipes import fused_from
from onewarp.pipeline.splits import RandomSplitter
from onewarp.trainers import Learner
from onewarp.trainers.commands import predict, train
from onewarp.trainers.drawn import draw_photos
from onewarp.trainers.run import Settings, loaders
from onewarp.trainers.run import train as run_train
from onewarp.trainers.serving import load_learner

TRANSFORMS = "Resize(64) | aug_transforms(size=48, min_scale=0.8)"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw_photos(tmp_path_factory.mktemp("photos"), per_class=4)


@pytest.fixture(scope="module")
def cache(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / "c"
    presize(photos, path, size=64, label=parent_label, split=RandomSplitter(seed=0))
    return path


@pytest.fixture(scope="module")
def trained(cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    settings = Settings("small_resnet", epochs=1, lr=1e-3, pretrained=False, bs=8)
    return run_train(cache, fused_from(TRANSFORMS), settings, out)


def test_it_leaves_a_model_and_a_report_and_nothing_else(trained):
    assert sorted(p.name for p in trained.model.parent.iterdir()) == ["model.safetensors", "report.html"]
    assert "<h2>Confusion matrix" in trained.report.read_text()
    assert set(trained.values) == {"train_loss", "valid_loss", "error_rate", "time"}


def test_a_file_is_predicted_as_it_was_in_the_validation_set(trained, cache, photos):
    dls = loaders(cache, fused_from(TRANSFORMS), bs=8)
    loaded = load_learner(trained.model)
    expected = Learner(dls, loaded.model, table=False).get_preds()[0]
    keys = [key for batch in dls.valid for key in batch.keys]
    answers = [loaded.predict(photos / key) for key in keys]
    torch.testing.assert_close(torch.stack([p for _, _, p in answers]), expected)
    assert [name for name, _, _ in answers] == [dls.vocab[i] for i in expected.argmax(1).tolist()]


def test_the_command_prints_what_predict_says(trained, photos):
    files = [str(f) for f in get_image_files(photos)[:3]]
    result = CliRunner().invoke(predict, [str(trained.model), *files, "--json"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["file"] for row in rows] == files
    loaded = load_learner(trained.model)
    assert [row["label"] for row in rows] == [loaded.predict(file)[0] for file in files]
    plain = CliRunner().invoke(predict, [str(trained.model), files[0]])
    assert plain.stdout.split("\t")[:2] == [files[0], rows[0]["label"]]


def test_a_run_that_was_stopped_goes_on_with_the_rate_that_was_found(cache, tmp_path):
    (tmp_path / "run.json").write_text(
        json.dumps({"settings": vars(Settings("small_resnet", 1, None, False, bs=8)), "lr": 0.00125})
    )
    arguments = [str(cache), "--model", "small_resnet", "--no-pretrained", "--epochs", "1", "--bs", "8"]
    arguments += ["-t", TRANSFORMS, "--out", str(tmp_path), "--json"]
    other = CliRunner().invoke(train, [*arguments, "--seed", "5"])
    assert isinstance(other.exception, UsageError)
    result = CliRunner().invoke(train, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["lr"] == 0.00125


def test_a_model_without_a_name_must_be_given(cache, tmp_path):
    dls = loaders(cache, fused_from(TRANSFORMS), bs=8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 6))
    path = Learner(dls, model).export(tmp_path / "m")
    with pytest.raises(TrainingError, match="give load_learner"):
        load_learner(path)
    again = load_learner(path, nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 6)))
    assert torch.equal(again.model[1].weight, model[1].weight)
    with pytest.raises(TrainingError, match=r"another model: \d tensors differ"):
        load_learner(path, nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 7)))


def test_what_is_not_an_exported_learner_is_refused(cache, data, model, tmp_path):
    learn = Learner(data, model)
    with pytest.raises(TrainingError, match="must have DataLoaders with a pipeline, but got Data"):
        learn.export(tmp_path / "m")
    with pytest.raises(TrainingError, match="must be an exported learner"):
        load_learner(learn.save(tmp_path / "c"))


def test_a_lambda_cannot_be_exported(cache, tmp_path):
    from onewarp.transforms import Resize, fuse

    dls = loaders(cache, fuse([Resize(48), lambda x: x]), bs=8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 6))
    with pytest.raises(SpecError, match="lambda"):
        Learner(dls, model).export(tmp_path / "m")


def test_a_cache_without_labels_or_splits_cannot_be_trained_on(photos, tmp_path):
    presize(photos, tmp_path / "c", size=64)
    with pytest.raises(UsageError, match="must have labels"):
        loaders(tmp_path / "c", fused_from(TRANSFORMS))
    presize(photos, tmp_path / "d", size=64, label=parent_label)
    with pytest.raises(UsageError, match="must have splits"):
        loaders(tmp_path / "d", fused_from(TRANSFORMS))
