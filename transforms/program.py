"""A list of transforms as a table that the whole augmentation of a batch is drawn from at once, on a GPU or in C++.

Each row of the table (see `warp/draw_table.py`) is one operation: what it is, the word of its stream of random numbers,
and the ranges of these numbers. Transforms whose parameters are a user's own function, and barriers, have no row;
`NotInTable` says so, and each transform decides for itself instead.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import colour, geometry
from .augment import Fused
from .draw import operation_word
from .fusing import Geometric
from .plan import Stage, height_width
from .policies import PickedGeometric, PickedPointwise
from .transform import RandTransform, Split, Transform
from .warp import draw_table
from .warp.outspec import Padding


class NotInTable(Exception):  # noqa: N818 - it is an answer, not an error
    """Why a transform has to be decided on the host."""


@dataclass(frozen=True)
class Segment:
    """What one launch after the drawing does, and with which parts of the colour map."""

    stages: frozenset[Stage]
    padding: Padding
    diagonal: bool = False
    """Whether its affine maps leave each channel by itself."""


@dataclass(frozen=True)
class Program:
    """The table: `integers[rows, 8]`, `floats[rows, 32]`; one warp and then a pointwise step for each segment more."""

    integers: NDArray[np.int32]
    floats: NDArray[np.float64]
    segments: tuple[Segment, ...]
    size: tuple[int, int] | None
    """Height and width of the result; None where they are those of the images."""

    @property
    def turning(self) -> int:
        """How many of the first rows there are up to the last that may turn the frame."""
        turns = np.flatnonzero(self.integers[:, draw_table.FLAGS] & draw_table.TURNS)
        return int(turns[-1]) + 1 if len(turns) else 0


_Frame = tuple[int, int] | Literal["any"] | None
"""A size that is known, any (some are turned), or that of the images."""


class _Row:
    """A row of the table as it is written."""

    def __init__(self, operation: int, flags: int = 0) -> None:
        self.integers = np.zeros(draw_table.INTEGERS, np.int64)
        self.floats = np.zeros(draw_table.FLOATS)
        self.integers[draw_table.OPERATION] = operation
        self.integers[draw_table.FLAGS] = flags
        self.integers[draw_table.OF] = 1
        self.integers[draw_table.GROUP] = _group(operation, flags)
        self.chance(0, 1.0).number(0, 0, 1)

    def chance(self, number: int, p: float) -> "_Row":
        """Of number 0 or 2: rounded up to a multiple of 2^-24, as the numbers are, which decides the same."""
        self.floats[draw_table.CHANCE + number // 2] = math.ceil(p * 2**24) / 2**24
        return self

    def number(self, i: int, low: float, high: float, given: Any = None) -> "_Row":
        """The range of number `i`, or what was given in its place."""
        if given is not None:
            low = high = _given(given)
        self.floats[draw_table.LOW + i], self.floats[draw_table.SPAN + i] = low, high - low
        return self

    def other(self, *values: float) -> "_Row":
        """What is not drawn."""
        self.floats[draw_table.OTHER : draw_table.OTHER + len(values)] = values
        return self


def _group(operation: int, flags: int) -> int:
    """What an operation changes; see `draw_table.py`."""
    if operation <= draw_table.HOMOGRAPHY:
        return draw_table.GEOMETRY
    if operation <= draw_table.CHANNELS:
        return draw_table.LOGITS if flags & draw_table.LOGIT else draw_table.COLOURS
    return draw_table.ALONE


def _rows(t: Transform, draws: bool) -> list[_Row]:
    """The rows of a transform; without `draws`, of what it does outside training."""
    if isinstance(t, PickedGeometric | PickedPointwise):
        return [_picked(t)] if draws else []
    if type(t) not in _ROWS:
        raise NotInTable("it is neither a homography nor a colour map that is known here")
    if not draws and not isinstance(t, geometry.Resize | geometry.RandomResizedCrop):
        return []
    row = _ROWS[type(t)](t, draws)
    row.integers[draw_table.FLAGS] |= draw_table.BATCH if getattr(t, "batch", False) else 0
    return [row]


def _picked(t: PickedGeometric | PickedPointwise) -> _Row:
    """The row of the transform inside, and who picks it."""
    inside = _ROWS.get(type(t.transform))
    if inside is None or isinstance(t.transform, geometry.Resize | geometry.RandomResizedCrop):
        raise NotInTable(f"it picks a {type(t.transform).__name__}, which is not known here")
    if getattr(t.transform, "size", None) is not None:
        raise NotInTable("it picks a transform with a size")
    row = inside(t.transform, True)
    flags = draw_table.PICKED | (draw_table.AT_ENDS if t.at_ends else 0)
    row.integers[draw_table.FLAGS] = row.integers[draw_table.FLAGS] & ~draw_table.TURNS | flags
    row.integers[draw_table.INDEX], row.integers[draw_table.OF] = t.index, t.of
    return row


def _flip(t: geometry.Flip, draws: bool) -> _Row:
    if t.draw is None:
        return _Row(draw_table.DIHEDRAL).chance(0, t.p).number(1, 1, 1)
    return _Row(draw_table.DIHEDRAL).number(1, 0, 0, float(_given(t.draw) > 0))


def _given(draw: Any) -> float:
    """A decision that is the same for all samples."""
    if callable(draw) or np.ndim(draw):
        raise NotInTable("its `draw` is a function or a list")
    return float(draw)


def _dihedral(t: geometry.Dihedral, draws: bool) -> _Row:
    row = _Row(draw_table.DIHEDRAL, draw_table.TURNS).number(1, 0, 8, t.draw)
    return row.chance(0, t.p if t.draw is None else 1.0)


def _rotate(t: geometry.Rotate, draws: bool) -> _Row:
    row = _Row(draw_table.AFFINE).chance(0, t.p)
    return row.number(1, -t.max_deg, t.max_deg, t.draw).number(4, 1, 1)


def _affine(t: geometry.Affine, draws: bool) -> _Row:
    shear_x, shear_y = t.shear if isinstance(t.shear, tuple) else (t.shear, 0.0)
    row = _Row(draw_table.AFFINE).chance(0, t.p).number(1, -t.max_deg, t.max_deg)
    row.number(2, -t.translate[0], t.translate[0]).number(3, -t.translate[1], t.translate[1])
    return row.number(4, *t.scale).number(5, -shear_x, shear_x).number(6, -shear_y, shear_y)


def _zoom(t: geometry.Zoom, draws: bool) -> _Row:
    row = _Row(draw_table.ZOOM).chance(0, t.p).number(1, t.min_zoom, t.max_zoom, t.draw)
    return row.number(2, 0, 1, t.draw_x).number(3, 0, 1, t.draw_y)


def _warp(t: geometry.Warp, draws: bool) -> _Row:
    row = _Row(draw_table.PERSPECTIVE).chance(0, t.p).chance(2, t.p).number(2, 0, 1)
    return row.number(1, -t.magnitude, t.magnitude, t.draw_x).number(3, -t.magnitude, t.magnitude, t.draw_y)


def _resize(t: geometry.Resize, draws: bool) -> _Row:
    flags = {"crop": 0, "pad": draw_table.PAD, "squish": draw_table.SQUISH}
    row = _Row(draw_table.CROP, flags[t.method]).other(*height_width(t.size))
    return row.number(0, 0, 1).number(1, 0, 1) if draws else row.number(0, 0.5, 0.5).number(1, 0.5, 0.5)


def _random_crop(t: geometry.RandomResizedCrop, draws: bool) -> _Row:
    h, w = height_width(t.size)
    if draws:
        low, high = np.log(t.ratio)
        row = _Row(draw_table.RANDOM_CROP).other(h, w, 1.0).number(0, t.min_scale, t.max_scale)
        return row.number(1, low, high).number(2, 0, 1).number(3, 0, 1)
    row = _Row(draw_table.RANDOM_CROP).other(h, w, 1 / (1 + t.val_xtra)).number(0, _ANY_AREA, _ANY_AREA)
    return row.number(1, math.log(w / h), math.log(w / h)).number(2, 0.5, 0.5).number(3, 0.5, 0.5)


_ANY_AREA = 1e12


def _homography(t: geometry.Homography, draws: bool) -> _Row:
    return _Row(draw_table.HOMOGRAPHY).other(*t.whole_matrix().ravel())


def _brightness(t: colour.Brightness, draws: bool) -> _Row:
    most = 0.5 * t.max_lighting
    row = _Row(draw_table.BRIGHTNESS, draw_table.LOGIT).chance(0, t.p)
    return row.number(1, 0.5 - most, 0.5 + most, t.draw)


def _factor(t: colour.Contrast | colour.Saturation, draws: bool) -> _Row:
    most = -math.log(1 - t.max_lighting)
    low, high = t.factor or (-most, most)
    flags = draw_table.LOGIT | (draw_table.MIX if isinstance(t, colour.Saturation) else 0)
    flags |= draw_table.POWER if t.draw is None and t.factor is None else 0
    return _Row(draw_table.FACTOR, flags).chance(0, t.p).number(1, low, high, t.draw)


def _grayscale(t: colour.Grayscale, draws: bool) -> _Row:
    return _Row(draw_table.FACTOR, draw_table.MIX).chance(0, t.p)


def _normalize(t: colour.Normalize, draws: bool) -> _Row:
    if t.mean is None or t.std is None:
        raise NotInTable("it has no mean and deviation yet")
    mean, std = np.array(t.mean, np.float64), np.array(t.std, np.float64)
    return _Row(draw_table.CHANNELS).other(*(1 / std), *(-mean / std))


def _hue(t: colour.Hue, draws: bool) -> _Row:
    return _Row(draw_table.HUE).chance(0, t.p).number(1, -t.max_hue, t.max_hue, t.draw)


def _gamma(t: colour.Gamma, draws: bool) -> _Row:
    most = math.log(t.max_gamma)
    flags = draw_table.POWER if t.draw is None else 0
    return _Row(draw_table.GAMMA, flags).chance(0, t.p).number(1, -most, most, t.draw)


def _invert(t: colour.Invert, draws: bool) -> _Row:
    return _Row(draw_table.SOLARIZE).chance(0, t.p).number(1, -1, -1)


def _solarize(t: colour.Solarize, draws: bool) -> _Row:
    """In grey levels; a threshold that is not drawn is the level that the host's comparison begins at."""
    low, high = colour.ends(t.threshold) if t.draw is None else (_given(t.draw),) * 2
    if low == high:
        low = high = float(np.searchsorted(colour.LEVELS, low))
        return _Row(draw_table.SOLARIZE).chance(0, t.p).number(1, low, low)
    return _Row(draw_table.SOLARIZE).chance(0, t.p).number(1, 255 * low, 255 * high)


