import numpy as np
from PIL import Image, ImageOps

from onewarp.trainers.synthetic_photos import CLASSES, draw_photos, photo


def test_a_picture_follows_from_its_seed():
    once, again, other = (photo("striped_leaf", np.random.default_rng([0, 1, n])) for n in (2, 2, 3))
    assert np.array_equal(once, again)
    assert once.shape != other.shape or not np.array_equal(once, other)


def test_every_class_has_its_folder_of_jpegs_of_many_sizes(tmp_path):
    draw_photos(tmp_path, per_class=4)
    files = sorted(tmp_path.rglob("*.*"))
    assert len(files) == 4 * len(CLASSES) == 24
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(CLASSES)
    facts = []
    for file in files:
        with Image.open(file) as picture:
            facts.append((picture.format, picture.size, picture.getexif().get(0x0112)))
    formats, sizes, orientations = map(set, zip(*facts, strict=True))
    assert formats == {"JPEG"}
    assert len(sizes) > 12
    assert {width > height for width, height in sizes} == {True, False}
    assert orientations == {None, 3}


def test_a_turned_file_is_the_picture_once_its_orientation_is_applied(tmp_path):
    draw_photos(tmp_path, per_class=4)
    with Image.open(tmp_path / "spotted_leaf" / "003.jpg") as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored))
    drawn = photo("spotted_leaf", np.random.default_rng([0, 0, 3]))
    assert np.abs(upright.astype(int) - drawn).mean() < 6  # JPEG


def test_files_that_are_there_are_kept(tmp_path):
    (tmp_path / "spotted_leaf").mkdir()
    (tmp_path / "spotted_leaf" / "000.jpg").write_bytes(b"mine")
    draw_photos(tmp_path, per_class=1)
    assert (tmp_path / "spotted_leaf" / "000.jpg").read_bytes() == b"mine"
