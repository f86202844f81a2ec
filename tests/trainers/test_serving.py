"""Train on a cache, export, load, predict: the file's way is that of the validation set."""

import html
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from onewarp.cli import main
from onewarp.errors import SpecError, TrainingError, UsageError
from onewarp.pipeline import Cache, Loader, get_image_files, parent_label
from onewarp.pipeline.commands.transform_texts import read_fused
from onewarp.pipeline.composition.spec import register
from onewarp.pipeline.dataset.splits import RandomSplitter
from onewarp.pipeline.presizing.presizer import presize
from onewarp.trainers import Learner, saving
from onewarp.trainers.drawn import draw_photos
from onewarp.trainers.predictor import spread
from onewarp.trainers.run import Settings, loaders
from onewarp.trainers.run import train as run_train
from onewarp.trainers.serving import load_learner
from onewarp.trainers.train_commands import predict, train

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
    return run_train(cache, read_fused(TRANSFORMS), settings, out)


def test_it_leaves_a_model_and_a_report_and_nothing_else(trained):
    assert sorted(p.name for p in trained.model.parent.iterdir()) == ["model.safetensors", "report.html"]
    assert "<h2>Confusion matrix" in trained.report.read_text()
    assert set(trained.values) == {"train_loss", "valid_loss", "error_rate", "time"}


def test_a_file_is_predicted_as_it_was_in_the_validation_set(trained, cache, photos):
    dls = loaders(cache, read_fused(TRANSFORMS), bs=8)
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


def quick_run(cache, out, **settings):
    chosen = {"model": "small_resnet", "epochs": 1, "lr": 1e-3, "pretrained": False, "bs": 8}
    return run_train(cache, TRANSFORMS, Settings(**chosen | settings), out, command="onewarp train --some words")


def test_a_seed_gives_the_same_weights_and_leaves_the_global_generator(cache, tmp_path):
    before = torch.get_rng_state()
    first, second, other = (
        saving.read(quick_run(cache, tmp_path / name, seed=seed).model)[0]
        for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_report_says_what_the_model_was_made_of(trained, cache, tmp_path):
    page = html.unescape(quick_run(cache, tmp_path, seed=5).report.read_text())
    stored = Cache.open(cache)
    for words in (
        TRANSFORMS,
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


def test_results_are_spread_over_the_validation_set(photos, tmp_path):
    presize(photos, tmp_path / "c", size=32, label=parent_label)
    rows = Loader(tmp_path / "c", batch_size=4)
    classes = {int(y) for y in spread(rows, len(rows.rows) // 4)[1]}
    assert len(classes) == len(Cache.open(tmp_path / "c").vocab)


@register
def three_or_seven(file):
    return 7 if "leaf" in str(file) else 3


@register
def words_of_folder(file):
    return Path(file).parent.name.split("_")


def ask(model, *words):
    return CliRunner().invoke(main, ["predict", str(model), *map(str, words)])


def test_one_bad_file_does_not_silence_the_others(trained, photos, tmp_path):
    good = get_image_files(photos)[:3]
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    asked = [good[0], tmp_path / "bad.jpg", good[1], tmp_path / "nowhere.jpg", good[2]]
    told = ask(trained.model.parent, *asked)
    assert told.exit_code == 1
    assert [line.split("\t")[0] for line in told.stdout.splitlines()] == [str(file) for file in good]
    refused = told.stderr.splitlines()
    assert [line.split(":")[0] for line in refused] == [f"rejected {asked[1]}", f"rejected {asked[3]}"]
    assert "=" not in told.stderr
    rows = [json.loads(line) for line in ask(trained.model, *asked, "--json").stdout.splitlines()]
    assert [("label" in row, "error" in row) for row in rows] == [(True, False), (False, True)] * 2 + [(True, False)]
    learn = load_learner(trained.model)
    assert [type(one).__name__ for one in learn.answers(asked, bs=2)] == ["Answer", "Refusal"] * 2 + ["Answer"]


def test_a_folder_stands_for_its_images_and_top_k_for_several_labels(trained, photos, tmp_path):
    files = get_image_files(photos)
    plain = ask(trained.model, photos)
    assert [line.split("\t")[0] for line in plain.stdout.splitlines()] == [str(file) for file in files]
    several = ask(trained.model, files[0], "--top-k", 3).stdout.rstrip("\n").split("\t")
    (row,) = (json.loads(line) for line in ask(trained.model, files[0], "--top-k", 3, "--json").stdout.splitlines())
    assert several == [str(files[0]), *(w for top in row["top"] for w in (top["label"], f"{top['probability']:.4f}"))]
    shares = [top["probability"] for top in row["top"]]
    assert shares == sorted(shares, reverse=True)
    assert row["top"][0] == {"label": row["label"], "probability": row["probability"]}
    assert ask(trained.model, tmp_path).exit_code == 2


def test_labels_that_are_numbers_are_labels(photos, tmp_path):
    presize(photos, tmp_path / "c", size=64, label=three_or_seven, split=RandomSplitter(seed=0))
    run = quick_run(tmp_path / "c", tmp_path / "run")
    rows = [json.loads(line) for line in ask(run.model, photos, "--json").stdout.splitlines()]
    assert {row["label"] for row in rows} <= {3, 7}
    words = [line.split("\t") for line in ask(run.model, photos).stdout.splitlines()]
    assert [word[1] for word in words] == [str(row["label"]) for row in rows]


def test_several_labels_have_their_probabilities(photos, tmp_path):
    presize(photos, tmp_path / "c", size=64, label=words_of_folder, split=RandomSplitter())
    run = quick_run(tmp_path / "c", tmp_path / "run")
    vocab = Cache.open(tmp_path / "c").vocab
    file = get_image_files(photos)[0]
    row = json.loads(ask(run.model, file, "--json", "--top-k", len(vocab)).stdout)
    chances = {top["label"]: top["probability"] for top in row["top"]}
    assert chances.keys() == set(vocab)
    assert row["label"] == [name for name in vocab if chances[name] > 0.5]
    assert row["probability"] == [chances[name] for name in row["label"]]


def test_a_run_with_other_settings_is_refused_with_what_differs(cache, tmp_path):
    settings = vars(Settings("small_resnet", 1, 1e-3, False, bs=8))
    (tmp_path / "run.json").write_text(json.dumps({"settings": settings, "lr": 1e-3}))
    with pytest.raises(UsageError, match=r"other settings \(epochs was 1, now 2; seed was 0, now 3\)"):
        quick_run(cache, tmp_path, epochs=2, seed=3)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(TrainingError, match=r"run\.json must hold what onewarp writes"):
        quick_run(cache, tmp_path)
    with pytest.raises(UsageError, match="out must be a folder, but"):
        quick_run(cache, tmp_path / "run.json")


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
    dls = loaders(cache, read_fused(TRANSFORMS), bs=8)
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
        loaders(tmp_path / "c", read_fused(TRANSFORMS))
    presize(photos, tmp_path / "d", size=64, label=parent_label)
    with pytest.raises(UsageError, match="must have splits"):
        loaders(tmp_path / "d", read_fused(TRANSFORMS))
