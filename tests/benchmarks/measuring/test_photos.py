import numpy as np
import pytest
from PIL import Image

from onewarp.benchmarks.measuring import photos
from onewarp.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    """Four photos of one grey each: 0, 60, 120, 180; the middle of the first, which is wide, is white."""
    for number in range(4):
        pixels = np.full((20, 60, 3), 60 * number, np.uint8)
        if number == 0:
            pixels[:, 20:40] = 255
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def test_the_middle_of_photos_and_fewer_come_again(folder):
    found = photos.squares(folder, 6, 20)
    assert found.shape == (6, 20, 20, 3)
    assert found.reshape(6, -1).min(1).tolist() == [255, 60, 120, 180, 255, 60]
    assert found.reshape(6, -1).max(1).tolist() == [255, 60, 120, 180, 255, 60]


def test_photos_are_evenly_chosen_where_there_are_more(folder):
    assert photos.squares(folder, 2, 8)[:, 4, 4, 0].tolist() == [255, 120]


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_without_photos_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=f"{name} has none; name one that has with --photos"):
        photos.photo_files(tmp_path / name)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_rows_begin_at_a_page(count):
    rows = np.random.default_rng(count).integers(0, 256, (count, 5, 7, 3), np.uint8)
    found = photos.padded(rows)
    assert found.ctypes.data % 4096 == 0
    assert np.array_equal(found, rows)
