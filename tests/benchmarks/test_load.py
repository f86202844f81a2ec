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
    again = load.gather(load.read_measurements(out))
    assert again == found["measured"]


def test_a_batch_that_is_not_what_it_says_is_refused():
    with pytest.raises(Exception, match="gives batches of"):
        load.check("LMDB", np.zeros((63, 460, 460, 3), np.uint8))
    load.check("LMDB", np.zeros((64, 460 * 460 * 3), np.uint8))


def test_what_was_asked_is_a_ratio_of_medians_and_what_was_not_measured_is_left_out(loading):
    found = {one["measure"]: (one["got"], one["holds"]) for one in load.goals(loading)}
    assert found == {
        "load: onewarp, times a copy within memory": (0.8, True),
        "load: onewarp, times FFCV": (2.0, True),
        "load: two threads times one, onewarp": (1.5, False),
    }


def test_a_summary_has_quartiles_over_all_epochs_of_all_rounds():
    def round_of(rates, copies):
        return load.Measurement("onewarp", "sequential", 1, rates, copies, [2 * r for r in rates], copies)

    found = load.summary([round_of([10.0, 20.0], [20.0, 20.0]), round_of([30.0, 40.0, 50.0], [20.0, 20.0, 20.0])])
    assert found["rows_per_second_clock"] == [20.0, 30.0, 40.0]
    assert found["over_copy_clock"] == [1.0, 1.5, 2.0]
    assert found["rows_per_second_cpu"] == [40.0, 60.0, 80.0]


def test_readers_that_write_the_same_share_a_folder(tmp_path):
    folders = {name: load.folder_of(tmp_path, name).name for name in load.READERS}
    assert folders["onewarp"] == folders["onewarp pread"] == folders["onewarp, end to end"] != folders["onewarp JPEG"]
    assert folders["FFCV"] == folders["FFCV (crop and flip only), end to end"] != folders["FFCV JPEG"]
    assert folders["ImageFolder"] == folders["the warp alone"] == folders["fastai, end to end"] == "files"
