"""How large an output pixel is in the source, and into how many sub-pixels it is divided.

Everything that decides *how* a pixel is filtered is here, once, in float64; the C++ and Triton kernels follow these
formulas. See README.md for the mathematics.
"""

import torch
from torch import Tensor

TILE = 32
"""Side in pixels of the output tiles that share one division into sub-pixels."""
ONE_SAMPLE = 3.0
"""A pixel whose sides are at most this long in the source, in pixels, is one sample ..."""
SKEW = 2.0
"""... unless its footprint leans by more than this (the off-diagonal of J J^T, in square pixels)."""
SUBPIXEL = 2.0
"""A pixel that is divided has sub-pixels with sides of at most this many source pixels ..."""
MOST = 8
"""... as long as that needs no more than this many along a side."""
WHOLE = 1 / 1024
"""A map that is nowhere further than this, in pixels, from one that moves whole pixels moves whole pixels."""


def jacobian(h: Tensor, x: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Derivatives `(dx/du, dx/dv, dy/du, dy/dv)` of the homography where it takes the value `(x, y)` with `w`.

    `h` is `[..., 9]` broadcastable with the others: from x = a / w follows dx = (da - x dw) / w.
    """
    a, b, _, d, e, _, g, k, _ = h.unbind(-1)
    return (a - x * g) / w, (b - x * k) / w, (d - y * g) / w, (e - y * k) / w


def project(h: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The source position `(x, y)` of the output position `(u, v)`, and `w`; of no use where `w` is not positive."""
    a, b, c, d, e, f, g, k, m = h.unbind(-1)
    w = g * u + k * v + m
    safe = torch.where(w > 0, w, 1.0)
    return (a * u + b * v + c) / safe, (d * u + e * v + f) / safe, w


def subpixels(homography: Tensor, size: tuple[int, int]) -> Tensor:
    """Into how many sub-pixels, along u and along v, the pixels of every tile are divided: `int64[N, tv, tu, 2]`.

    `homography` is `[N, 3, 3]`, `size` the output's (height, width). Decided at the four corners of each tile, from
    the largest lengths of the Jacobian's columns (the sides of a pixel's footprint); a tile with a corner where w is
    not positive has the most.
    """
    height, width = size
    h = homography.double().reshape(-1, 1, 1, 9)
    v = torch.arange(0, height + TILE, TILE, dtype=torch.float64, device=h.device).clamp(max=height)
    u = torch.arange(0, width + TILE, TILE, dtype=torch.float64, device=h.device).clamp(max=width)
    v, u = torch.meshgrid(v, u, indexing="ij")  # [tv + 1, tu + 1]
    x, y, w = project(h, u, v)
    xu, xv, yu, yv = jacobian(h, x, y, torch.where(w > 0, w, 1.0))
    infinite = torch.where(w > 0, 0.0, torch.inf)
    side_u = _largest(torch.hypot(xu, yu) + infinite)
    side_v = _largest(torch.hypot(xv, yv) + infinite)
    skew = _largest((xu * yu + xv * yv).abs() + infinite)
    divided = (side_u > ONE_SAMPLE) | (side_v > ONE_SAMPLE) | (skew > SKEW)
    sides = torch.stack([side_u, side_v], -1)
    counts = (sides / SUBPIXEL).ceil().clamp(1, MOST).long()
    return torch.where(divided[..., None], counts, 1)


def _largest(corners: Tensor) -> Tensor:
    """The largest of the four corners of every tile: `[N, tv + 1, tu + 1]` -> `[N, tv, tu]`."""
    rows = torch.maximum(corners[:, :-1], corners[:, 1:])
    return torch.maximum(rows[:, :, :-1], rows[:, :, 1:])


def moves_whole_pixels(homography: Tensor, size: tuple[int, int]) -> Tensor:
    """Which homographies carry pixel centres to pixel centres (flips, quarter turns, whole-pixel shifts): `bool[N]`.

    Such a warp copies, where the mean over the footprint would soften the picture for nothing.
    """
    height, width = size
    h = homography.double().reshape(-1, 9)
    linear = (h / h[:, 8:]).reshape(-1, 3, 3)[:, :2, :2]  # [N, 2, 2]
    signs = linear.round()
    permutes = (signs.abs().sum(1) == 1).all(1) & (signs.abs().sum(2) == 1).all(1)
    near = torch.ones_like(permutes)
    for u, v in ((0.5, 0.5), (width - 0.5, 0.5), (0.5, height - 0.5), (width - 0.5, height - 0.5)):
        x, y, w = project(h, h.new_tensor(u), h.new_tensor(v))
        if (u, v) == (0.5, 0.5):
            first = torch.stack([x, y], -1)
            start = (first - 0.5).round() + 0.5
        step = signs @ h.new_tensor([u - 0.5, v - 0.5])
        off = (torch.stack([x, y], -1) - start - step).abs().amax(-1)
        near &= (w > 0) & (off <= WHOLE)
    return permutes & near


def taps(fraction: Tensor, extent: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of the four pixels about a position, for a footprint of `extent` pixels along this axis.

    `fraction` in [0, 1) is how far the position lies beyond the second pixel's centre. The weights sum to 1 and
    reproduce a linear ramp; the outer one, g (p + r g^2) with g = 1 - fraction, was fitted to the cubic spline
    averaged over the footprint.
    """
    beyond = (extent - 1).clamp(min=0)
    r = CURVE_AT_ONE - CURVE_LOSS * beyond * beyond
    p = BLUR_AT_ONE * extent.clamp(max=1) ** 2 + BLUR_GAIN * beyond - r
    f, g = fraction, 1 - fraction
    first = g * (p + r * g * g)
    last = f * (p + r * f * f)
    return first, g + last - 2 * first, f + first - 2 * last, last


BLUR_AT_ONE, BLUR_GAIN = 0.067, 0.14
CURVE_AT_ONE, CURVE_LOSS = 0.26, 0.046
"""The outer weight at fraction 0 is .067 s^2 up to s = 1 and grows by .14 a pixel from there; r falls from .26."""
