"""The operations that change colours, in numpy: what each takes, and the effect that follows, a row a sample."""

from typing import Any

import numpy as np

from .operations import ColourOperation, Operand, Row
from .plan import Array, Stage
from .random_transform import Params
from .warp.opcodes import LUMA, Flag, Opcode

__all__ = ["BRIGHTNESS", "CHANNELS", "ERASE", "FACTOR", "GAMMA", "HUE", "POSTERIZE", "SCALE", "SOLARIZE"]

AFFINE_MAPS = (Stage.LOGIT, Stage.RGB)
LEVELS = np.linspace(0, 1, 256)
"""The grey levels, in 0..1."""


def affine(linear: Array, offset: Array | float = 0.0) -> Array:
    """Affine maps `[N, 3, 4]` from linear parts `[N, 3, 3]` and offsets `[N]`, `[N, 3]` or a number."""
    offset = np.asarray(offset)
    maps = np.empty((len(linear), 3, 4))
    maps[..., :3] = linear
    maps[..., 3] = offset[:, None] if offset.ndim == 1 else offset
    return maps


def diagonals(factor: Array) -> Array:
    """Diagonal matrices `[N, 3, 3]` with `factor`, `[N]` or `[N, 3]`, on the diagonal."""
    matrix = np.zeros((len(factor), 9))
    matrix[:, ::4] = factor[:, None] if factor.ndim == 1 else factor
    return matrix.reshape(-1, 3, 3)


def luma_blends(share: Array) -> Array:
    """Matrices `[N, 3, 3]` that keep `share` of the colour, and take the rest from the luma."""
    return np.asarray(diagonals(share) + (1 - share)[:, None, None] * np.array(LUMA))


def _brightness(row: Row[Any], params: Params) -> Array:
    """An offset by the logit of the change."""
    change = np.clip(params["change"], 1e-7, 1 - 1e-7)
    return affine(diagonals(np.ones(len(change))), np.log(change / (1 - change)))


def _factor(row: Row[Any], params: Params) -> Array:
    """A scale, or a full matrix that keeps the luma."""
    return affine((luma_blends if row.flags & Flag.MIX else diagonals)(params["factor"]))


def _channels(row: Row[Any], params: Params) -> Array:
    """A scale and an offset for each channel."""
    scale, shift = (np.stack([params[f"{kind}_{channel}"] for channel in "rgb"], -1) for kind in ("scale", "shift"))
    return affine(diagonals(scale), shift)


def _hue(row: Row[Any], params: Params) -> Array:
    return np.asarray(params["turns"], np.float64)


def _gamma(row: Row[Any], params: Params) -> Array:
    """The power of each grey level."""
    return np.asarray(LEVELS ** params["gamma"][:, None])


def _scale(row: Row[Any], params: Params) -> Array:
    """The levels times a factor, cut at white."""
    return np.minimum(LEVELS * params["factor"][:, None], 1)


def _solarize(row: Row[Any], params: Params) -> Array:
    """One minus each level from the threshold on."""
    return np.where(params["threshold"][:, None] <= np.arange(256), 1 - LEVELS, LEVELS)


def _posterize(row: Row[Any], params: Params) -> Array:
    """The levels, rounded down."""
    step = 2 ** (8 - np.rint(params["bits"])[:, None])
    return np.asarray(np.floor(np.arange(256) / step) * step / 255)


def _erase(row: Row[Any], params: Params) -> Array:
    """Left, top, right, bottom in shares of the output; a rectangle that would stick out is cut to the image's side."""
    area, ratio = params["area"], params["ratio"]
    w, h = np.minimum(np.sqrt(area * ratio), 1), np.minimum(np.sqrt(area / ratio), 1)
    x, y = params["x"] * (1 - w), params["y"] * (1 - h)
    return np.stack([x, y, x + w, y + h], -1)


BRIGHTNESS = ColourOperation(Opcode.BRIGHTNESS, (Operand("change", 1, 0.5),), AFFINE_MAPS, _brightness)
"""The logit of a number is added: above one half it makes brighter."""
FACTOR = ColourOperation(Opcode.FACTOR, (Operand("factor", 1, 1.0),), AFFINE_MAPS, _factor)
"""A factor of all channels; with `MIX`, of what differs from the luma."""
CHANNELS = ColourOperation(
    Opcode.CHANNELS,
    tuple(Operand(f"{kind}_{c}", 3 * i + k) for i, kind in enumerate(("scale", "shift")) for k, c in enumerate("rgb")),
    AFFINE_MAPS,
    _channels,
)
"""A factor of each channel, and what is added to it."""
HUE = ColourOperation(Opcode.HUE, (Operand("turns", 1, 0.0),), (Stage.HUE,), _hue)
"""Turns of the hue."""
GAMMA = ColourOperation(Opcode.GAMMA, (Operand("gamma", 1, 1.0),), (Stage.TABLE,), _gamma)
"""A power of each channel."""
SCALE = ColourOperation(Opcode.SCALE, (Operand("factor", 1, 1.0),), (Stage.TABLE,), _scale)
"""A factor of each channel, from 0 on, cut at white."""
SOLARIZE = ColourOperation(Opcode.SOLARIZE, (Operand("threshold", 1, 256.0),), (Stage.TABLE,), _solarize)
"""The negative of what is at least a threshold, in grey levels."""
POSTERIZE = ColourOperation(Opcode.POSTERIZE, (Operand("bits", 1, 8.0),), (Stage.TABLE,), _posterize)
"""The upper bits of each grey level; their number is rounded."""
ERASE = ColourOperation(
    Opcode.ERASE,
    (Operand("area", 1, 0.0), Operand("ratio", 2, 1.0, log=True), Operand("x", 3, 0.0), Operand("y", 4, 0.0)),
    (Stage.ERASE,),
    _erase,
)
"""A rectangle of an area (a share of the image's) and aspect, at `x`, `y` of the room that there is, becomes zero."""
