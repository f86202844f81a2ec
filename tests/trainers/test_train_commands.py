"""`onewarp train` and `onewarp predict`, as they are called."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from onewarp.cli import main
from onewarp.errors import UsageError
from onewarp.pipeline import Cache, get_image_files
from onewarp.pipeline.composition.spec import register
from onewarp.pipeline.dataset.splits import RandomSplitter
from onewarp.pipeline.presizing.presizer import presize
from onewarp.trainers.run import Settings
from onewarp.trainers.serving import load_learner
from onewarp.trainers.train_commands import predict, train


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


def test_labels_that_are_numbers_are_labels(photos, tmp_path, quick_run):
    presize(photos, tmp_path / "c", size=64, label=three_or_seven, split=RandomSplitter(seed=0))
    run = quick_run(tmp_path / "c", tmp_path / "run")
    rows = [json.loads(line) for line in ask(run.model, photos, "--json").stdout.splitlines()]
    assert {row["label"] for row in rows} <= {3, 7}
    words = [line.split("\t") for line in ask(run.model, photos).stdout.splitlines()]
    assert [word[1] for word in words] == [str(row["label"]) for row in rows]


def test_several_labels_have_their_probabilities(photos, tmp_path, quick_run):
    presize(photos, tmp_path / "c", size=64, label=words_of_folder, split=RandomSplitter())
    run = quick_run(tmp_path / "c", tmp_path / "run")
    vocab = Cache.open(tmp_path / "c").vocab
    file = get_image_files(photos)[0]
    row = json.loads(ask(run.model, file, "--json", "--top-k", len(vocab)).stdout)
    chances = {top["label"]: top["probability"] for top in row["top"]}
    assert chances.keys() == set(vocab)
    assert row["label"] == [name for name in vocab if chances[name] > 0.5]
    assert row["probability"] == [chances[name] for name in row["label"]]


def test_a_run_that_was_stopped_goes_on_with_the_rate_that_was_found(cache, tmp_path, transforms):
    (tmp_path / "run.json").write_text(
        json.dumps({"settings": vars(Settings("small_resnet", 1, None, False, bs=8)), "lr": 0.00125})
    )
    arguments = [str(cache), "--model", "small_resnet", "--no-pretrained", "--epochs", "1", "--bs", "8"]
    arguments += ["-t", transforms, "--out", str(tmp_path), "--json"]
    other = CliRunner().invoke(train, [*arguments, "--seed", "5"])
    assert isinstance(other.exception, UsageError)
    result = CliRunner().invoke(train, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["lr"] == 0.00125


NUMBER = re.compile(r"\b\d\.\d+(?:e-\d+)?")


def test_a_service_prints_what_the_model_it_serves_prints(trained, photos, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "tokens").write_text("secret-of-the-test\n")
    files = [*get_image_files(photos)[:5], tmp_path / "bad.jpg", tmp_path / "nowhere.jpg"]
    words = [
        "serve",
        "--model",
        trained.model.parent,
        "--listen",
        "grpc://127.0.0.1:0",
        "--token-file",
        tmp_path / "tokens",
    ]
    command = [sys.executable, "-m", "onewarp", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = server.stdout.readline().split()[0]
        try:
            for options in ([], ["--json"], ["--top-k", 2], ["--json", "--top-k", 3, "--bs", 2]):
                here = ask(trained.model, *files, *options)
                there = ask(address, *files, *options, "--token-file", tmp_path / "tokens")
                assert (there.exit_code, there.stderr) == (here.exit_code, here.stderr)
                assert NUMBER.sub("p", there.stdout) == NUMBER.sub("p", here.stdout)
                numbers = [[float(p) for p in NUMBER.findall(told.stdout)] for told in (here, there)]
                assert numbers[1] == pytest.approx(numbers[0], abs=1e-4)
            refused = ask(address, files[0])
            assert (refused.exit_code, "token" in refused.stderr) == (1, True)
        finally:
            server.terminate()
        assert server.wait(60) == 0


def test_a_token_for_a_file_and_an_address_without_a_server_are_refused(trained, photos, tmp_path):
    (tmp_path / "tokens").write_text("secret-of-the-test\n")
    file = get_image_files(photos)[0]
    told = ask(trained.model, file, "--token-file", tmp_path / "tokens")
    assert (told.exit_code, "--token-file must be for the address of a service" in told.stderr) == (2, True)
    assert ask("grpc://nowhere", file).exit_code == 2


def test_a_service_can_be_trained_on_and_a_folder_has_no_server(cache, address, tmp_path, transforms):
    settings = [
        "-t",
        transforms,
        "--model",
        "small_resnet",
        "--no-pretrained",
        "--epochs",
        "1",
        "--lr",
        "1e-3",
        "--bs",
        "8",
    ]
    done = CliRunner().invoke(
        main, ["train", address, *settings, "--augment", "server", "--out", str(tmp_path / "run")]
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "run" / "model.safetensors").exists()
    refused = CliRunner().invoke(main, ["train", str(cache), *settings, "--augment", "server"])
    assert refused.exit_code == 2
    assert "--augment must be client where no service is asked" in refused.output
