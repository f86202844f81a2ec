"""The program that is one version: which work it has, and how often it does it in a round."""

import io
import json
import sys
import time

import numpy as np
import pytest
from PIL import Image

from onewarp.benchmarks import versions
from onewarp.benchmarks.peers import one_version


def test_it_has_the_work_of_every_suite():
    assert list(one_version.WORK) == [name for names in versions.WORK.values() for name in names]


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 1), (1.0, 4), (0.3, 1), (10.0, 40)])
def test_a_round_is_as_many_calls_as_fill_it_once_warm(monkeypatch, seconds, expected):
    """The first call takes 5 s, each later one a quarter of a second, by a clock that the work moves."""
    clock = [0.0]
    lengths = iter([5.0, *[0.25] * 100])
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def work():
        clock[0] += next(lengths)

    assert one_version.repetitions(work, seconds) == expected


def test_photos_come_again_until_they_are_a_batch(tmp_path):
    for number in range(3):
        Image.new("RGB", (30, 20), (number, 0, 0)).save(tmp_path / f"{number}.png")
    found = one_version.photos(tmp_path)
    assert found.shape == (one_version.BATCH, one_version.SIDE, one_version.SIDE, 3)
    assert found[:, 200, 200, 0].tolist() == [i % 3 for i in range(one_version.BATCH)]


def test_it_answers_each_line_with_seconds(tmp_path, monkeypatch, capsys):
    Image.new("RGB", (30, 20)).save(tmp_path / "0.png")
    calls = []
    monkeypatch.setitem(one_version.WORK, "some work", lambda folder, scratch: lambda: calls.append(folder))
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n\n\n"))
    one_version.main(str(tmp_path), "some work", "0")
    ready, *rounds = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert ready == {"ready": "some work"}
    assert [list(one) for one in rounds] == [["seconds"]] * 3
    assert calls == [tmp_path] * 5  # two to find out how long it takes, and one in each round


def test_the_work_of_a_loader_is_an_epoch_and_that_of_presizing_leaves_nothing(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.fromarray(np.full((20, 30, 3), number, np.uint8)).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "scratch").mkdir()
    one_version.presizing(tmp_path / "photos", tmp_path / "scratch", "raw")()
    assert list((tmp_path / "scratch").iterdir()) == []
    one_version.epoch(tmp_path / "photos", tmp_path / "scratch", "raw", False)()
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["cache"]
