"""The operations that move pixels, in numpy: what each takes, and the matrices and frames that follow.

All matrices map output to input, in normalised coordinates (each axis of the frame from -1 to 1). Rotation and shear
are rigid in pixels, so an image that is not square is not skewed by them.
"""

from typing import Any

import numpy as np

from .operations import GeometricOperation, Operand, Row
from .plan import Array, cover, crop_matrix, stack_xy
from .random_transform import Params
from .warp.opcodes import Flag, Opcode

__all__ = ["AFFINE", "CROP", "DIHEDRAL", "HOMOGRAPHY", "PERSPECTIVE", "RANDOM_CROP", "ZOOM"]


def identities(n: int) -> Array:
    """`n` identity matrices."""
    matrix = np.zeros((n, 9))
    matrix[:, ::4] = 1
    return matrix.reshape(n, 3, 3)


def rigid(linear: Array, frame: Array) -> Array:
    """A linear map `[N, 2, 2]` of pixels about the middle of the frames, in normalised coordinates."""
    aspect = frame[:, 1] / frame[:, 0]  # width over height
    matrix = identities(len(linear))
    matrix[:, :2, :2] = linear
    matrix[:, 0, 1] /= aspect
    matrix[:, 1, 0] *= aspect
    return matrix


def rotation(degrees: Array) -> Array:
    """Linear maps `[N, 2, 2]` that turn the image by `degrees` against the clock."""
    angle = np.deg2rad(degrees)
    linear = np.empty((len(angle), 2, 2))
    linear[:, 0, 0] = linear[:, 1, 1] = np.cos(angle)
    linear[:, 0, 1] = np.sin(angle)
    linear[:, 1, 0] = -linear[:, 0, 1]
    return linear


def perspective(x: Array, y: Array) -> Array:
    """Homographies `[N, 3, 3]` that look at the image from the side, by `x` and `y`.

    The one that takes the corners (-1-y, -1-x), (1+y, -1+x), (1-y, 1-x), (-1+y, 1+x) to those of the square, solved.
    """
    b = 2 * x * y / (1 - x * x - y * y)
    matrix = np.ones((len(b), 3, 3))
    matrix[:, 0, 1] = matrix[:, 1, 0] = b
    matrix[:, 0, 2] = matrix[:, 2, 0] = -x - b * y
    matrix[:, 1, 2] = matrix[:, 2, 1] = -y - b * x
    return matrix


def _dihedral(row: Row[Any], params: Params, frame: Array) -> Array:
    """A signed permutation of the axes."""
    k = params["k"].astype(np.int64)
    x, y, swap = 1 - 2 * (k & 1), 1 - 2 * (k >> 1 & 1), k >> 2 & 1
    matrix = identities(len(frame))
    matrix[:, 0, 0], matrix[:, 0, 1] = x * (1 - swap), x * swap
    matrix[:, 1, 0], matrix[:, 1, 1] = y * swap, y * (1 - swap)
    return matrix


def _transpose_frame(row: Row[Any], params: Params, frame: Array) -> Array:
    """The frame's sides change places where it transposes."""
    if not row.flags & Flag.TURNS:
        return frame
    return np.where((params["k"].astype(np.int64) >= 4)[:, None], frame[:, ::-1], frame)


def _affine(row: Row[Any], params: Params, frame: Array) -> Array:
    """The image is scaled and sheared, then turned, then moved; this is the way back."""
    n = len(frame)
    tx, ty = np.tan(np.deg2rad(params["shear_x"])), np.tan(np.deg2rad(params["shear_y"]))
    skew = np.stack([np.ones(n), tx, ty, 1 + tx * ty], -1).reshape(-1, 2, 2)  # along x, then along y
    linear = np.linalg.inv(skew) @ rotation(params["degrees"]) / params["scale"][:, None, None]
    moved = identities(n)
    moved[:, :2, 2] = -2 * stack_xy(params["x"], params["y"])
    return rigid(linear, frame) @ moved


def _zoom(row: Row[Any], params: Params, frame: Array) -> Array:
    """A scale by one over the zoom that keeps the point where it is."""
    scale = 1 / params["zoom"]
    return crop_matrix(stack_xy(scale, scale), params["x"], params["y"])


def _perspective(row: Row[Any], params: Params, frame: Array) -> Array:
    return perspective(params["x"], params["y"])


def _crop(row: Row[Any], params: Params, frame: Array) -> Array:
    """A box of the aspect that is left: the largest in the frame, the smallest around it, or the frame."""
    if row.flags & Flag.SQUISH:
        return identities(len(frame))
    share = cover(frame, _frames_of_size(row, params, frame), inside=not row.flags & Flag.PAD)
    return crop_matrix(share, params["x"], params["y"])


def _random_crop(row: Row[Any], params: Params, frame: Array) -> Array:
    """A box of an area and an aspect, made smaller until it fits."""
    h, w = frame[:, 0], frame[:, 1]
    widest = np.minimum(w, h * params["ratio"])
    width = np.minimum(np.sqrt(params["area"] * w * h * params["ratio"]), widest) * params["share"]
    return crop_matrix(stack_xy(width / w, width / params["ratio"] / h), params["x"], params["y"])


def _frames_of_size(row: Row[Any], params: Params, frame: Array) -> Array:
    """Frames of the row's size."""
    return np.broadcast_to(np.array(row.constants[:2], np.float64), frame.shape)


def _homography(row: Row[Any], params: Params, frame: Array) -> Array:
    return np.tile(np.array(row.constants).reshape(3, 3), (len(frame), 1, 1))


DIHEDRAL = GeometricOperation(Opcode.DIHEDRAL, (Operand("k", 1, 0.0),), _dihedral, _transpose_frame)
"""One of the eight symmetries of the square: bit 0 of `k` mirrors x, bit 1 y, bit 2 transposes; `TURNS`."""
AFFINE = GeometricOperation(
    Opcode.AFFINE,
    (
        Operand("degrees", 1, 0.0),
        Operand("x", 2, 0.0),
        Operand("y", 3, 0.0),
        Operand("scale", 4, 1.0),
        Operand("shear_x", 5, 0.0),
        Operand("shear_y", 6, 0.0),
    ),
    _affine,
)
"""Turned and sheared by degrees, scaled by a factor, moved by shares of width and height."""
ZOOM = GeometricOperation(Opcode.ZOOM, (Operand("zoom", 1, 1.0), Operand("x", 2, 0.5), Operand("y", 3, 0.5)), _zoom)
"""Larger by a factor about a point, in shares of width and height."""
PERSPECTIVE = GeometricOperation(
    Opcode.PERSPECTIVE, (Operand("x", 1, 0.0), Operand("y", 3, 0.0, chance=2)), _perspective
)
"""Seen from the side along x and along y, each with its own chance."""
CROP = GeometricOperation(Opcode.CROP, (Operand("x", 0), Operand("y", 1)), _crop, _frames_of_size, resizes=True)
"""To a size by a box at `x`, `y` of the room that there is; `PAD`, `SQUISH`. Constants: height and width."""
RANDOM_CROP = GeometricOperation(
    Opcode.RANDOM_CROP,
    (Operand("area", 0), Operand("ratio", 1, log=True), Operand("x", 2), Operand("y", 3), Operand("share", 4)),
    _random_crop,
    _frames_of_size,
    resizes=True,
)
"""To a size by a box of an area (a share of the frame's) and aspect, of whose sides a share is taken."""
HOMOGRAPHY = GeometricOperation(Opcode.HOMOGRAPHY, (), _homography)
"""A matrix that is not drawn: nine constants, row by row."""
