"""Fusing: one resampling where one will do, equal to the operations one after the other, on the same draws."""

import numpy as np
import pytest
import torch

from onewarp.errors import UsageError
from onewarp.transforms.augment import aug_transforms, explain, fuse, setup_aug_tfms
from onewarp.transforms.colour import (
    Brightness,
    Normalize,
)
from onewarp.transforms.draw import draw
from onewarp.transforms.geometry import RandomResizedCrop, Resize, Rotate, Warp, Zoom
from onewarp.transforms.types import TensorImage


def names(transforms):
    return [type(t).__name__ for t in transforms]


def test_the_recipe_has_the_ancestors_defaults():
    found = {type(t).__name__: t for t in aug_transforms()}
    assert found["Flip"].p == 0.5
    assert (found["Warp"].magnitude, found["Rotate"].max_deg, found["Zoom"].max_zoom) == (0.2, 10.0, 1.1)
    assert found["Brightness"].max_lighting == found["Contrast"].max_lighting == 0.2
    assert {found[n].p for n in ("Warp", "Rotate", "Zoom", "Brightness", "Contrast")} == {0.75}


def test_mult_scales_rotation_lighting_and_warp_but_not_zoom():
    found = {type(t).__name__: t for t in aug_transforms(mult=2)}
    assert (found["Warp"].magnitude, found["Rotate"].max_deg, found["Brightness"].max_lighting) == (0.4, 20.0, 0.4)
    assert found["Zoom"].max_zoom == 1.1


def test_flip_vert_takes_all_eight_symmetries():
    assert "Dihedral" in names(aug_transforms(flip_vert=True))
    assert "Flip" not in names(aug_transforms(do_flip=False))


def test_the_chapters_setting_is_one_resampling():
    told = explain([Resize(460), *aug_transforms(size=224, min_scale=0.75), Normalize((0.5,) * 3, (0.2,) * 3)])
    assert (told.resamplings, told.pointwise, told.barriers) == (1, 0, ())
    assert str(told).startswith("1 resampling instead of 6")


def test_min_scale_needs_a_size():
    with pytest.raises(UsageError, match="give size=N"):
        aug_transforms(min_scale=0.5)


def test_perspective_acts_on_what_rotation_and_zoom_give():
    """Output to input: warp * (rotate * zoom), in whatever order the transforms are given."""
    rotate, zoom, warp = (
        Rotate(draw=9, p=1),
        Zoom(draw=1.1, draw_x=0.2, draw_y=0.7, p=1),
        Warp(draw_x=0.1, draw_y=-0.2, p=1),
    )
    square = np.array([[224.0, 224.0]])
    numbers = draw(0, 0, [0], "any", 4)
    r, z, w = (t.place(t.params(numbers), square)[0][0] for t in (rotate, zoom, warp))
    plan = fuse(setup_aug_tfms([rotate, zoom, warp])).plan(square, None)
    pixels = np.array([[112.0, 0, 112], [0, 112, 112], [0, 0, 1]])
    assert np.allclose(plan.matrix[0], pixels @ w @ r @ z @ np.linalg.inv(pixels))


def test_fusing_a_fused_opens_it_and_changes_nothing():
    first = fuse([Rotate(), Zoom()])
    assert fuse([first, Brightness()]).transforms == (*first.transforms, Brightness())
    assert fuse([first]) == first


def test_a_sample_does_not_depend_on_its_batch(batch):
    fused = fuse(aug_transforms(size=48, min_scale=0.5))
    keys = list("abcde")
    whole = fused(batch, keys=keys, epoch=2)
    for i, key in enumerate(keys):
        assert torch.equal(fused(batch[i : i + 1], keys=[key], epoch=2)[0], whole[i])
    assert torch.equal(fused(batch[[3, 1]], keys=["d", "b"], epoch=2), whole[[3, 1]])


def test_validation_is_the_middle_without_augmentation(smooth):
    fused = fuse([Resize(64), *aug_transforms(size=32, min_scale=0.5)])
    wide = smooth(64, 128)
    expected = fuse([Resize(32)])(wide, split="valid")
    assert torch.allclose(fused(wide, split="valid", keys="a"), expected, atol=1e-6)
    assert torch.equal(fused(wide, split="valid", keys="a"), fused(wide, split="valid", keys="b"))


def test_decode_takes_the_normalisation_back(smooth):
    normalize = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    fused = fuse([Resize(32), normalize])
    image = smooth()
    decoded = fused.decode(TensorImage(fused(image, split="valid")))
    assert torch.allclose(decoded, fuse([Resize(32)])(image, split="valid"), atol=1e-5)


def test_a_crop_of_the_batch_is_drawn_for_each_image():
    fused = fuse([RandomResizedCrop(32)])
    matrices = fused.plan(np.full((8, 2), 96), range(8)).matrix
    assert len(np.unique(matrices[:, 0, 2].round(6))) == 8


STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def test_normalised_colours_are_not_bytes():
    with pytest.raises(UsageError, match="Normalize makes colours that uint8 cuts off: use a floating dtype"):
        fuse([Resize(8), Normalize(**STATISTICS)], dtype=torch.uint8)
