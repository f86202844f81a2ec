"""Geometry: the ancestors' matrices by their numbers, and what they do to a pixel."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.transforms.draw import draw
from onewarp.transforms.geometry import (
    Affine,
    Dihedral,
    Flip,
    RandomResizedCrop,
    Resize,
    Rotate,
    ShearX,
    Warp,
    Zoom,
)
from onewarp.transforms.types import TensorImage

SQUARE = np.array([[224.0, 224.0]])


def matrix(transform, frame=SQUARE, seed=0):
    params = transform.params(draw(seed, 0, [0], "test", transform.draws))
    return transform.place(params, frame)[0][0]


def test_rotate_is_the_chapters():
    assert np.allclose(matrix(Rotate(draw=30, p=1))[:2, :2], [[0.8660, 0.5], [-0.5, 0.8660]], atol=1e-4)


def test_zoom_is_the_chapters():
    assert np.allclose(np.diag(matrix(Zoom(draw=1.2, p=1)))[:2], 0.8333, atol=1e-4)


def test_warp_is_the_chapters():
    expected = [[1, -0.0870, 0.2174], [-0.0870, 1, -0.2174], [0.2174, -0.2174, 1]]
    assert np.allclose(matrix(Warp(draw_x=-0.2, draw_y=0.2, p=1)), expected, atol=1e-4)


def test_a_zoom_keeps_its_point_in_place():
    moved = matrix(Zoom(draw=1.5, draw_x=0.25, draw_y=1.0, p=1)) @ [-0.5, 1.0, 1.0]
    assert np.allclose(moved, [-0.5, 1.0, 1.0])


def test_rotation_is_rigid_in_pixels_whatever_the_aspect():
    wide = np.array([[100.0, 300.0]])
    turned = matrix(Rotate(draw=90, p=1), wide) @ [50 / 150, 0, 1]  # 50 pixels to the right of the middle
    assert np.allclose(turned[:2] * [150, 50], [0, -50])


def test_flip_mirrors_pixels():
    image = TensorImage(torch.arange(12, dtype=torch.uint8).reshape(1, 2, 6).repeat(3, 1, 1))
    assert torch.equal(Flip(p=1)(image), image.flip(-1))
    assert torch.equal(Flip(p=0)(image), image)


@pytest.mark.parametrize("k", range(8))
def test_dihedral_gives_the_eight_symmetries(k):
    image = TensorImage(torch.randint(0, 255, (3, 4, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))
    expected = image
    if k & 4:
        expected = expected.mT
        expected = expected.flip(-2) if k & 1 else expected  # x of the source runs along the rows now
        expected = expected.flip(-1) if k & 2 else expected
    else:
        expected = expected.flip(-1) if k & 1 else expected
        expected = expected.flip(-2) if k & 2 else expected
    assert torch.equal(Dihedral(p=1, draw=k)(image), expected)


def test_resize_crops_the_middle_in_validation_and_anywhere_in_training():
    image = TensorImage(torch.arange(30, dtype=torch.uint8).repeat(3, 10, 1))
    middle = Resize(10)(image, split="valid")
    assert torch.equal(middle, image[..., 10:20])
    lefts = {int(Resize(10)(image, keys=k)[0, 0, 0]) for k in range(60)}
    assert len(lefts) > 12
    assert min(lefts) < 4
    assert max(lefts) >= 16


def test_resize_squishes_and_pads():
    image = TensorImage(torch.full((3, 10, 30), 200, dtype=torch.uint8))
    assert Resize(12, method="squish")(image, split="valid").eq(200).all()
    padded = Resize(12, method="pad", pad_mode="zeros")(image, split="valid")
    assert padded[0, :, 6].tolist()[:3] == [0, 0, 0]
    assert padded[0, 5:7, 1:-1].eq(200).all()


@given(st.integers(20, 400), st.integers(20, 400), st.integers(0, 1000))
def test_a_random_resized_crop_stays_inside_and_has_its_aspect(h, w, seed):
    frame = np.array([[float(h), float(w)]])
    crop = RandomResizedCrop(32, min_scale=0.3)
    params = crop.params(draw(seed, 0, ["k"], "crop", 4))
    m, leaves = crop.place(params, frame)
    box = m[0] @ np.array([[-1, -1, 1], [1, 1, 1]]).T
    assert leaves.tolist() == [[32, 32]]
    assert (np.abs(box[:2]) <= 1 + 1e-9).all()
    width, height = (box[:2, 1] - box[:2, 0]) / 2 * [w, h]
    assert np.isclose(width / height, params["ratio"][0])
    assert width * height / (h * w) <= params["area"][0] + 1e-9


def test_in_validation_a_random_resized_crop_takes_the_middle():
    image = TensorImage(torch.arange(30, dtype=torch.uint8).repeat(3, 10, 1))
    assert torch.equal(RandomResizedCrop(10, val_xtra=0.0)(image, split="valid"), image[..., 10:20])


def test_affine_moves_scales_and_shears():
    assert np.allclose(matrix(Affine(translate=(0.5, 0.0)), seed=3)[1], [0, 1, 0])
    assert np.isclose(np.linalg.det(matrix(Affine(scale=(2.0, 2.0)))), 0.25)
    assert np.isclose(np.linalg.det(matrix(Affine(shear=20.0))), 1)
    assert np.allclose(matrix(Affine(shear=(20.0, 0.0)))[1], [0, 1, 0])
    assert np.allclose(matrix(Affine(max_deg=30))[:2, :2] @ matrix(Affine(max_deg=30))[:2, :2].T, np.eye(2))


def test_a_size_of_another_aspect_takes_the_middle_and_squeezes_nothing():
    image = TensorImage(torch.arange(30, dtype=torch.uint8).repeat(3, 10, 1))
    assert torch.equal(Flip(p=0, size=10)(image), image[..., 10:20])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rotate(mode="cubic"), "mode must be 'bilinear'"),
        (lambda: Rotate(pad_mode="wrap"), "pad_mode must be one of reflection, border, zeros or an RGB colour"),
        (lambda: Flip(p=1.5), r"Flip: p must be a number in \[0, 1\], but got 1.5"),
        (lambda: Resize(0), "size must be at least 1 pixel"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_the_verbs_of_the_chapter():
    image = TensorImage(torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1)))
    assert torch.allclose(image.rotate(draw=180), image.flip(-1).flip(-2), atol=1e-5)
    assert image.zoom(draw=1.2, size=16).shape == (3, 16, 16)
    assert image.warp(draw_x=-0.2, draw_y=0.2).shape == (3, 32, 32)
    assert torch.equal(image.affine_coord(), image)
    assert torch.equal(image.affine_coord(torch.tensor([[-1.0, 0, 0], [0, 1, 0]])), image.flip(-1))


@given(st.floats(-80, 80), st.floats(-80, 80), st.floats(-180, 180), st.floats(0.2, 5))
def test_an_affine_map_keeps_areas_but_for_its_scale(shear_x, shear_y, degrees, scale):
    params = {"degrees": degrees, "shear_x": shear_x, "shear_y": shear_y, "scale": scale, "x": 0.1, "y": -0.2}
    params = {name: np.array([value]) for name, value in params.items()}
    found = Affine().normalised(params, np.array([[90.0, 160.0]]))[0]
    assert np.isclose(np.linalg.det(found), scale**-2, rtol=1e-6)


@pytest.mark.parametrize(("x", "y"), [(20, 0), (0, 20), (30, 15), (60, 60), (-50, 35)])
def test_a_shear_is_torchvisions(x, y):
    module = pytest.importorskip("torchvision.transforms.functional")
    theirs = np.array(module._get_inverse_affine_matrix([0, 0], 0, [0, 0], 1, [-x, -y])).reshape(2, 3)
    names = {"degrees": 0.0, "shear_x": float(x), "shear_y": float(y), "scale": 1.0, "x": 0.0, "y": 0.0}
    ours = Affine().normalised({name: np.array([value]) for name, value in names.items()}, SQUARE)[0]
    assert np.allclose(np.linalg.det(theirs[:, :2]), 1)
    assert np.allclose(ours[:2, :2], theirs[:, :2]) or np.allclose(ours[:2, :2], theirs[:, :2].T)


def test_a_sheared_image_leans_by_the_degrees_whatever_the_aspect():
    """Of a frame of 90 x 160 the bottom's middle comes from half a height times the tangent aside, the centre stays."""
    frame = np.array([[90.0, 160.0]])
    found = matrix(ShearX(draw=30, p=1), frame)
    assert found[0, 1] == pytest.approx(-np.tan(np.deg2rad(30)) * 90 / 160)
    assert np.delete(found.ravel(), 1) == pytest.approx([1, 0, 0, 1, 0, 0, 0, 1])
    turned = Affine(shear=(30.0, 0.0)).normalised({"shear_x": np.array([30.0])}, frame)[0]
    assert np.array_equal(found, turned)
