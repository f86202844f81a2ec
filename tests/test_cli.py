"""The command line as a user meets it: results on stdout, one clear line on stderr, exit codes."""

import json
import shutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from onewarp.cli import COMMANDS, in_options, main
from onewarp.pipeline import Cache
from onewarp.pipeline.cache.footer import COMMIT, footer_bytes


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def photos(pets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for photo in sorted(pets.glob("*_1.jpg"))[:6]:
        shutil.copy(photo, folder)
    return folder


@pytest.fixture(scope="module")
def cache(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / "c"
    done = run("presize", photos, path, "--size", 96, "--label", r"regex:(.+)_\d+.jpg$", "--split", "random:0.2:42")
    assert done.exit_code == 0, done.output
    return path


def test_help_names_every_command_and_imports_none():
    code = "import sys; from onewarp.cli import main\ntry: main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    done = run(name, "--help")
    assert done.exit_code == 0
    assert f"Usage: main {name}" in done.output


def test_it_is_a_module_too():
    done = subprocess.run([sys.executable, "-m", "onewarp", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("onewarp, version ")


def test_a_cache_is_told_in_words_with_its_classes_counted(cache):
    done = run("inspect", cache)
    assert done.exit_code == 0, done.output
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    said = json.loads(run("inspect", cache, "--json").stdout)
    counts = dict(zip(said["vocab"], said["counts"]["label"], strict=True))
    assert sum(counts.values()) == said["rows"]
    assert lines["labels"] == f"{len(counts)} classes: " + ", ".join(f"{name} {n}" for name, n in counts.items())
    assert lines["size"] == f"{said['bytes'] / 2**20:,.1f} MiB in {said['parts']} parts"
    assert not set("{}[]'") & set(done.stdout.replace("pillow's", ""))


def test_the_pets_by_their_numbers(pets, tmp_path):
    label, split = r"regex:(.+)_\d+.jpg$", "random:0.2:42"
    done = run("presize", pets, tmp_path / "c", "--size", 460, "--label", label, "--split", split)
    assert done.exit_code == 0, done.output
    said = json.loads(run("inspect", tmp_path / "c", "--json").stdout)
    assert (said["rows"], said["classes"], said["rejected"]) == (489, 37, 0)
    assert said["splits"] == {"train": 392, "valid": 97}
    assert {"vocab", "encoding", "sizes", "bytes", "fingerprint", "format"} <= set(said)


def test_preview_is_a_picture(cache, tmp_path):
    out = tmp_path / "p.png"
    small = "Resize(96) | aug_transforms(size=48)"
    done = run("preview", cache, "--out", out, "--photos", 2, "--draws", 2, "--unfused", "-t", small)
    assert (done.exit_code, done.stdout.strip()) == (0, str(out)), done.output
    with Image.open(out) as picture:
        assert picture.size > (600, 300)


def test_replay_is_the_sample(cache, photos, tmp_path):
    out = tmp_path / "r.png"
    key = next(photos.iterdir()).name
    done = run("replay", cache, key, "--epoch", 3, "--out", out, "-t", "Resize(96) | aug_transforms(size=48)")
    assert done.exit_code == 0, done.output
    with Image.open(out) as picture:
        assert picture.size == (48, 48)


def test_explain_tells_and_advises():
    done = run("explain", "Resize(460) | aug_transforms(size=224, min_scale=0.75)")
    assert done.exit_code == 0, done.output
    assert "1 resampling instead of 6" in done.stdout
    assert "lie outside" in done.stdout
    assert json.loads(run("explain", "--json").stdout)["resamplings"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["presize", "{empty}", "{out}"], 1, "none of its 0 entries is one"),
        (["presize", "{texts}", "{out}"], 1, "must hold image files, but none of its 1 entries is one"),
        (["presize", "{nowhere}", "{out}"], 1, "does not exist"),
        (["presize", "{photos}", "{out}", "--label", r"regex:(\d+)\.png"], 1, r"'(\\d+)\\.png' was not found in"),
        (["presize", "{photos}", "{out}", "--size", "0"], 2, "--size must be a number of pixels from 1 up"),
        (["presize", "{photos}", "{file}"], 2, "CACHE must be a folder, but"),
        (["inspect", "{nowhere}"], 1, "does not exist: make a cache with `onewarp presize`"),
        (["explain", '{{"kind": "Rotat"}}'], 2, "unknown name 'Rotat' in the pipeline's JSON: did you mean Rotate"),
        (["explain", "Resize(460) | Rotat(3)"], 2, "unknown name 'Rotat' in 'Resize(460) | Rotat(3)': did you mean"),
        (["explain", "Resize(460) | os.system('x')"], 2, "must read like"),
        (["explain", "Resize(460) | Rotate(deg=3)"], 2, "Rotate(deg=3): "),
        (["replay", "{cache}", "no such key"], 2, "no such key"),
        (["presize"], 2, "Missing argument"),
        (["presnize"], 2, "No such command"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, code, message, photos, cache, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    names = {n: tmp_path / n for n in ("empty", "texts", "file", "out", "nowhere")} | {"photos": photos, "cache": cache}
    done = run(*(a.format(**names) for a in arguments))
    assert done.exit_code == code, done.output
    assert message in done.stderr
    assert "Traceback" not in done.output
    if done.stderr.startswith("onewarp:"):
        assert len(done.stderr.strip().splitlines()) == 1


def test_every_option_is_spoken_of_as_it_is_written():
    group = click.Context(main)
    commands = [main.get_command(group, name) for name in COMMANDS]
    commands += [part for command in commands if isinstance(command, click.Group) for part in command.commands.values()]
    for command in commands:
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.is_flag:
                written = max(parameter.opts, key=len)
                for value in ("7", "'jpeg'", "PATH", "1e-3"):
                    told = in_options(f"give {parameter.name}={value}, or another", command)
                    assert told == f"give {written} {value.strip(chr(39))}, or another"
                assert in_options(f"{parameter.name} must be 1", command) == f"{written} must be 1"
            assert in_options(f"x{parameter.name}=7", command) == f"x{parameter.name}=7"


def test_a_cache_of_another_version_is_refused(cache, tmp_path):
    copy = tmp_path / "c"
    shutil.copytree(cache, copy)
    (copy / COMMIT).write_bytes(footer_bytes({**Cache.open(copy).footer, "format": 99}))
    done = run("inspect", copy)
    assert done.exit_code == 1
    assert "was made by a newer version of onewarp (format 99, this one reads 3): install that" in done.stderr
