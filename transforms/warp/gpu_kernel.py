"""The warp as one Triton kernel: a program does one tile of 32 x 32 output pixels of one image.

The mathematics is that of README.md, in float32 wherever the tile's word (`gpu_tiles.py`) does not ask for float64.
A stage whose parameter is None is not compiled in.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, operator, misc, assignment"

import os

import triton
import triton.language as tl
from triton.language.extra import libdevice

from . import footprint
from .gpu_tiles import BYTES, CAREFUL, COPY, COUNT_V, EDGE, FILL, SLOPES, TILE, homography_at, image_at, to_float64

INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET", "0") not in ("", "0"))
"""Whether Triton interprets its kernels on the host, as it does for tests: there are no instructions of a GPU then."""

REFLECTION = tl.constexpr(0)
BORDER = tl.constexpr(1)
COLOUR = tl.constexpr(2)
"""The paddings; zeros are the colour black."""

BLUR_AT_ONE = tl.constexpr(footprint.BLUR_AT_ONE)
BLUR_GAIN = tl.constexpr(footprint.BLUR_GAIN)
CURVE_AT_ONE = tl.constexpr(footprint.CURVE_AT_ONE)
CURVE_LOSS = tl.constexpr(footprint.CURVE_LOSS)
EPSILON = tl.constexpr(1e-7)
ONE_SAMPLE = tl.constexpr(1 | 1 << COUNT_V.value)
LEAST_W = tl.constexpr(1e-30)
LOG2_E = tl.constexpr(1.4426950408889634)
ROUND = tl.constexpr(12582912.0)
"""1.5 * 2^23: added and taken away again, it leaves a small float32 rounded half to even."""
ROUND_BITS = tl.constexpr(0x4B400000)
UNIT = tl.constexpr(8192.0)
"""A weight of one along a row, and a grey level of a sample: 255 of them, filtered, stay within 2^22."""


@triton.jit
def affine_at(parameter, image, diagonal: tl.constexpr):
    """The numbers of an image's affine map `[3, 4]`, as a tuple: all twelve, or where `diagonal` the factor and the
    term of each channel.
    """
    p = parameter + image * 12
    if diagonal:
        return tl.load(p), tl.load(p + 3), tl.load(p + 5), tl.load(p + 7), tl.load(p + 10), tl.load(p + 11)
    else:  # noqa: RET505 - as in gpu_tiles.py
        return (
            tl.load(p), tl.load(p + 1), tl.load(p + 2), tl.load(p + 3), tl.load(p + 4), tl.load(p + 5),
            tl.load(p + 6), tl.load(p + 7), tl.load(p + 8), tl.load(p + 9), tl.load(p + 10), tl.load(p + 11),
        )  # fmt: skip


@triton.jit
def apply_affine(m, r, g, b, diagonal: tl.constexpr):
    """The affine map `m` of (r, g, b)."""
    if diagonal:
        return m[0] * r + m[1], m[2] * g + m[3], m[4] * b + m[5]
    else:  # noqa: RET505
        red = m[0] * r + (m[1] * g + (m[2] * b + m[3]))
        green = m[4] * r + (m[5] * g + (m[6] * b + m[7]))
        blue = m[8] * r + (m[9] * g + (m[10] * b + m[11]))
        return red, green, blue


@triton.jit
def saturate(x):
    """At least 0 and at most 1."""
    return tl.minimum(tl.maximum(x, 0.0), 1.0)


@triton.jit
def log2(x):
    """The logarithm to base 2, in one instruction of the hardware where there is one (its error is 2^-22)."""
    if INTERPRETED:
        return tl.log2(x)
    else:  # noqa: RET505 - as in gpu_tiles.py
        return libdevice.fast_log2f(x)


@triton.jit
def reciprocal(x):
    """One over x, as fast and nearly as exact as the hardware can (1 unit in the last place)."""
    if INTERPRETED:
        return 1.0 / x
    elif x.dtype == tl.float64:  # noqa: RET505
        guess = reciprocal(x.to(tl.float32)).to(tl.float64)
        guess *= 2 - x * guess  # by Newton: twice the digits
        return guess * (2 - x * guess)
    else:
        return tl.inline_asm_elementwise("rcp.approx.ftz.f32 $0, $1;", "=r,r", [x], x.dtype, is_pure=True, pack=1)


@triton.jit
def wrap(x, length, padding: tl.constexpr):
    """A coordinate that finds the same colour, but within the frame or a few pixels of it."""
    if padding == REFLECTION:
        x -= 2 * length * tl.floor(x * reciprocal(2 * length))
        return tl.minimum(x, 2 * length - x)
    else:  # noqa: RET505
        return tl.minimum(tl.maximum(x, -4.0), length + 4)


@triton.jit
def project_with_extents(h, w, u, v, side_u, side_v, antialias: tl.constexpr):
    """Where output positions of this `w` lie in the source, and the extents of their footprints, all in float64."""
    over = reciprocal(w)
    x = (h[0] * u + (h[1] * v + h[2])) * over
    y = (h[3] * u + (h[4] * v + h[5])) * over
    extent_x, extent_y = u.to(tl.float32), u.to(tl.float32)  # of no use without a filter
    if antialias:
        g, k = h[6] * side_u, h[7] * side_v
        xu, xv = (h[0] * side_u - x * g) * over, (h[1] * side_v - x * k) * over
        yu, yv = (h[3] * side_u - y * g) * over, (h[4] * side_v - y * k) * over
        extent_x = tl.sqrt((xu * xu + xv * xv).to(tl.float32))
        extent_y = tl.sqrt((yu * yu + yv * yv).to(tl.float32))
    return x, y, extent_x, extent_y


@triton.jit
def extents(slopes, over, u, v, side_u, side_v):
    """The extents of footprints at (u, v), where one over w is `over`; of `slopes` see `gpu_tiles.py`."""
    x, y = tl.load(slopes), tl.load(slopes + 3)
    xu, xv = (x * v + tl.load(slopes + 1)) * side_u, (tl.load(slopes + 2) - x * u) * side_v
    yu, yv = (y * v + tl.load(slopes + 4)) * side_u, (tl.load(slopes + 5) - y * u) * side_v
    square = over * over
    return tl.sqrt(xu * xu + xv * xv) * square, tl.sqrt(yu * yu + yv * yv) * square


@triton.jit
def taps(f, extent):
    """Weights of the four pixels about a position, for a footprint of `extent` pixels; see `footprint.taps`."""
    beyond = saturate(0.5 * extent - 0.5)  # half of what an extent of at most 3 has beyond 1
    r = CURVE_AT_ONE - 4 * CURVE_LOSS * (beyond * beyond)
    short = saturate(extent)
    blur = BLUR_AT_ONE * (short * short) + 2 * BLUR_GAIN * beyond  # p is this less r
    g = 1 - f
    first, last = g * (r * (g * g - 1) + blur), f * (r * (f * f - 1) + blur)
    return first, g + last - 2 * first, f + first - 2 * last, last


@triton.jit
def pad_index(index, begin, length, padding: tl.constexpr, first: tl.constexpr):
    """The pixel that stands for pixel `index`, counted from `begin`; where there is none, no pixel of the window.

    A reflected position lies within the image. So only the `first` half of its taps can lie before the image, and only
    the other half behind it, or either where the image has a pixel or two.
    """
    if padding == REFLECTION:
        if first:
            index = tl.where(index < 0, -1 - index, index)
        index = tl.where(index >= length, 2 * length - 1 - index, index)
        if not first:
            index = tl.where(index < 0, -1 - index, index)
        return index - begin
    elif padding == BORDER:  # noqa: RET505
        return tl.minimum(tl.maximum(index, 0), length - 1) - begin
    else:
        return tl.where(index < length, index - begin, -1)


@triton.jit
def fold_weight(k: tl.constexpr, w, s, other_w, other_s):
    """The weight of pixel `k` of a window, of two taps that stand for the pixels `s` and `other_s`."""
    return tl.where(s == k, w, 0.0) + tl.where(other_s == k, other_w, 0.0)


@triton.jit
def window(shifted, f, extent, length, edge, padding: tl.constexpr, antialias: tl.constexpr):
    """Four pixels in a row that hold all taps along an axis: the first of them, and the weight of each.

    `shifted` is the second tap's number behind `ROUND`, `f` how far beyond it the position lies. Without a filter only
    the first two have weights. Where a tile's word says that taps may lie outside, a window never leaves an image of
    four pixels or more, wherever the position is.
    """
    index = shifted.to(tl.int32, bitcast=True) - ROUND_BITS
    if antialias:
        index -= 1
        w0, w1, w2, w3 = taps(f, extent)
    else:
        w0, w1, w2, w3 = 1 - f, f, f * 0, f * 0
    begin = index
    if edge:
        begin = tl.minimum(tl.maximum(index, 0), tl.maximum(length - (4 if antialias else 2), 0))
        s0 = pad_index(index, begin, length, padding, True)
        s1 = pad_index(index + 1, begin, length, padding, antialias)
        first, second = fold_weight(0, w0, s0, w1, s1), fold_weight(1, w0, s0, w1, s1)
        if antialias:
            s2 = pad_index(index + 2, begin, length, padding, False)
            s3 = pad_index(index + 3, begin, length, padding, False)
            first, second = first + fold_weight(0, w2, s2, w3, s3), second + fold_weight(1, w2, s2, w3, s3)
            third = fold_weight(2, w0, s0, w1, s1) + fold_weight(2, w2, s2, w3, s3)
            w3 = fold_weight(3, w0, s0, w1, s1) + fold_weight(3, w2, s2, w3, s3)
            w2 = third
        w0, w1 = first, second
    return begin, w0, w1, w2, w3


@triton.jit
def split(x, over):
    """The second tap's number of a position `x` times `over`, behind `ROUND`, and how far beyond its centre it lies.

    The hardware is slow to round and to convert: adding 1.5 * 2^23 does both, in the last bits of the sum. Between two
    pixels' centres it may take either pixel, which makes no difference: the rest is then 0 or 1.
    """
    shifted = tl.fma(x, over, ROUND - 1)
    return shifted, tl.fma(x, over, -0.5) - (shifted - ROUND)


@triton.jit
def double_word(low, high):
    """Two words as one of 64 bits."""
    return (high.to(tl.uint32, bitcast=True).to(tl.uint64) << 32) | low.to(tl.uint32, bitcast=True).to(tl.uint64)


@triton.jit
def permute_bytes(low, high, select: tl.constexpr):
    """Four bytes out of the eight of two words: the digits of `select`, the last one first, are their numbers."""
    if INTERPRETED:
        both = double_word(low, high)
        word = (both >> (8 * (select & 7))) & 255
        word |= ((both >> (8 * ((select >> 4) & 7))) & 255) << 8
        word |= ((both >> (8 * ((select >> 8) & 7))) & 255) << 16
        word |= ((both >> (8 * ((select >> 12) & 7))) & 255) << 24
        return word.to(tl.int32)
    else:  # noqa: RET505
        return libdevice.byte_perm(low, high, select)


@triton.jit
def funnel_shift(low, high, bits):
    """The lower of two words, after both are shifted down by the last five bits of `bits`."""
    if INTERPRETED:
        return (double_word(low, high) >> (bits & 31).to(tl.uint64)).to(tl.int32)
    else:  # noqa: RET505
        return tl.inline_asm_elementwise(
            "shf.r.wrap.b32 $0, $1, $2, $3;", "=r,r,r,r", [low, high, bits], tl.int32, is_pure=True, pack=1
        )


@triton.jit
def dot2(weights, pixels, upper: tl.constexpr, total):
    """`total` and two bytes of `pixels`, its lower or its upper ones, times the two words of `weights`."""
    if INTERPRETED:
        pixels = pixels >> 16 if upper else pixels
        return total + ((weights << 16) >> 16) * (pixels & 255) + (weights >> 16) * ((pixels >> 8) & 255)
    elif upper:  # noqa: RET505
        return tl.inline_asm_elementwise(
            "dp2a.hi.s32.u32 $0, $1, $2, $3;", "=r,r,r,r", [weights, pixels, total], tl.int32, is_pure=True, pack=1
        )
    else:
        return tl.inline_asm_elementwise(
            "dp2a.lo.s32.u32 $0, $1, $2, $3;", "=r,r,r,r", [weights, pixels, total], tl.int32, is_pure=True, pack=1
        )


@triton.jit
def pack_weights(w, whole, antialias: tl.constexpr):
    """Weights as words of which `whole` is one, two to a register; the second, or without a filter the first, is such
    that all make `whole`, so that an even area stays even.
    """
    last = (w[1] * UNIT + ROUND).to(tl.int32, bitcast=True)
    if antialias:
        first = (w[0] * UNIT + ROUND).to(tl.int32, bitcast=True)
        third = (w[2] * UNIT + ROUND).to(tl.int32, bitcast=True)
        last = (w[3] * UNIT + ROUND).to(tl.int32, bitcast=True)
        return permute_bytes(first, whole - first - third - last, 0x5410), permute_bytes(third, last, 0x5410)
    else:  # noqa: RET505
        pair = permute_bytes(whole - last, last, 0x5410)
        return pair, pair


@triton.jit
def row_of_words(p, bits, weights, antialias: tl.constexpr):
    """The weighted sum of the pixels that begin with bit `bits` (modulo 32) of the word at `p`; 1.5 * 2^23 is added."""
    second, third = tl.load(p + 1), tl.load(p + 2)
    one, two = funnel_shift(tl.load(p), second, bits), funnel_shift(second, third, bits)  # RGBR GBRG
    none = tl.full(bits.shape, ROUND_BITS, tl.int32)
    reds_greens, blues = permute_bytes(one, two, 0x4130), permute_bytes(one, two, 0x0052)
    r = dot2(weights[0], reds_greens, False, none)
    g = dot2(weights[0], reds_greens, True, none)
    b = dot2(weights[0], blues, False, none)
    if antialias:
        three = funnel_shift(third, tl.load(p + 3), bits)  # BRGB
        reds_greens, blues = permute_bytes(two, three, 0x6352), permute_bytes(three, three, 0x0030)
        r = dot2(weights[1], reds_greens, False, r)
        g = dot2(weights[1], reds_greens, True, g)
        b = dot2(weights[1], blues, False, b)
    return r.to(tl.float32, bitcast=True), g.to(tl.float32, bitcast=True), b.to(tl.float32, bitcast=True)


@triton.jit
def row_of_numbers(data, q, last, w, seen, antialias: tl.constexpr):
    """The same without what is added, read number by number, where `seen`, and never past the `last`: a pixel beyond
    it has no weight.
    """
    r, g, b = w[0] * 0, w[0] * 0, w[0] * 0
    for i in tl.static_range(4 if antialias else 2):
        r += w[i] * tl.load(data + tl.minimum(q + 3 * i, last), mask=seen, other=0).to(tl.float32)
        g += w[i] * tl.load(data + tl.minimum(q + 3 * i + 1, last), mask=seen, other=0).to(tl.float32)
        b += w[i] * tl.load(data + tl.minimum(q + 3 * i + 2, last), mask=seen, other=0).to(tl.float32)
    return r, g, b


@triton.jit
def by_numbers(data, left, top, along, down, height, width, seen, unit: tl.constexpr, antialias: tl.constexpr):
    """The filtered sample of the window at `left`, `top`, read number by number, `unit` times; 0 unless `seen`."""
    r, g, b = down[0] * 0, down[0] * 0, down[0] * 0
    for j in range(4 if antialias else 2):  # a loop that stays one: all loads at once would take all registers
        q = (tl.minimum(top + j, height - 1) * width + left) * 3
        weight = tl.where(j < 2, tl.where(j == 0, down[0], down[1]), tl.where(j == 2, down[2], down[3]))
        dr, dg, db = row_of_numbers(data, q, height * width * 3 - 1, along, seen, antialias)
        r, g, b = weight * dr + r, weight * dg + g, weight * db + b
    return tl.where(seen, r * unit, 0.0), tl.where(seen, g * unit, 0.0), tl.where(seen, b * unit, 0.0)


@triton.jit
def add_sample(
    r, g, b, data, start, homography, image, h, slopes, u, v, side_u, side_v, height, width, word, fill,
    care: tl.constexpr, padding: tl.constexpr, antialias: tl.constexpr, wide: tl.constexpr, level: tl.constexpr,
):  # fmt: skip
    """The sums r, g, b and one filtered sample at the output positions (u, v), `UNIT` to a grey level, as `fill` is,
    and 1.5 * 2^23, which the rows bring.

    Where a tile's word asks neither for care nor for bytes, w > 0 and all of the tile is seen.
    """
    edge = (word & EDGE) != 0
    seen = tl.full(u.shape, True, tl.int1)
    careful = False
    if care:
        careful = (word & CAREFUL) != 0
    if careful:
        exact = to_float64(homography_at(homography, image))  # read again, to keep no registers for it
        u64, v64 = u.to(tl.float64), v.to(tl.float64)
        w = exact[6] * u64 + exact[7] * v64 + exact[8]
        seen = tl.where((word & FILL) != 0, 0.0, w) > 0
        w = tl.where(seen, tl.maximum(w, LEAST_W), 1.0)
        soft = tl.where((word & COPY) != 0, 0.0, 1.0)
        sides = (side_u * soft).to(tl.float64), (side_v * soft).to(tl.float64)
        x64, y64, extent_x, extent_y = project_with_extents(exact, w, u64, v64, sides[0], sides[1], antialias)
        x = wrap(x64, width.to(tl.float64), padding).to(tl.float32)
        y = wrap(y64, height.to(tl.float64), padding).to(tl.float32)
        over = tl.full(u.shape, 1.0, tl.float32)
    else:
        affine = tl.load(slopes + 6)  # one over w, where that is the same everywhere
        over = tl.where(affine != 0, affine, reciprocal(h[7] * v + (h[6] * u + h[8])))  # in brackets: once for a column
        x, y = h[1] * v + (h[0] * u + h[2]), h[4] * v + (h[3] * u + h[5])
        extent_x, extent_y = u, u  # of no use without a filter
        if antialias:
            extent_x, extent_y = extents(slopes, over, u, v, side_u, side_v)
    if edge:
        x, y = wrap(x * over, width.to(tl.float32), padding), wrap(y * over, height.to(tl.float32), padding)
        over = tl.full(u.shape, 1.0, tl.float32)
    shifted_x, fx = split(x, over)
    shifted_y, fy = split(y, over)
    left, a0, a1, a2, a3 = window(shifted_x, fx, extent_x, width, edge, padding, antialias)
    top, b0, b1, b2, b3 = window(shifted_y, fy, extent_y, height, edge, padding, antialias)
    if wide:
        left, top, width, height = left.to(tl.int64), top.to(tl.int64), width.to(tl.int64), height.to(tl.int64)
    along, down = (a0, a1, a2, a3), (b0, b1, b2, b3)
    across, high = tl.full(u.shape, 1.0, tl.float32), tl.full(u.shape, 1.0, tl.float32)  # the weight of the window
    if padding == COLOUR:  # noqa: SIM102 - one condition for the compiler, one for the GPU
        if edge:
            across, high = tl.where(seen, a0 + a1 + a2 + a3, 0.0), tl.where(seen, b0 + b1 + b2 + b3, 1.0)
            rest, missed = 1 - across * high, (1 - high) * ROUND
            r, g, b = r + (rest * fill[0] + missed), g + (rest * fill[1] + missed), b + (rest * fill[2] + missed)
    pitch = width * 3
    if data.dtype.element_ty == tl.float32:
        dr, dg, db = by_numbers(data + start, left, top, along, down, height, width, seen, 255 * UNIT, antialias)
        r, g, b = r + (dr + high * ROUND), g + (dg + high * ROUND), b + (db + high * ROUND)
    elif word & BYTES:
        dr, dg, db = by_numbers(data + start, left, top, along, down, height, width, seen, UNIT, antialias)
        r, g, b = r + (dr + high * ROUND), g + (dg + high * ROUND), b + (db + high * ROUND)
    else:
        weights = pack_weights(along, (across * UNIT + ROUND).to(tl.int32, bitcast=True), antialias)
        first = data + (start - (start & 3))
        begin = (start & 3).to(pitch.dtype) + top * pitch + left * 3
        bits = (begin * 8).to(tl.int32)
        p = (first + to_unsigned(begin & -4)).to(tl.pointer_type(tl.int32))
        for j in tl.static_range(4 if antialias else 2):
            if j > 0:
                if level:  # all rows begin at the same byte of a word
                    p += (pitch >> 2).to(tl.int64)
                else:
                    offset = begin + j * pitch
                    bits = (offset * 8).to(tl.int32)
                    p = (first + to_unsigned(offset & -4)).to(tl.pointer_type(tl.int32))
            dr, dg, db = row_of_words(p, bits, weights, antialias)
            r, g, b = down[j] * dr + r, down[j] * dg + g, down[j] * db + b
    return r, g, b


@triton.jit
def to_unsigned(offset):
    """An offset that is not negative, so that 32 bits of it can be added to an address as they are."""
    return offset if offset.dtype == tl.int64 else offset.to(tl.uint32, bitcast=True)


@triton.jit
def negative_logit2(x):
    """Minus the logit of x in 0..1, to base 2."""
    return log2(tl.maximum(1 - x, EPSILON)) - log2(tl.maximum(x, EPSILON))


@triton.jit
def sigmoid2(z):
    """The sigmoid of what is minus `z`, to base 2."""
    return reciprocal(1 + tl.exp2(z))


@triton.jit
def apply_logit(m, r, g, b, diagonal: tl.constexpr):
    """The affine map `m` of the logits of RGB, and back; to base 2, since that is what the hardware has."""
    r, g, b = negative_logit2(r), negative_logit2(g), negative_logit2(b)
    if diagonal:
        m = m[0], m[1] * -LOG2_E, m[2], m[3] * -LOG2_E, m[4], m[5] * -LOG2_E
    else:
        m = (m[0], m[1], m[2], m[3] * -LOG2_E, m[4], m[5], m[6], m[7] * -LOG2_E, m[8], m[9], m[10], m[11] * -LOG2_E)
    r, g, b = apply_affine(m, r, g, b, diagonal)
    return sigmoid2(r), sigmoid2(g), sigmoid2(b)


@triton.jit
def hue_channel(sixth, value, chroma):
    """A channel of the colour whose hue, counted from where this channel begins, is `sixth`."""
    k = sixth - 6 * tl.floor(sixth * (1 / 6))
    return value - chroma * tl.minimum(tl.maximum(tl.minimum(k, 4 - k), 0.0), 1.0)


@triton.jit
def rotate_hue(turns, r, g, b):
    """Hue moved by `turns`; see `reference.turned`."""
    value, least = tl.maximum(r, tl.maximum(g, b)), tl.minimum(r, tl.minimum(g, b))
    chroma = value - least
    safe = reciprocal(tl.where(chroma > 0, chroma, 1.0))
    sixth = tl.where(value == g, 2 + (b - r) * safe, 4 + (r - g) * safe)
    sixth = tl.where(value == r, (g - b) * safe, sixth) + 6 * turns
    return (
        hue_channel(sixth + 5, value, chroma),
        hue_channel(sixth + 3, value, chroma),
        hue_channel(sixth + 1, value, chroma),
    )


@triton.jit
def apply_table(table, x):
    """The table of 256 entries at x in 0..1, linearly interpolated."""
    level = saturate(x) * 255
    below = tl.minimum(tl.floor(level), 254.0)
    p = table + below.to(tl.int32)
    low, high = tl.load(p), tl.load(p + 1)
    return low + (high - low) * (level - below)


@triton.jit
def to_dtype(x, kind: tl.constexpr):
    """A result in 0..1 as a number of the output's format."""
    if kind == tl.uint8:
        x = (x * 255 + ROUND) - ROUND
        return tl.minimum(tl.maximum(x, 0.0), 255.0).to(tl.int32).to(tl.uint8)
    else:  # noqa: RET505
        return x.to(kind)


