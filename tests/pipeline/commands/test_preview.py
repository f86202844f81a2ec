"""A sheet of draws, pixel for pixel."""

import numpy as np
import pytest
from PIL import Image

from onewarp.errors import UsageError
from onewarp.pipeline import Loader, parent_label
from onewarp.pipeline.commands.preview import preview
from onewarp.pipeline.commands.transform_texts import read_fused
from onewarp.pipeline.composition.show import displayable
from onewarp.pipeline.presizing.presizer import presize
from onewarp.trainers.synthetic_photos import draw_photos

RECIPE = "Resize(64) | aug_transforms(size=({}, {}))"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    photos = draw_photos(tmp_path_factory.mktemp("photos"), per_class=1)
    path = tmp_path_factory.mktemp("cache") / "c"
    presize(photos, path, size=64, label=parent_label)
    return path


@pytest.mark.parametrize(("size", "scale"), [((150, 170), 1), ((50, 60), 3), ((7, 300), 1)])
def test_a_preview_shows_draws_pixel_for_pixel(cache, tmp_path, size, scale):
    text = RECIPE.format(*size)
    path = preview(cache, tmp_path / "new" / "p.png", text, photos=2, draws=2, seed=3)
    sheet = np.asarray(Image.open(path).convert("RGB"))
    loader = Loader(cache, batch_tfms=read_fused(text), seed=3)
    for key in [str(key) for key in loader.rows.keys(np.array([0, len(loader.rows) - 1]))]:
        for epoch in (0, 1):
            draw = displayable(loader.replay(key, epoch)[0])
            assert holds(sheet, draw.repeat(scale, 0).repeat(scale, 1)), (key, epoch)


def holds(sheet, image):
    """Whether `image` stands somewhere in `sheet`."""
    height, width = image.shape[:2]
    places = np.argwhere((sheet == image[0, 0]).all(-1))
    inside = [(y, x) for y, x in places if y + height <= len(sheet) and x + width <= sheet.shape[1]]
    return any((sheet[y : y + height, x : x + width] == image).all() for y, x in inside)


def test_nothing_of_a_preview_touches_its_edge(cache, tmp_path):
    sheet = np.asarray(Image.open(preview(cache, tmp_path / "p.png", RECIPE.format(40, 40), unfused=True)))
    assert all((edge == 255).all() for edge in (sheet[:6], sheet[-6:], sheet[:, :6], sheet[:, -6:]))


def test_a_preview_needs_photos_draws_and_a_format(cache, tmp_path):
    for settings, name in (({"photos": 0}, "photos"), ({"draws": 0}, "draws")):
        with pytest.raises(UsageError, match=f"{name} must be at least 1, but got 0"):
            preview(cache, tmp_path / "p.png", RECIPE.format(40, 40), **settings)
    with pytest.raises(UsageError, match="out must end in a format of pictures"):
        preview(cache, tmp_path / "p", RECIPE.format(40, 40))
