"""Recipes of everything that is drawn by a table, which `recipe` goes through; and pictures without fine detail."""

import pytest
import torch

from onewarp.transforms import aug_transforms, rand_augment, trivial_augment
from onewarp.transforms.colour import (
    Brightness,
    Contrast,
    Gamma,
    Grayscale,
    Hue,
    Invert,
    LinearBrightness,
    Normalize,
    Posterize,
    RandomErasing,
    Saturation,
    Solarize,
)
from onewarp.transforms.geometry import (
    Affine,
    Dihedral,
    Flip,
    Homography,
    RandomResizedCrop,
    Resize,
    Rotate,
    ShearX,
    Warp,
    Zoom,
)
from onewarp.transforms.types import TensorImage

NORMALIZE = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
RECIPES = {
    "the ancestors' recipe": [*aug_transforms(size=224, min_scale=0.75), NORMALIZE],
    "resized first": [Resize(200), *aug_transforms(size=160, max_warp=0.3, flip_vert=True), NORMALIZE],
    "rectangles": [Resize((90, 160)), Flip(), Rotate(30, p=1.0), Zoom(1.2, 2.0, p=1.0), Warp(0.3, p=1.0)],
    "affine": [Affine(20, (0.1, 0.2), (0.7, 1.4), (15.0, 10.0), p=0.8), Resize(96, method="pad")],
    "sheared": [ShearX(40, p=0.8), Resize(64), ShearX(draw=-20.0, p=1.0, size=(40, 60))],
    "dihedral": [Resize(64, method="squish"), Dihedral(p=0.9)],
    "turned frames": [Dihedral(p=0.9), RandomResizedCrop((96, 64), ratio=(0.5, 2.0))],
    "turned twice": [
        Dihedral(p=0.9),
        Rotate(30, p=1.0),
        Dihedral(p=0.5),
        Zoom(1.2, 2.0, p=1.0),
        Resize((40, 60)),
        Affine(20, (0.1, 0.2), p=1.0),
    ],
    "given": [
        Resize(64),
        Flip(draw=1),
        Dihedral(draw=5),
        Rotate(draw=12.5, p=0.5),
        Zoom(draw=1.5, draw_x=0.25, p=1.0),
        Warp(draw_x=0.1, draw_y=-0.2, p=1.0),
        Brightness(draw=0.7),
        Contrast(draw=1.4),
        Saturation(draw=0.0),
        Hue(draw=0.2),
        Gamma(draw=2.0, p=1.0),
    ],
    "colours": [
        Resize(32),
        Brightness(0.5),
        Saturation(0.6),
        Contrast(0.4),
        Brightness(0.2),
        Hue(0.3),
        Hue(0.1),
        Gamma(2.0, p=0.8),
        Grayscale(p=0.3),
        NORMALIZE,
        RandomErasing(p=0.7),
    ],
    "tables": [Resize(32), Solarize(0.6), Posterize((2, 6), p=0.8), Invert(), Gamma(1.4, p=1.0)],
    "between two levels": [Resize(32), Gamma(2.0, p=1.0), Gamma(1.6, p=0.9), Posterize((3, 6), p=0.5)],
    "scaled": [Resize(32), LinearBrightness((0.2, 2.5), p=0.8), LinearBrightness(draw=1.5, p=1.0), Posterize(3)],
    "out of order": [Resize(32), Solarize(0.6, p=0.5), Brightness(0.3), Contrast(0.3), NORMALIZE],
    "one for all": [Resize(32), Rotate(45, p=1.0, batch=True), Brightness(0.4, batch=True), Flip()],
    "a given map": [Homography(((0.9, 0.1, 0.0), (0.0, 1.1, 0.1), (0.05, 0.0, 1.0)), 48)],
    "rand_augment": [Resize(64), *rand_augment(2), NORMALIZE],
    "trivial_augment": [Resize(64), *trivial_augment(), NORMALIZE],
}


@pytest.fixture(scope="session")
def recipes():
    return RECIPES


@pytest.fixture(params=RECIPES)
def recipe(request):
    return RECIPES[request.param]


def smooth_picture(h=96, w=96, seed=0):
    """A picture without detail finer than some pixels, so that a resampling more or less does not matter."""
    noise = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(noise, (h, w), mode="bicubic").clamp(0, 1)[0]
    return TensorImage(0.1 + 0.8 * large)  # away from black and white, whose logits are cut off


@pytest.fixture(scope="session")
def smooth():
    return smooth_picture


@pytest.fixture(scope="session")
def batch():
    """Five such pictures, `uint8[5, 96, 96, 3]`."""
    return torch.stack(
        [(smooth_picture(seed=i) * 255).round().to(torch.uint8).permute(1, 2, 0).plain() for i in range(5)]
    )