@triton.jit
def load_colour(logit, hue, table, colour, image, diagonal: tl.constexpr):
    """An image's colour map, read once; of a stage that is left out, something that is not used."""
    colours = affine_at(colour, image, diagonal)
    lights, turns, entries = colours, colours[0], colour
    if logit is not None:
        lights = affine_at(logit, image, diagonal)
    if hue is not None:
        turns = tl.load(hue + image)
    if table is not None:
        entries = table + image * 256
    return lights, turns, entries, colours


@triton.jit
def apply_colour(r, g, b, lights, turns, entries, colours, logit, hue, table, diagonal: tl.constexpr):
    """The colour map; its stages are left out where their parameters are None."""
    if logit is not None:
        r, g, b = apply_logit(lights, r, g, b, diagonal)
    if hue is not None:
        r, g, b = rotate_hue(turns, r, g, b)
    if table is not None:
        r, g, b = apply_table(entries, r), apply_table(entries, g), apply_table(entries, b)
    return apply_affine(colours, r, g, b, diagonal)


@triton.jit
def erase_box(r, g, b, row, column, box, columns: tl.constexpr):
    """The pixels whose centres lie in the rectangle replaced, by black or by the colour behind it."""
    hit = (column + 0.5 >= tl.load(box)) & (column + 0.5 < tl.load(box + 2))
    hit = hit & (row + 0.5 >= tl.load(box + 1)) & (row + 0.5 < tl.load(box + 3))
    if columns == 7:
        r, g = tl.where(hit, tl.load(box + 4), r), tl.where(hit, tl.load(box + 5), g)
        return r, g, tl.where(hit, tl.load(box + 6), b)
    else:  # noqa: RET505
        return tl.where(hit, 0.0, r), tl.where(hit, 0.0, g), tl.where(hit, 0.0, b)