def _posterize(t: colour.Posterize, draws: bool) -> _Row:
    return _Row(draw_table.POSTERIZE).chance(0, t.p).number(1, *colour.ends(t.bits), t.draw)


def _erasing(t: colour.RandomErasing, draws: bool) -> _Row:
    row = _Row(draw_table.ERASE).chance(0, t.p).number(1, *t.area)
    return row.number(2, math.log(t.ratio[0]), math.log(t.ratio[1])).number(3, 0, 1).number(4, 0, 1)


_ROWS: dict[type, Callable[[Any, bool], _Row]] = {
    geometry.Flip: _flip,
    geometry.Dihedral: _dihedral,
    geometry.Rotate: _rotate,
    geometry.Zoom: _zoom,
    geometry.Warp: _warp,
    geometry.Affine: _affine,
    geometry.Resize: _resize,
    geometry.RandomResizedCrop: _random_crop,
    geometry.Homography: _homography,
    colour.Brightness: _brightness,
    colour.Contrast: _factor,
    colour.Saturation: _factor,
    colour.Hue: _hue,
    colour.Gamma: _gamma,
    colour.Invert: _invert,
    colour.Solarize: _solarize,
    colour.Posterize: _posterize,
    colour.Grayscale: _grayscale,
    colour.Normalize: _normalize,
    colour.RandomErasing: _erasing,
}


