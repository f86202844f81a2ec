"""RandAugment and TrivialAugment, of the operations that fuse: however many are picked, one resampling."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .colour import Brightness, Contrast, Posterize, Saturation, Solarize
from .draw import Draw
from .fusible import Geometric, Pointwise, is_declared
from .geometry import Affine, Rotate
from .operations import Pick, Row
from .plan import Array, Stage
from .random_transform import Params
from .transform import Transform
from .warp.opcodes import Flag
from .warp.outspec import Padding

_NOTHING: dict[Stage, Any] = {
    Stage.LOGIT: np.eye(3, 4),
    Stage.HUE: 0.0,
    Stage.TABLE: np.linspace(0, 1, 256),
    Stage.RGB: np.eye(3, 4),
    Stage.ERASE: 0.0,
}
_LAST = 1 - 2.0**-24


def inner_draw(draw: Draw, at_ends: bool) -> Draw:
    """The numbers that are left for the picked transform, each moved to the nearer end of 0..1 with `at_ends`."""
    rest = draw.values[:, 1:]
    return Draw(np.where(rest < 0.5, 0.0, _LAST) if at_ends else rest)


def picks(draw: Draw, index: int, of: int) -> NDArray[np.bool_]:
    """Whether number 0 picks `index` of `of`, for each sample."""
    return np.asarray(np.floor(draw.uniform(0, 0, of)) == index)


def check_pickable(transform: Geometric | Pointwise) -> None:
    """`UsageError` for a transform that comes to a size: images of one batch would come to several."""
    row = transform.row() if isinstance(transform, Geometric) else None
    if getattr(transform, "size", None) is not None or (row is not None and row.operation.resizes):
        raise UsageError(
            f"what is picked must keep the images' size, but {transform!r} comes to one: "
            f"leave its size out, and put Resize(n) beside what is picked"
        )


def row_with_pick(t: "PickedGeometric | PickedPointwise") -> Row[Any] | None:
    """The row of the transform inside with the pick; None where that transform has methods of its own."""
    row = t.transform.row() if is_declared(t.transform) else None
    pick = Pick(t.index, t.of, t.at_ends)
    return None if row is None else replace(row, flags=row.flags & ~Flag.TURNS, pick=pick)


class PickedGeometric(Geometric):
    """A geometric transform that happens where the stream of numbers picks number `index` of `of`.

    Those that share a `stream` exclude one another; with `at_ends` only the ends of the transform's ranges are drawn.
    The transform may be anyone's: where it has no row, its own methods are called with the numbers behind the first.
    """

    draws = 8
    transform: Geometric
    stream: str
    index: int
    of: int
    at_ends: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pickable(self.transform)

    def row(self) -> Row[Any] | None:
        """The transform's, with the pick."""
        return row_with_pick(self)

    def params(self, draw: Draw) -> Params:
        """The transform's, and `picked`: bool `[N]`."""
        return {**self.transform.params(inner_draw(draw, self.at_ends)), "picked": picks(draw, self.index, self.of)}

    def normalised(self, params: Params, frame: Array) -> Array:
        """The transform's matrix, or the identity."""
        return np.where(params["picked"][:, None, None], self.transform.normalised(params, frame), np.eye(3))

    def padding(self) -> Padding | None:
        """What lies outside the image for the picked transform."""
        return self.transform.padding()


class PickedPointwise(Pointwise):
    """A pointwise transform that happens where the stream of numbers picks number `index` of `of`."""

    draws = 8
    transform: Pointwise
    stream: str
    index: int
    of: int
    at_ends: bool = False

    @property
    def stage(self) -> Stage:
        """The part of the colour map that the picked transform is."""
        return self.transform.stage

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pickable(self.transform)

    def row(self) -> Row[Any] | None:
        """The transform's, with the pick."""
        return row_with_pick(self)

    def params(self, draw: Draw) -> Params:
        """The transform's, and `picked`: bool `[N]`."""
        return {**self.transform.params(inner_draw(draw, self.at_ends)), "picked": picks(draw, self.index, self.of)}

    def effect(self, params: Params) -> Array:
        """The transform's effect, or none."""
        effect = self.transform.effect(params)
        picked = params["picked"].reshape(-1, *[1] * (effect.ndim - 1))
        return np.where(picked, effect, _NOTHING[self.stage])


def pick_one(transforms: Sequence[Any], stream: str, at_ends: bool = False) -> list[Transform]:
    """Of `transforms` one happens to each sample, or nothing, all with the same probability."""
    of = len(transforms) + 1
    return [
        (PickedGeometric if isinstance(t, Geometric) else PickedPointwise)(t, stream, i, of, at_ends)
        for i, t in enumerate(transforms)
    ]


def rand_augment(n: int = 2, magnitude: float = 9, bins: int = 31, pad_mode: Padding = "zeros") -> list[Transform]:
    """`n` operations picked for each sample, at magnitude `magnitude` of `bins` (Cubuk et al., "RandAugment", 2019).

    Of the paper's operations those that fuse: shear, translate, rotate, brightness, colour, contrast, solarize and
    posterize. Equalise, auto-contrast and sharpness depend on more than the pixel; they come through `Kornia`.
    Brightness, colour and contrast have the paper's factors, up to 0.1 to 1.9, on logits.
    """
    if n < 1 or bins < 2:
        raise UsageError(f"rand_augment picks at least 1 operation of at least 2 bins, but got n={n}, bins={bins}")
    if not 0 <= magnitude < bins:
        raise UsageError(f"magnitude must be from 0 to {bins - 1}, but got {magnitude}")
    share = magnitude / (bins - 1)
    operations = [
        *_magnitude_operations(share, pad_mode),
        Solarize(1 - share, p=1.0),
        Posterize(8 - round(4 * share), p=1.0),
    ]
    return [t for slot in range(n) for t in pick_one(operations, f"rand_augment {slot}", at_ends=True)]


def trivial_augment(pad_mode: Padding = "zeros") -> list[Transform]:
    """One operation picked for each sample, at any magnitude (Müller and Hutter, "TrivialAugment", 2021).

    The ranges are those that the paper calls wide, but for factors, which go from 0.1 to 1.9 and not to a black image.
    """
    operations = [
        *_magnitude_operations(1.0, pad_mode, wide=True),
        Solarize((0.0, 1.0), p=1.0),
        Posterize((2.0, 8.0), p=1.0),
    ]
    return pick_one(operations, "trivial_augment")


def _magnitude_operations(share: float, pad_mode: Padding, wide: bool = False) -> list[Transform]:
    """The operations with a magnitude; `wide` takes TrivialAugment's wide ranges in place of RandAugment's."""
    shear = float(np.rad2deg(np.arctan((0.99 if wide else 0.3) * share)))
    shift, turn = (32 / 224 if wide else 0.45) * share, (135.0 if wide else 30.0) * share  # 32 pixels of 224
    light = 0.9 * share
    factor = (1 - light, 1 + light)
    return [
        Affine(shear=(shear, 0.0), pad_mode=pad_mode),
        Affine(shear=(0.0, shear), pad_mode=pad_mode),
        Affine(translate=(shift, 0.0), pad_mode=pad_mode),
        Affine(translate=(0.0, shift), pad_mode=pad_mode),
        Rotate(turn, p=1.0, pad_mode=pad_mode),
        Brightness(light, p=1.0),  # at mid-grey what a factor of 1 - light to 1 + light does to it
        Saturation(factor=factor, p=1.0),
        Contrast(factor=factor, p=1.0),
    ]
