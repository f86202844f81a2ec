import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from onewarp.benchmarks import presize, readme
from onewarp.benchmarks.measuring import results
from onewarp.errors import UsageError


@pytest.fixture
def photos(tmp_path):
    """A folder of smooth photos, one of them of 500 pixels."""
    (tmp_path / "photos").mkdir()
    y, x = np.mgrid[:375, :500] / 500
    smooth = (np.stack([x, y, (x + y) / 2], -1) * 255).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "photos" / "500.jpg", quality=95)
    Image.fromarray(smooth[:200, :300]).save(tmp_path / "photos" / "300.jpg", quality=95)
    return tmp_path / "photos"


def measured(name, setting, times, least):
    rates = {"cpu": [9.0, 10.0, 11.0]}
    psnr = {"mean": 60.0, "least": least}
    told = {"name": name, "setting": setting, "status": "measured", "images_per_second": rates}
    return {**told, "times_fastai": times, "psnr": psnr}


def test_a_peer_is_measured_on_photos_of_the_wanted_size(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(presize, "CONTENDERS", {"absent": ("no-such-package", None)})
    given = {
        "web": photos,
        "phone": photos,
        "size": 64,
        "rounds": 2,
        "simd": sys.executable,
        "out": tmp_path / "r.json",
    }
    done = CliRunner().invoke(presize.main, [f"--{name}={value}" for name, value in given.items()])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "r.json").read_text())
    results.check(found)
    assert found["settings"] == {presize.WEB: 1, presize.PHONE: 2, "size": 64, "rounds": 2}
    pillow, absent = found["rows"][:2]
    assert pillow["psnr"]["least"] > 50
    assert absent == {
        "name": "absent",
        "setting": presize.WEB,
        "status": "not installed",
        "reason": "no-such-package is not there",
    }
    assert pillow["name"] in done.output


def test_the_reference_is_the_mean_of_a_flat_photo_and_psnr_finds_a_turned_one(photos):
    expected = presize.reference(str(photos / "500.jpg"), 64)
    assert expected.shape == (64, 64, 3)
    assert presize.psnr(np.rot90(expected), expected) > 100
    assert presize.psnr(expected + 1, expected) == pytest.approx(20 * np.log10(255))


def test_what_is_asked_is_held_against_fastai_and_50_db():
    rows = [measured(presize.OURS, presize.WEB, 2.25, 57.0), measured(presize.OURS, presize.PHONE, 4.5, 49.0)]
    assert [(one["got"], one["holds"]) for one in presize.goals(rows)] == [
        (2.25, False),
        (57.0, True),
        (4.5, True),
        (49.0, False),
    ]


def test_the_table_has_every_set_of_photos():
    rows = [measured("a", presize.WEB, 2.25, 57.0), measured("a", presize.PHONE, None, 49.0)]
    lines = readme.presize_table({"rows": rows}).splitlines()
    assert lines[0].startswith("| way | 500 px web photos, images/s | 500 px web photos, times fastai |")
    assert lines[2] == "| a | 10.0 | 2.25 | 60.0 (57.0) | 10.0 |  | 60.0 (49.0) |"


def test_a_folder_without_such_photos_is_one_line(photos):
    with pytest.raises(UsageError, match="none that fits"):
        presize.choose_photos(photos, 48, 501)