@triton.jit(
    do_not_specialize=(
        "height", "width", "first", "rows", "columns", "stride_n", "stride_c", "stride_v", "stride_u",
        "red", "green", "blue",
    ),
    do_not_specialize_on_alignment=(
        "data", "offsets", "sizes", "homography", "tiles", "logit", "hue", "table", "colour", "erase", "target",
    ),
)  # fmt: skip
def warp_kernel(
    data,
    offsets,
    sizes,
    height,
    width,
    homography,
    tiles,
    logit,
    hue,
    table,
    colour,
    erase,
    target,
    first,
    rows,
    columns,
    stride_n,
    stride_c,
    stride_v,
    stride_u,
    red,
    green,
    blue,
    packed: tl.constexpr,
    padding: tl.constexpr,
    antialias: tl.constexpr,
    diagonal: tl.constexpr,
    erase_columns: tl.constexpr,
    wide: tl.constexpr,
    level: tl.constexpr,
    chunk: tl.constexpr,
    patch: tl.constexpr,
    span: tl.constexpr,
):
    """Some tiles, one above the other: their rows in chunks of `chunk` pixels, in which a group of 32 threads does
    `patch` columns.

    The strides of `target` are in bytes. `level` says that the rows of all images begin at the same byte of a word.
    """
    tile_u, tile_v = tl.program_id(0), tl.program_id(1) * span
    image = tl.program_id(2).to(tl.int64) + first
    across = tl.num_programs(0)
    count = tl.cdiv(rows, TILE) * across
    tiles += image * (count + SLOPES)
    slopes = (tiles + count).to(tl.pointer_type(tl.float32))
    tiles += tile_v * across + tile_u
    start, high, broad = image_at(packed, offsets, sizes, height, width, image)
    h = homography_at(homography, image)
    lights, turns, entries, colours = load_colour(logit, hue, table, colour, image, diagonal)
    fill = (red * UNIT, green * UNIT, blue * UNIT)
    box = erase if erase is None else erase + image * erase_columns

    thread = tl.arange(0, chunk)
    lane, group = thread % 32, thread // 32
    column = (group % (TILE // patch)) * patch + lane % patch + tile_u * TILE
    row = group // (TILE // patch) * (32 // patch) + lane // patch + tile_v * TILE
    # Beyond the frame the last row or column is done again: the tile's word has not foreseen what lies further.
    u = tl.minimum(column, columns - 1).to(tl.float32)
    if wide:
        row, column = row.to(tl.int64), column.to(tl.int64)
    p = target.to(tl.pointer_type(tl.uint8)) + image * stride_n + (row * stride_v + column * stride_u)
    step = (stride_v * (chunk // TILE)).to(tl.int64)
    line, last = row.to(tl.float32), (rows - 1).to(tl.float32)
    for below in range(0, tl.minimum(TILE * span, rows - tile_v * TILE), chunk // TILE):
        word = tl.load(tiles + below // TILE * across)
        v = tl.minimum(line, last)
        if not antialias:  # one sample, however large the footprint
            word = word & -256 | ONE_SAMPLE
        if (word & (CAREFUL | 255)) != ONE_SAMPLE:
            count_u, count_v = word & 15, (word >> COUNT_V) & 15
            side_u, side_v = 1.0 / count_u, 1.0 / count_v
            r = tl.full(u.shape, -ROUND * (count_u * count_v), tl.float32)  # so much the samples bring besides
            g, b = r, r
            sample_v = v + 0.5 * side_v
            for _ in range(count_v):
                sample_u = u + 0.5 * side_u
                for _ in range(count_u):
                    r, g, b = add_sample(
                        r, g, b, data, start, homography, image, h, slopes, sample_u, sample_v, side_u, side_v,
                        high, broad, word, fill, True, padding, antialias, wide, level,
                    )  # fmt: skip
                    sample_u += side_u
                sample_v += side_v
            scale = side_u * side_v
        else:
            r = tl.full(u.shape, -ROUND, tl.float32)
            r, g, b = add_sample(
                r, r, r, data, start, homography, image, h, slopes, u + 0.5, v + 0.5, 1.0, 1.0,
                high, broad, word, fill, False, padding, antialias, wide, level,
            )  # fmt: skip
            scale = 1.0
        scale *= 1 / (255 * UNIT)
        r, g, b = r * scale, g * scale, b * scale
        if antialias:
            r, g, b = saturate(r), saturate(g), saturate(b)
        r, g, b = apply_colour(r, g, b, lights, turns, entries, colours, logit, hue, table, diagonal)
        if erase is not None:
            r, g, b = erase_box(r, g, b, line, column, box, erase_columns)
        kept = (line <= last) & (column < columns)
        kind: tl.constexpr = target.dtype.element_ty
        put(p, to_dtype(r, kind), kept)
        put(p + stride_c, to_dtype(g, kind), kept)
        put(p + 2 * stride_c, to_dtype(b, kind), kept)
        line += chunk // TILE
        p += step


@triton.jit
def put(p, value, kept):
    """Store numbers where bytes begin."""
    tl.store(p.to(tl.pointer_type(value.dtype)), value, mask=kept)


@triton.jit(
    do_not_specialize=(
        "source_n", "source_c", "source_v", "source_u", "first", "rows", "columns",
        "stride_n", "stride_c", "stride_v", "stride_u",
    ),
    do_not_specialize_on_alignment=("source", "logit", "hue", "table", "colour", "erase", "target"),
)  # fmt: skip
def colour_kernel(
    source,
    source_n,
    source_c,
    source_v,
    source_u,
    logit,
    hue,
    table,
    colour,
    erase,
    target,
    first,
    rows,
    columns,
    stride_n,
    stride_c,
    stride_v,
    stride_u,
    antialias: tl.constexpr,
    erase_columns: tl.constexpr,
    block: tl.constexpr,
):
    """A colour map without a warp: `block` pixels of one image; as a filter would, `antialias` limits them to 0..1."""
    image = tl.program_id(1).to(tl.int64) + first
    point = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    row, column = point // columns, point % columns
    kept = row < rows
    p = source + image * source_n + row * source_v + column * source_u
    r, g = tl.load(p, mask=kept, other=0.0), tl.load(p + source_c, mask=kept, other=0.0)
    b = tl.load(p + 2 * source_c, mask=kept, other=0.0)
    if antialias:
        r, g, b = saturate(r), saturate(g), saturate(b)
    lights, turns, entries, colours = load_colour(logit, hue, table, colour, image, False)
    r, g, b = apply_colour(r, g, b, lights, turns, entries, colours, logit, hue, table, False)
    if erase is not None:
        r, g, b = erase_box(r, g, b, row, column, erase + image * erase_columns, erase_columns)
    p = target + image * stride_n + row * stride_v + column * stride_u
    kind: tl.constexpr = target.dtype.element_ty
    tl.store(p, to_dtype(r, kind), mask=kept)
    tl.store(p + stride_c, to_dtype(g, kind), mask=kept)
    tl.store(p + 2 * stride_c, to_dtype(b, kind), mask=kept)
