"""Recipes of everything that is drawn by a table, which `recipe` goes through, and recipes that nobody chose; and
pictures without fine detail.
"""

from typing import Any

import numpy as np
import pytest
import torch

from onewarp.transforms import aug_transforms, colour_operations, geometric_operations, rand_augment, trivial_augment
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
from onewarp.transforms.fusible import Geometric, Pointwise
from onewarp.transforms.geometric_operations import AFFINE
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
from onewarp.transforms.operations import ColourOperation, GeometricOperation, Number, Row, constant
from onewarp.transforms.plan import Stage
from onewarp.transforms.policies import pick_one
from onewarp.transforms.transform import Transform
from onewarp.transforms.types import TensorCategory, TensorImage
from onewarp.transforms.warp.opcodes import Flag

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


GEOMETRIC = [o for o in vars(geometric_operations).values() if isinstance(o, GeometricOperation)]
COLOUR = [o for o in vars(colour_operations).values() if isinstance(o, ColourOperation)]
REACH = {"degrees": 180, "shear_x": 60, "shear_y": 60, "k": 8, "threshold": 500, "bits": 20, "scale": 4, "zoom": 4}
"""How far an operand's numbers go, where they may go further than half."""


class Moved(Geometric):
    """A transform that is a row."""

    declared: Any = None
    batch: bool = False

    def row(self):
        return self.declared


class Coloured(Pointwise):
    """A transform that is a row."""

    declared: Any = None
    of: Stage = Stage.RGB
    batch: bool = False

    @property
    def stage(self):
        return self.of

    def row(self):
        return self.declared


def random_number(operand, generator):
    """A number of an operand: one or two ends, as they are or logarithms, or a decision."""
    low, high = sorted(REACH.get(operand.name, 0.5) * generator.uniform(0.05, 0.95, 2))
    log = bool(generator.integers(2)) if operand.name in ("factor", "gamma") else operand.log
    return Number(low, high, log=log) if generator.integers(2) else constant(low)


def random_row(operations, generator):
    operation = operations[generator.integers(len(operations))]
    neutral = [operand.name for operand in operation.operands if operand.neutral is not None]
    left_out = [name for name in neutral if operation is AFFINE and generator.integers(2)]
    numbers = {o.name: random_number(o, generator) for o in operation.operands if o.name not in left_out}
    constants = (0.9, 0.1, 0.0, -0.1, 1.1, 0.05, 0.02, 0.01, 1.0)
    if isinstance(operation, GeometricOperation) and operation.resizes:
        constants = tuple(generator.integers(1, 300, 2).tolist())
    flags = (0, Flag.PAD, Flag.SQUISH, Flag.MIX)[generator.integers(4)]
    return Row(operation, numbers, generator.uniform(), flags, constants)


@pytest.fixture(scope="session")
def moved():
    """A geometric transform that is a row."""
    return Moved


@pytest.fixture(scope="session")
def coloured():
    """A pointwise transform that is a row."""
    return Coloured


@pytest.fixture(scope="session")
def random_recipe():
    """A function that makes a recipe of random rows of all operations from a seed: all of them, or one to be picked."""

    def make(seed: int) -> list[Any]:
        generator = np.random.default_rng(seed)
        moves = range(generator.integers(5))
        made: list[Any] = [Moved(random_row(GEOMETRIC, generator), bool(generator.integers(2))) for _ in moves]
        for _ in range(generator.integers(5)):
            row = random_row(COLOUR, generator)
            stages = row.operation.stages
            made.append(Coloured(row, stages[generator.integers(len(stages))], bool(generator.integers(2))))
        made = [made[i] for i in generator.permutation(len(made))]
        if generator.integers(2):
            keeping = [t for t in made if not (isinstance(t, Moved) and t.declared.operation.resizes)]
            made = pick_one(keeping, "stream", bool(generator.integers(2)))
        return [Resize((50, 60)), *made, Resize((40, 50))]

    return make


class Halve(Transform):
    by: int = 2

    def encode(self, x: TensorImage):
        return x.plain() / self.by

    def encode(self, x: int | float) -> str:  # noqa: F811
        return f"{x / self.by}"

    def decode(self, y: TensorImage):
        return y * self.by


class Named(Transform):
    def encode(self, x: str) -> TensorCategory:
        return TensorCategory(len(x))


@pytest.fixture(scope="session")
def halve():
    """A transform of images and of numbers, of which images come back."""
    return Halve


@pytest.fixture(scope="session")
def named():
    """A transform of texts alone."""
    return Named
