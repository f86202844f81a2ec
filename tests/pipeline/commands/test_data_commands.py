"""`onewarp presize`, `inspect`, `verify`, `export` as they are called."""

import json

import pytest
from click.testing import CliRunner

from onewarp.cli import main
from onewarp.pipeline.cache.reader import Cache


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_way_of_a_cache(pictures, tmp_path):
    cache = tmp_path / "C"
    made = run("presize", pictures, cache, "--size", 16, "--label", "parent", "--split", "random:0.25:42")
    assert made.exit_code == 0, made.output
    assert "12 rows" in made.stderr
    assert "encoding: raw, 12 images" in made.stderr
    assert made.stdout == ""
    again = run("presize", pictures, cache, "--size", 16, "--label", "parent", "--split", "random:0.25:42", "--json")
    assert json.loads(again.stdout)["kept"] == 12
    said = json.loads(run("inspect", cache, "--json").stdout)
    assert (said["rows"], said["classes"], said["vocab"], said["rejected"]) == (12, 2, ["cat", "dog"], 0)
    assert said["splits"] == {"train": 9, "valid": 3}
    assert set(said) >= {"rows", "classes", "vocab", "splits", "rejected", "encoding", "sizes", "bytes", "fingerprint"}
    assert said["format"] == 3
    assert "cat" in run("inspect", cache).stdout
    assert run("verify", cache).exit_code == 0
    assert run("export", cache, tmp_path / "out").exit_code == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) == 12


def test_verify_names_the_row_and_its_part(pictures, tmp_path):
    run("presize", pictures, tmp_path / "C", "--size", 16)
    cache = Cache.open(tmp_path / "C")
    columns = cache.columns(3)
    with open(cache.parts[0], "r+b") as file:
        file.seek(columns["offset"])
        file.write(b"xxx")
    told = run("verify", tmp_path / "C")
    assert told.exit_code == 1
    assert columns["key"] in told.stdout
    assert cache.parts[0].name in told.stdout
    assert "1 damage was found" in told.stderr


def test_rejected_files_are_listed_with_their_reason(pictures, tmp_path):
    (pictures / "bad.jpg").write_bytes(b"nothing")
    made = run("presize", pictures, tmp_path / "C", "--size", 16)
    assert made.exit_code == 0
    assert "rejected bad.jpg: is of no known image format" in made.stderr
    assert run("presize", pictures, tmp_path / "D", "--size", 16, "--max-rejected", 0).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["presize", "NOWHERE", "C"], 1, "does not exist"),
        (["presize", "EMPTY", "C"], 1, "must hold image files"),
        (
            ["presize", "PICTURES", "C", "--label", r"regex:(.+)_\d+.jpg$"],
            1,
            r"pattern '(.+)_\\d+.jpg$' was not found in",
        ),
        (["presize", "PICTURES", "C", "--size", "0"], 2, "size must be"),
        (["presize", "PICTURES", "C", "--background", "red"], 2, "background must be three numbers"),
        (["presize", "PICTURES", "FILE"], 2, "is a file"),
        (["inspect", "PICTURES"], 1, "must be a cache"),
        (["verify", "NOWHERE"], 1, "does not exist"),
    ],
)
def test_what_goes_wrong_is_one_line(pictures, tmp_path, arguments, code, message):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "FILE").touch()
    paths = {"PICTURES": pictures, **{name: tmp_path / name for name in ("NOWHERE", "EMPTY", "FILE", "C")}}
    told = run(*(paths.get(argument, argument) for argument in arguments))
    assert told.exit_code == code
    assert message in told.stderr
    assert told.stderr.count("\n") == 1
    assert told.stdout == ""
