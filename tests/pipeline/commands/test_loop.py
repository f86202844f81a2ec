"""A loop over a cache is measured: all of what was asked for, and what it says follows from what it measured."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from onewarp import presize
from onewarp.cli import main
from onewarp.errors import CacheError, ServiceError, UsageError
from onewarp.pipeline.commands.bottleneck import find_bottleneck
from onewarp.pipeline.commands.loop import measure_loop
from onewarp.pipeline.commands.transform_texts import read_fused
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.server import Server, Service

RECIPE = "Resize(48) | Flip()"


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """Caches of 24 photos of 64 x 96 pixels, by encoding."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for i in range(24):
        Image.fromarray(random.integers(0, 256, (64, 96, 3), np.uint8)).save(folder / f"{i:02}.png")
    paths = {encoding: folder.parent / f"loop-{encoding}" for encoding in ("raw", "jpeg")}
    for encoding, path in paths.items():
        presize(folder, path, size=64, encoding=encoding, workers=1)
    return paths


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_a_loop_takes_the_batches_that_were_asked_for_over_as_many_epochs_as_they_are(caches, encoding, cold):
    loop = measure_loop(caches[encoding], read_fused(RECIPE), batch_size=5, batches=12, threads=2, cold=cold)
    stats, setting = loop.stats, loop.setting
    assert (stats.threads, stats.loops, stats.batches, stats.samples) == (2, 3, 12, 24 + 24 + 10)
    assert 0 < stats.work <= 2 * stats.seconds
    assert (stats.decoding > 0) == (encoding == "jpeg")
    assert (setting.encoding, setting.presize, setting.raw_bytes) == (encoding, 64, 24 * 64 * 96 * 3)
    assert setting.smallest_presize == 48
    assert setting.disk_bytes >= 0
    assert loop.cold == cold
    assert loop.bottleneck == find_bottleneck(stats, setting)
    assert [*loop.lines()][-1] == loop.bottleneck.sentence
    assert loop.facts()["stats"].items() >= asdict(stats).items()


@pytest.fixture
def service(caches, tmp_path):
    """The address of a cache behind a service, and a file with the token that it wants."""
    (tmp_path / "token").write_text("correct-horse")
    server = Server(Service(ServedCaches({"photos": caches["jpeg"]}), tokens=["correct-horse"]), "grpc://127.0.0.1:0")
    yield f"grpc://127.0.0.1:{server.port}/photos", tmp_path / "token"
    server.stop(grace=5)


def test_a_cache_behind_a_service_is_measured_too(service):
    address, token = service
    facts = json.loads(run("doctor", "--loop", address, RECIPE, "--token-file", token, "--batches", 3, "--json").stdout)
    assert (facts["stats"]["samples"], facts["setting"]["encoding"], facts["setting"]["remote"]) == (72, "jpeg", True)
    with pytest.raises(UsageError, match="cold must be for a cache in a folder"):
        measure_loop(address, read_fused(RECIPE), cold=True, token_file=token)
    with pytest.raises(ServiceError, match="wants a token"):
        measure_loop(address, read_fused(RECIPE))


def test_the_consumer_sleeps_for_each_batch_that_is_measured(caches, monkeypatch):
    sleeps = []
    monkeypatch.setattr("time.sleep", sleeps.append)
    measure_loop(caches["raw"], read_fused(RECIPE), batch_size=8, batches=5, step_seconds=0.25)
    assert sleeps == [0.25] * 5


def test_what_cannot_be_measured_is_refused(caches, tmp_path):
    with pytest.raises(UsageError, match="batches must be at least 1, but got 0"):
        measure_loop(caches["raw"], read_fused(RECIPE), batches=0)
    with pytest.raises(UsageError, match="step_seconds must be 0 or more, but got -1"):
        measure_loop(caches["raw"], read_fused(RECIPE), step_seconds=-1)
    with pytest.raises(UsageError, match="token_file must be for the address of a service"):
        measure_loop(caches["raw"], read_fused(RECIPE), token_file=tmp_path / "token")
    for cold in (False, True):
        with pytest.raises(CacheError, match="does not exist"):
            measure_loop(tmp_path / "nowhere", read_fused(RECIPE), cold=cold)


def test_a_recipe_that_enlarges_whatever_the_presize_is_needs_no_smaller_one(caches):
    zooms = read_fused("Resize(48) | Zoom(4000, 4000, p=1)")
    assert measure_loop(caches["raw"], zooms, batches=1).setting.smallest_presize == 64


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_doctor_measures_a_loop(caches):
    options = ("--batches", 4, "--batch-size", 5, "--threads", 1)
    facts = json.loads(run("doctor", "--loop", caches["jpeg"], RECIPE, *options, "--json").stdout)
    assert (facts["stats"]["batches"], facts["stats"]["samples"], facts["setting"]["encoding"]) == (4, 20, "jpeg")
    lines = run("doctor", "--loop", caches["jpeg"], *options, "--cold").stdout.splitlines()
    assert lines[0].startswith("20 samples in 4 batches, as in a first epoch: ")
    names = ["samples/s", "consumer", "reading", "decoding", "targets", "warping", "idle"]
    assert [line.split()[0] for line in lines[1:-1]] == names
    assert "limit" in lines[-1]


@pytest.mark.parametrize(
    "options", [["Flip()"], ["--batches", "3"], ["--threads", "1"], ["--cold"], ["--step-seconds", "1"]]
)
def test_options_of_a_loop_are_refused_without_one(options):
    done = CliRunner().invoke(main, ["doctor", *options], standalone_mode=False)
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == "loop must name a cache where there is a RECIPE, or an option of a loop"
