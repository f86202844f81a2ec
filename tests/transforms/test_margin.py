"""The margin adviser: what is invented, by geometry that can be worked out by hand."""

import pytest

from onewarp.errors import UsageError
from onewarp.transforms.augment import aug_transforms
from onewarp.transforms.geometry import RandomResizedCrop, Resize, Rotate, Zoom
from onewarp.transforms.margin import margin, smallest_presize


def test_a_crop_invents_nothing_outside():
    assert margin([RandomResizedCrop(64)], 256).outside == 0


def test_a_turned_square_sticks_out_at_its_corners():
    """A square turned by 45 degrees: 1 - (2 * sqrt(2) - 2) of it lies outside."""
    found = margin([Resize(100), Rotate(draw=45, p=1)], 400, aspect=1.0)
    assert found.outside == pytest.approx(1 - (2 * 2**0.5 - 2), abs=0.02)


def test_a_zoom_needs_that_much_more():
    assert smallest_presize([Resize(100), Zoom(draw=1.5, p=1)]) == 150


def test_a_random_crop_of_a_quarter_needs_twice_the_size():
    """With areas even between 1/4 and 1, all but 1 % of the crops have a side above sqrt(.2575) of the photo."""
    crop = RandomResizedCrop(100, min_scale=0.25, ratio=(1.0, 1.0))
    assert smallest_presize([crop], bound=0.01, aspect=1.0) == pytest.approx(100 / 0.2575**0.5, rel=0.04)


def test_the_chapters_presize_is_enough():
    chapter = [Resize(460), *aug_transforms(size=224, min_scale=0.75)]
    assert margin(chapter, 460).enlarged == 0
    assert 224 < smallest_presize(chapter) < 460


def test_bad_input():
    with pytest.raises(UsageError, match="presize must be at least 1"):
        margin([Resize(4)], 0)
    with pytest.raises(UsageError, match="zooms too far"):
        smallest_presize([Resize(100), Zoom(draw=1e6, p=1)])
