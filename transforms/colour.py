"""Tone and colour: each transform is the effect of one stage of the warp's colour map, a row a sample.

Brightness, contrast and saturation act on logits, as in fastai: there they are affine, and never leave the range.
"""

import math
from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch

from ..errors import UsageError
from .colour_operations import (
    BRIGHTNESS,
    CHANNELS,
    ERASE,
    FACTOR,
    GAMMA,
    HUE,
    LEVELS,
    POSTERIZE,
    SCALE,
    SOLARIZE,
)
from .fusible import Pointwise
from .operations import ColourOperation, Decision, Number, Row, between, between_logs, constant, convert_decision
from .plan import Array, Stage
from .settings import check_decision, check_number, check_numbers, check_pair, check_range
from .transform import Split
from .types import TensorImage
from .warp.opcodes import Flag

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def lighting_factor(transform: Any) -> Number:
    """A factor between `1 - max_lighting` and its inverse, even in its logarithm.

    Where the transform has a range `factor`, it is drawn from that, evenly.
    """
    if transform.factor is not None:
        low, high = transform.factor
        return between(low, high, transform.draw)
    most = -math.log(1 - transform.max_lighting)
    return between_logs(-most, most, transform.draw)


def check_lighting(transform: Any) -> None:
    """`UsageError` where a setting of contrast or saturation makes no factor."""
    check_number(transform, "max_lighting", 0, 1, "[)")
    check_decision(transform, "draw")
    if transform.factor is not None:
        check_pair(transform, "factor")


class Brightness(Pointwise):
    """Add the logit of a number around one half, with probability `p`: above one half makes the image brighter."""

    stage = Stage.LOGIT
    max_lighting: float = 0.2
    p: float = 0.75
    draw: Decision = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_lighting", 0, 1)
        check_decision(self, "draw", 0, 1)

    def row(self) -> Row[ColourOperation]:
        """What is added to the logits, as a brightness."""
        most = 0.5 * self.max_lighting
        return BRIGHTNESS.row(p=self.p, change=between(0.5 - most, 0.5 + most, self.draw))