def compile_program(fused: Fused, split: Split | None = None) -> Program:
    """The table of `fused` on a split.

    Raises `NotInTable` for the first transform that has to be decided on the host, and for several resamplings.
    """
    kinds = [segment.kind for segment in fused.segments]
    if kinds[:1] != ["warp"] or set(kinds[1:]) - {"colour"}:
        raise NotInTable(f"it is more than one resampling, or has a barrier: {', '.join(kinds) or 'nothing'}")
    rows: list[_Row] = []
    segments: list[Segment] = []
    size: _Frame = None
    for number, segment in enumerate(fused.segments):
        stages: set[Stage] = set()
        padding: Padding = "reflection"
        begun = len(rows)
        for i in segment.operations:
            t, name = fused.transforms[i], fused.names[i]
            draws = t.active(split) if isinstance(t, RandTransform) else True
            try:
                made = _rows(t, draws)
            except NotInTable as reason:
                raise NotInTable(f"{type(t).__name__} is decided on the host: {reason}") from None
            for row in made:
                row.integers[draw_table.WORD] = operation_word(name)
            rows += made
            stages |= {t.stage} if hasattr(t, "stage") and made else set()
            padding = getattr(t, "padding", lambda: None)() or padding
            size = _size(t, size, bool(made), rows)
        end = _Row(draw_table.END)
        end.integers[draw_table.SEGMENT] = number
        rows.append(end)
        mixes = any(row.integers[draw_table.FLAGS] & draw_table.MIX for row in rows[begun:])
        segments.append(Segment(frozenset(stages), padding, diagonal=not mixes))
    if size == "any":
        raise NotInTable("Dihedral is decided on the host: it may turn images that are not square")
    crop = -1
    for i, row in enumerate(rows):
        row.integers[draw_table.FRAME] = crop
        if row.integers[draw_table.OPERATION] in (draw_table.CROP, draw_table.RANDOM_CROP):
            crop = i
    integers = np.stack([row.integers for row in rows]).astype(np.uint32).view(np.int32)
    floats = np.stack([row.floats for row in rows])
    return Program(integers, floats, tuple(segments), size)


def _size(t: Transform, size: _Frame, acts: bool, rows: list[_Row]) -> _Frame:
    """The size that a transform leaves; one that takes the middle of another aspect has a row more for that."""
    new = getattr(t, "size", None) if isinstance(t, Geometric) else None
    if new is None:
        turns = isinstance(t, geometry.Dihedral) and acts and (size is None or size == "any" or size[0] != size[1])
        return "any" if turns else size
    if not isinstance(t, geometry.Resize | geometry.RandomResizedCrop):
        rows.append(_Row(draw_table.CROP).other(*height_width(new)).number(0, 0.5, 0.5).number(1, 0.5, 0.5))
    return height_width(new)
