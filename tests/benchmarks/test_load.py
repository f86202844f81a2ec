"""The benchmark of loading on a handful of photos: our readers and those peers that need no package."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from onewarp.benchmarks import load


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(4):
        Image.fromarray(np.full((60, 80, 3), 60 * i, np.uint8)).save(folder / f"class{i % 2}_{i}.jpg")
    return folder


def test_formats_are_written_measured_and_summed_up(photos, tmp_path):
    out = tmp_path / "results.json"
    readers = ["onewarp", "onewarp, end to end"]
    chosen = [word for name in readers for word in ("--reader", name)]
    command = ["run", str(photos), str(tmp_path / "work"), "--out", str(out), "--rows", "64", "--rounds", "1", *chosen]
    done = CliRunner().invoke(load.main, command)
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert [one["reader"] for one in found["measured"]] == readers
    for one in found["measured"]:
        low, middle, high = one["rows_per_second_cpu"]
        assert 0 < low <= middle <= high
    again = load.gathered(load.earlier(out))
    assert again == found["measured"]


def test_a_batch_that_is_not_what_it_says_is_refused():
    with pytest.raises(Exception, match="gives batches of"):
        load.check("LMDB", np.zeros((63, 460, 460, 3), np.uint8))
    load.check("LMDB", np.zeros((64, 460 * 460 * 3), np.uint8))
