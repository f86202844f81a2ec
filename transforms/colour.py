"""Tone and colour: each transform is the effect of one stage of the warp's colour map, a row a sample.

Brightness, contrast and saturation act on logits, as in fastai: there they are affine, and never leave the range.
"""

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch

from ..errors import UsageError
from .draw import Draw
from .fusing import Pointwise
from .geometry import Given, given_or
from .plan import Array, Stage
from .settings import check_given, check_number, check_numbers, check_pair, check_range
from .transform import Params, Split
from .types import TensorImage

LUMA = (0.2989, 0.5870, 0.1140)
"""Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601, rounded as in the ancestors)."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def affine(linear: Array, offset: Array | float = 0.0) -> Array:
    """Affine maps `[N, 3, 4]` from linear parts `[N, 3, 3]` and offsets `[N]`, `[N, 3]` or a number."""
    offset = np.asarray(offset)
    maps = np.empty((len(linear), 3, 4))
    maps[..., :3] = linear
    maps[..., 3] = offset[:, None] if offset.ndim == 1 else offset
    return maps


def scaled(factor: Array) -> Array:
    """Diagonal matrices `[N, 3, 3]` with `factor`, `[N]` or `[N, 3]`, on the diagonal."""
    matrix = np.zeros((len(factor), 9))
    matrix[:, ::4] = factor[:, None] if factor.ndim == 1 else factor
    return matrix.reshape(-1, 3, 3)


def blended(share: Array) -> Array:
    """Matrices `[N, 3, 3]` that keep `share` of the colour, and take the rest from the luma."""
    return np.asarray(scaled(share) + (1 - share)[:, None, None] * np.array(LUMA))


def lighting(transform: Any, draw: Draw) -> Array:
    """A factor `[N]` between `1 - max_lighting` and its inverse, even in its logarithm; one where nothing happens.

    Where the transform has a range `factor`, it is drawn from that, evenly.
    """
    if transform.factor is None:
        most = -np.log(1 - transform.max_lighting)
        drawn = np.exp(draw.uniform(1, -most, most))
    else:
        drawn = draw.uniform(1, *transform.factor)
    return np.where(draw.chance(0, transform.p), given_or(transform.draw, drawn, draw), 1.0)


def check_lighting(transform: Any) -> None:
    """`UsageError` where a setting of contrast or saturation makes no factor."""
    check_number(transform, "max_lighting", 0, 1, "[)")
    check_given(transform, "draw")
    if transform.factor is not None:
        check_pair(transform, "factor")


class Brightness(Pointwise):
    """Add the logit of a number around one half, with probability `p`: above one half makes the image brighter."""

    draws = 2
    stage = Stage.LOGIT
    max_lighting: float = 0.2
    p: float = 0.75
    draw: Given = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_lighting", 0, 1)
        check_given(self, "draw", 0, 1)

    def params(self, draw: Draw) -> Params:
        """`change`: `[N]` in 0..1, one half where nothing happens."""
        most = 0.5 * self.max_lighting
        change = given_or(self.draw, draw.uniform(1, 0.5 - most, 0.5 + most), draw)
        return {"change": np.where(draw.chance(0, self.p), change, 0.5)}

    def effect(self, params: Params) -> Array:
        """An offset of the logits."""
        change = np.clip(params["change"], 1e-7, 1 - 1e-7)
        return affine(scaled(np.ones(len(change))), np.log(change / (1 - change)))


class Contrast(Pointwise):
    """Multiply the logits by a factor around one, with probability `p`.

    `factor` is a range in place of `max_lighting`, drawn from evenly.
    """

    draws = 2
    stage = Stage.LOGIT
    max_lighting: float = 0.2
    p: float = 0.75
    draw: Given = None
    batch: bool = False
    factor: tuple[float, float] | None = field(default=None, metadata={"added": "0.2.0"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_lighting(self)

    def params(self, draw: Draw) -> Params:
        """`factor`: `[N]`."""
        return {"factor": lighting(self, draw)}

    def effect(self, params: Params) -> Array:
        """A scale of the logits."""
        return affine(scaled(params["factor"]))


class Saturation(Pointwise):
    """Blend the logits with their luma, with probability `p`: 0 is grey, above 1 is more colourful.

    `factor` is a range in place of `max_lighting`, drawn from evenly.
    """

    draws = 2
    stage = Stage.LOGIT
    max_lighting: float = 0.2
    p: float = 0.75
    draw: Given = None
    batch: bool = False
    factor: tuple[float, float] | None = field(default=None, metadata={"added": "0.2.0"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_lighting(self)

    def params(self, draw: Draw) -> Params:
        """`factor`: `[N]`."""
        return {"factor": lighting(self, draw)}

    def effect(self, params: Params) -> Array:
        """A full matrix on the logits."""
        return affine(blended(params["factor"]))


class Hue(Pointwise):
    """Turn the hue (of HSV) by up to `max_hue` turns either way, with probability `p`."""

    draws = 2
    stage = Stage.HUE
    max_hue: float = 0.1
    p: float = 0.75
    draw: Given = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_hue")
        check_given(self, "draw")

    def params(self, draw: Draw) -> Params:
        """`turns`: `[N]`."""
        turns = given_or(self.draw, draw.uniform(1, -self.max_hue, self.max_hue), draw)
        return {"turns": np.where(draw.chance(0, self.p), turns, 0.0)}

    def effect(self, params: Params) -> Array:
        """The turns."""
        return np.asarray(params["turns"], np.float64)


LEVELS = np.linspace(0, 1, 256)


def ends(value: float | tuple[float, float]) -> tuple[float, float]:
    """A range, of which a number is both ends."""
    return value if isinstance(value, tuple) else (value, value)


class Gamma(Pointwise):
    """Raise to a power around one, with probability `p`; `max_gamma` of 1.5 draws from 1/1.5 to 1.5."""

    draws = 2
    stage = Stage.TABLE
    max_gamma: float = 1.5
    p: float = 0.5
    draw: Given = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_gamma", 0, ends="(]")
        check_given(self, "draw", 0, ends="(]")

    def params(self, draw: Draw) -> Params:
        """`gamma`: `[N]`."""
        most = np.log(self.max_gamma)
        gamma = given_or(self.draw, np.exp(draw.uniform(1, -most, most)), draw)
        return {"gamma": np.where(draw.chance(0, self.p), gamma, 1.0)}

    def effect(self, params: Params) -> Array:
        """The power of each grey level."""
        return np.asarray(LEVELS ** params["gamma"][:, None])


class Invert(Pointwise):
    """The negative, with probability `p`."""

    draws = 1
    stage = Stage.TABLE
    p: float = 0.5
    batch: bool = False

    def params(self, draw: Draw) -> Params:
        """`happens`: bool `[N]`."""
        return {"happens": draw.chance(0, self.p)}

    def effect(self, params: Params) -> Array:
        """One minus each level."""
        return np.where(params["happens"][:, None], 1 - LEVELS, LEVELS)


class Solarize(Pointwise):
    """The negative of what is at least `threshold` (0..1, or a range to draw from), with probability `p`."""

    draws = 2
    stage = Stage.TABLE
    threshold: float | tuple[float, float] = 0.5
    p: float = 0.5
    draw: Given = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "threshold", 0, 1)
        check_given(self, "draw")

    def params(self, draw: Draw) -> Params:
        """`threshold`: `[N]`, infinite where nothing happens."""
        threshold = given_or(self.draw, draw.uniform(1, *ends(self.threshold)), draw)
        return {"threshold": np.where(draw.chance(0, self.p), threshold, np.inf)}

    def effect(self, params: Params) -> Array:
        """One minus each level from the threshold on."""
        return np.where(params["threshold"][:, None] <= LEVELS, 1 - LEVELS, LEVELS)


class Posterize(Pointwise):
    """Keep the upper `bits` of each grey level (a number, or a range to draw from), with probability `p`."""

    draws = 2
    stage = Stage.TABLE
    bits: float | tuple[float, float] = 4
    p: float = 0.5
    draw: Given = None
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "bits", 0, 8)
        check_given(self, "draw", 0, 8)

    def params(self, draw: Draw) -> Params:
        """`bits`: `[N]`, 8 where nothing happens."""
        bits = given_or(self.draw, draw.uniform(1, *ends(self.bits)), draw)
        return {"bits": np.where(draw.chance(0, self.p), np.rint(bits), 8.0)}

    def effect(self, params: Params) -> Array:
        """The levels, rounded down."""
        step = 2 ** (8 - params["bits"][:, None])
        return np.asarray(np.floor(np.arange(256) / step) * step / 255)


class Grayscale(Pointwise):
    """The luma in all three channels, with probability `p`."""

    draws = 1
    stage = Stage.RGB
    p: float = 0.1
    batch: bool = False

    def params(self, draw: Draw) -> Params:
        """`share`: of the colour that is kept, 0 or 1, `[N]`."""
        return {"share": np.where(draw.chance(0, self.p), 0.0, 1.0)}

    def effect(self, params: Params) -> Array:
        """A full matrix on RGB."""
        return affine(blended(params["share"]))


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

    def params(self, draw: Draw) -> Params:
        """`n` ones: there is nothing to decide."""
        return {"one": np.ones(len(draw))}

    def effect(self, params: Params) -> Array:
        """The affine map of each channel."""
        mean, std = self._statistics()
        return affine(scaled(params["one"][:, None] / std), (-mean / std)[None])

    def decode(self, y: TensorImage):  # type: ignore[no-untyped-def]
        """Back to RGB in 0..1."""
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
    draws = 5
    stage = Stage.ERASE
    p: float = 0.5
    area: tuple[float, float] = (0.02, 0.3)
    ratio: tuple[float, float] = (0.3, 1 / 0.3)
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "area", 0, 1)
        check_pair(self, "ratio", 0, ends="(]")

    def params(self, draw: Draw) -> Params:
        """`box`: `[N, 4]`, left, top, right, bottom in shares of the output; empty where nothing happens."""
        low, high = np.log(self.ratio)
        area, ratio = draw.uniform(1, *self.area), np.exp(draw.uniform(2, low, high))
        w, h = np.minimum(np.sqrt(area * ratio), 1), np.minimum(np.sqrt(area / ratio), 1)
        x, y = draw.uniform(3) * (1 - w), draw.uniform(4) * (1 - h)
        box = np.stack([x, y, x + w, y + h], -1)
        return {"box": np.where(draw.chance(0, self.p)[:, None], box, 0.0)}

    def effect(self, params: Params) -> Array:
        """The rectangle."""
        return np.asarray(params["box"], np.float64)
