"""What a command says of a cache behind an address is what it says of its folder."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from onewarp.cli import main
from onewarp.errors import UsageError
from onewarp.pipeline import Cache, DataLoaders, Loader, presize
from onewarp.pipeline.commands.cache_argument import connection_settings, opened
from onewarp.pipeline.service.remote_cache import RemoteCache
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.server import Server, Service

TOKEN = "correct-horse"
RECIPE = "Resize(16) | Rotate(p=1.0)"


@pytest.fixture
def folder(pictures, tmp_path):
    presize(pictures, tmp_path / "photos", 24, label="parent", split="random:0.25:1", encoding="jpeg")
    return tmp_path / "photos"


@pytest.fixture
def address(folder):
    """The address of a service that has the cache, and wants a token."""
    server = Server(Service(ServedCaches({"photos": folder}), tokens=[TOKEN]), "grpc://127.0.0.1:0")
    yield f"grpc://127.0.0.1:{server.port}/photos"
    server.stop(grace=5)


@pytest.fixture
def token(tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return ["--token-file", tmp_path / "token"]


def run(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output


def test_inspect_says_the_same(folder, address, token):
    local, remote = run("inspect", folder, "--json"), run("inspect", address, *token, "--json")
    assert local[0] == remote[0] == 0
    assert json.loads(local[1]) == json.loads(remote[1])
    assert address in run("inspect", address, *token)[1]


@pytest.mark.parametrize("words", [["preview", "--photos", 2, "--draws", 1], ["replay", "cat/0.png", "--epoch", 3]])
def test_pictures_are_the_same(folder, address, token, tmp_path, words):
    command, *rest = words
    for name, source in (("local.png", [folder]), ("remote.png", [address, *token])):
        status, output = run(command, *source, *rest, "-t", RECIPE, "-o", tmp_path / name)
        assert status == 0, output
    assert (tmp_path / "local.png").read_bytes() == (tmp_path / "remote.png").read_bytes()


def test_a_loop_over_an_address_is_measured(address, token):
    status, output = run("doctor", "--loop", address, RECIPE, *token, "--batches", 1, "--batch-size", 4, "--json")
    assert status == 0, output
    assert json.loads(output)["stats"]["samples"] == 4


@pytest.mark.parametrize("words", [["inspect"], ["preview"], ["replay", "cat/0.png"], ["doctor", "--loop"]])
def test_a_wrong_token_and_none_are_one_line(address, tmp_path, words):
    command, *rest = words
    words = [command, "--loop", address] if rest == ["--loop"] else [command, address, *rest]
    (tmp_path / "wrong").write_text("wrong-horse")
    for more in ([], ["--token-file", tmp_path / "wrong"]):
        status, output = run(*words, *more)
        assert status == 1
        assert "wants a token" in output
        assert output.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["verify", "ADDRESS"], ["export", "ADDRESS", "out"], ["presize", "photos", "ADDRESS"]]
)
def test_commands_that_work_on_files_say_so(address, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, output = run(*(address if word == "ADDRESS" else word for word in words))
    assert status == 2
    assert f"CACHE must be a folder, but got the address {address}" in output
    assert output.count("\n") == 1
    assert not any(path.name.startswith("grpc") for path in tmp_path.iterdir())


def test_an_address_in_the_place_of_a_path_leads_to_connect(address):
    for use in (Loader, DataLoaders.of_cache, Cache.open):
        for text in (address, Path(address)):
            with pytest.raises(UsageError, match=r"connect\(address\)"):
                use(text)


def test_options_of_a_connection_need_an_address(folder, token):
    status, output = run("inspect", folder, *token)
    assert status == 2
    assert "--token-file must be for the address of a service" in output
    with pytest.raises(UsageError, match="roots must be for the address of a service"):
        connection_settings(folder, None, Path("ca.pem"))


def test_what_was_opened_is_closed(folder, address, token):
    with opened(folder) as local:
        assert isinstance(local, Cache)
    with opened(address, token[1]) as remote:
        assert isinstance(remote, RemoteCache)
        assert remote.place == address
        assert len(remote) == 12
    assert all(replica.client is None for replica in remote.replicas.replicas)