class Contrast(Pointwise):
    """Multiply the logits by a factor around one, with probability `p`.

    `factor` is a range in place of `max_lighting`, drawn from evenly.
    """

    stage = Stage.LOGIT
    max_lighting: float = 0.2
    p: float = 0.75
    draw: Decision = None
    batch: bool = False
    factor: tuple[float, float] | None = field(default=None, metadata={"added": "0.2.0"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_lighting(self)

    def row(self) -> Row[ColourOperation]:
        """A factor of the logits."""
        return FACTOR.row(p=self.p, factor=lighting_factor(self))


class Saturation(Pointwise):
    """Blend the logits with their luma, with probability `p`: 0 is grey, above 1 is more colourful.

    `factor` is a range in place of `max_lighting`, drawn from evenly.
    """

    stage = Stage.LOGIT
    max_lighting: float = 0.2
    p: float = 0.75
    draw: Decision = None
    batch: bool = False
    factor: tuple[float, float] | None = field(default=None, metadata={"added": "0.2.0"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_lighting(self)

    def row(self) -> Row[ColourOperation]:
        """The share of the logits that stays; the rest is luma."""
        return FACTOR.row(p=self.p, flags=Flag.MIX, factor=lighting_factor(self))


class Hue(Pointwise):
    """Turn the hue (of HSV) by up to `max_hue` turns either way, with probability `p`."""

    stage = Stage.HUE
    max_hue: float = 0.1
    p: float = 0.75
    draw: Decision = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_hue")
        check_decision(self, "draw")

    def row(self) -> Row[ColourOperation]:
        """By how many turns the hue changes."""
        return HUE.row(p=self.p, turns=between(-self.max_hue, self.max_hue, self.draw))


def ends(value: float | tuple[float, float]) -> tuple[float, float]:
    """A range, of which a number is both ends."""
    return value if isinstance(value, tuple) else (value, value)


class Gamma(Pointwise):
    """Raise to a power around one, with probability `p`; `max_gamma` of 1.5 draws from 1/1.5 to 1.5."""

    stage = Stage.TABLE
    max_gamma: float = 1.5
    p: float = 0.5
    draw: Decision = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_gamma", 0, ends="(]")
        check_decision(self, "draw", 0, ends="(]")

    def row(self) -> Row[ColourOperation]:
        """The power to which each channel is raised."""
        most = math.log(self.max_gamma)
        return GAMMA.row(p=self.p, gamma=between_logs(-most, most, self.draw))


class LinearBrightness(Pointwise):
    """Multiply by a factor of a range, with probability `p`, and cut at white: black stays black."""

    stage = Stage.TABLE
    factor: tuple[float, float] = (0.8, 1.2)
    p: float = 0.75
    draw: Decision = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "factor", 0)
        check_decision(self, "draw", 0)

    def row(self) -> Row[ColourOperation]:
        """The factor of each channel."""
        low, high = self.factor
        return SCALE.row(p=self.p, factor=between(low, high, self.draw))


class Invert(Pointwise):
    """The negative, with probability `p`."""

    stage = Stage.TABLE
    p: float = 0.5
    batch: bool = False

    def row(self) -> Row[ColourOperation]:
        """The negative of what is at least a level that all are."""
        return SOLARIZE.row(p=self.p, threshold=constant(-1))


class Solarize(Pointwise):
    """The negative of what is at least `threshold` (0..1, or a range to draw from), with probability `p`."""

    stage = Stage.TABLE
    threshold: float | tuple[float, float] = 0.5
    p: float = 0.5
    draw: Decision = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "threshold", 0, 1)
        check_decision(self, "draw")

    def row(self) -> Row[ColourOperation]:
        """The threshold in grey levels; one that is not drawn is the first level that is no less."""
        low, high = ends(self.threshold)
        decision = low if self.draw is None and low == high else self.draw
        levels = convert_decision(decision, lambda value: np.searchsorted(LEVELS, value))
        return SOLARIZE.row(p=self.p, threshold=between(255 * low, 255 * high, levels))


class Posterize(Pointwise):
    """Keep the upper `bits` of each grey level (a number, or a range to draw from), with probability `p`."""

    stage = Stage.TABLE
    bits: float | tuple[float, float] = 4
    p: float = 0.5
    draw: Decision = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "bits", 0, 8)
        check_decision(self, "draw", 0, 8)

    def row(self) -> Row[ColourOperation]:
        """How many upper bits of each level are kept."""
        return POSTERIZE.row(p=self.p, bits=between(*ends(self.bits), self.draw))


class Grayscale(Pointwise):
    """The luma in all three channels, with probability `p`."""

    stage = Stage.RGB
    p: float = 0.1
    batch: bool = False

    def row(self) -> Row[ColourOperation]:
        """No share of the colour stays."""
        return FACTOR.row(p=self.p, flags=Flag.MIX, factor=constant(0))


class Normalize(Pointwise):
    """Subtract `mean` and divide by `std`, each a number a channel, for RGB in 0..1; `setup` learns them from images.

    Raises `UsageError` for statistics that are not of RGB in 0..1: those of 0..255 are divided by 255 first.

    >>> Normalize((0.5,) * 3, (0.25,) * 3).decode(TensorImage(torch.full((3, 1, 1), 2.0))).flatten().tolist()
    [1.0, 1.0, 1.0]
    """

    order = 99
    split: ClassVar[Split | None] = None
    leaves_range: ClassVar[bool] = True
    stage = Stage.RGB
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.mean is None) != (self.std is None):
            raise UsageError("Normalize: give mean and std both, or neither, and setup learns them from images")
        if self.mean is not None:
            check_numbers(self, "mean", 3, 0, 1)
            check_numbers(self, "std", 3, 0, 1, "(]")

    def setup(self, items: Sequence[Any]) -> Self:
        """With the mean and deviation over up to 64 of the images, unless they are given."""
        if self.mean is not None:
            return self
        samples = [items[i] for i in range(min(len(items), 64))]
        images = [(s[0] if isinstance(s, tuple) else s).plain() for s in samples]
        pixels = torch.cat([(i / 255 if i.dtype == torch.uint8 else i).flatten(1) for i in images], 1).double()
        return replace(self, mean=tuple(pixels.mean(1).tolist()), std=tuple(pixels.std(1).tolist()))

    def row(self) -> Row[ColourOperation]:
        """A factor and an offset for each channel."""
        mean, std = self._statistics()
        numbers = zip(CHANNELS.operands, (*(1 / std), *(-mean / std)), strict=True)
        return Row(CHANNELS, {operand.name: constant(value) for operand, value in numbers})

    def decode(self, y: TensorImage):  # type: ignore[no-untyped-def]
        """The colours in 0..1 again, by the deviation and then the mean."""
        mean, std = (torch.tensor(s, dtype=torch.float32, device=y.device)[:, None, None] for s in self._statistics())
        return y.plain().float() * std + mean

    def _statistics(self) -> tuple[Array, Array]:
        if self.mean is None or self.std is None:
            raise UsageError("Normalize has no mean and std yet: call setup with images, or give both")
        return np.array(self.mean, np.float64), np.array(self.std, np.float64)


class RandomErasing(Pointwise):
    """Make a rectangle zero, with probability `p`: after `Normalize`, zero is the mean colour.

    `area` bounds its share of the image and `ratio` its aspect, drawn evenly in the logarithm (Zhong et al.,
    "Random erasing data augmentation", 2017). A rectangle that would stick out is cut to the image's side.
    """

    order = 100
    stage = Stage.ERASE
    p: float = 0.5
    area: tuple[float, float] = (0.02, 0.3)
    ratio: tuple[float, float] = (0.3, 1 / 0.3)
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "area", 0, 1)
        check_pair(self, "ratio", 0, ends="(]")

    def row(self) -> Row[ColourOperation]:
        """A rectangle that lies anywhere."""
        low, high = (math.log(value) for value in self.ratio)
        return ERASE.row(
            p=self.p, area=between(*self.area), ratio=between_logs(low, high), x=between(0, 1), y=between(0, 1)
        )
