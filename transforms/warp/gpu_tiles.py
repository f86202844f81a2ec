"""How each tile of the output is to be done, decided once per tile in float64, in Triton.

The rules are those of `footprint.py`. One word per tile tells the kernel of the warp what it need not find out for
itself: into how many sub-pixels the pixels are divided, and which of the slower, more careful ways it has to take.
"""

# Kernels are a language of their own: Triton reads their source, types and all.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, operator, misc, assignment"

import triton
import triton.language as tl

from . import footprint

TILE = tl.constexpr(footprint.TILE)
ONE_SAMPLE = tl.constexpr(footprint.ONE_SAMPLE)
SKEW = tl.constexpr(footprint.SKEW)
SUBPIXEL = tl.constexpr(footprint.SUBPIXEL)
MOST = tl.constexpr(float(footprint.MOST))
WHOLE = tl.constexpr(footprint.WHOLE)

COUNT_V = tl.constexpr(4)
"""A tile's word: `n_u` in its lowest four bits, `n_v` from this bit on, and flags."""
COPY = tl.constexpr(1 << 8)
"""Whole pixels move: the filter interpolates, so they are copied."""
CAREFUL = tl.constexpr(1 << 9)
"""Coordinates are large, or w cancels: float64."""
EDGE = tl.constexpr(1 << 10)
"""Some taps may lie outside the image."""
BYTES = tl.constexpr(1 << 11)
"""Pixels are read byte by byte: words could reach beyond the data or are not aligned, or some pixels have no source."""
FILL = tl.constexpr(1 << 12)
"""There is no source at all."""
EMPTY = tl.constexpr(1 | 1 << COUNT_V.value | CAREFUL.value | EDGE.value | BYTES.value | FILL.value)
"""The word of such a tile: done with all care, so that nothing is read."""

SLOPES = tl.constexpr(7)
"""How many numbers (float32) stand behind the words of an image; see `store_slopes`."""

MARGIN = tl.constexpr(3.25)
"""A tile whose corners lie at least this far inside the image reads neither beyond it nor its last word."""
LARGE = tl.constexpr(8192.0)
"""Terms of a coordinate up to here are as exact in float32 as the warp's tolerance asks."""
LONG = tl.constexpr(1 << 21)
"""Beyond as many pixels, a position in float32 is too coarse to be known to lie inside."""
CANCELS = tl.constexpr(16.0)
"""So is w, unless its terms are more than as many times as large."""


@triton.jit
def homography_at(homography, image):
    """The nine numbers of an image's homography, as a tuple of float32."""
    p = homography + image * 9
    return (
        tl.load(p),
        tl.load(p + 1),
        tl.load(p + 2),
        tl.load(p + 3),
        tl.load(p + 4),
        tl.load(p + 5),
        tl.load(p + 6),
        tl.load(p + 7),
        tl.load(p + 8),
    )


@triton.jit
def to_float64(h):
    """The same nine numbers in float64."""
    return (
        h[0].to(tl.float64),
        h[1].to(tl.float64),
        h[2].to(tl.float64),
        h[3].to(tl.float64),
        h[4].to(tl.float64),
        h[5].to(tl.float64),
        h[6].to(tl.float64),
        h[7].to(tl.float64),
        h[8].to(tl.float64),
    )


@triton.jit
def image_at(packed: tl.constexpr, offsets, sizes, height, width, image):
    """Where an image begins, in bytes (int64), its height and its width."""
    if packed:
        return tl.load(offsets + image), tl.load(sizes + 2 * image), tl.load(sizes + 2 * image + 1)
    else:  # noqa: RET505 - Triton wants both ways of a constant condition spelled out
        return image * (height.to(tl.int64) * width.to(tl.int64) * 3), height, width


@triton.jit
def project(h, u, v):
    """Source position, one over `w`, and `w`; where `w` is not positive, the others mean nothing, and are not used."""
    w = h[6] * u + h[7] * v + h[8]
    over = 1 / w  # the one division: in float64 it takes as long as forty products
    return (h[0] * u + h[1] * v + h[2]) * over, (h[3] * u + h[4] * v + h[5]) * over, over, w


@triton.jit
def off_whole(h, signs, u, v):
    """How far the centre of pixel (u, v) falls from where a move by whole pixels would take it."""
    x, y, _, w = project(h, u, v)
    first_x, first_y, _, _ = project(h, u * 0 + 0.5, v * 0 + 0.5)
    start_x, start_y = tl.floor(first_x) + 0.5, tl.floor(first_y) + 0.5
    off_x = tl.abs(x - start_x - signs[0] * (u - 0.5) - signs[1] * (v - 0.5))
    off_y = tl.abs(y - start_y - signs[2] * (u - 0.5) - signs[3] * (v - 0.5))
    return tl.where(w > 0, tl.maximum(off_x, off_y), float("inf"))


@triton.jit
def moves_whole_pixels(h, rows, columns):
    """Whether the homography carries pixel centres to pixel centres; `h` in float64, as all that is decided here."""
    over = 1 / tl.where(h[8] == 0, float("inf"), h[8])
    signs = (
        tl.floor(h[0] * over + 0.5), tl.floor(h[1] * over + 0.5), tl.floor(h[3] * over + 0.5),
        tl.floor(h[4] * over + 0.5),
    )  # fmt: skip
    a, b, d, e = tl.abs(signs[0]), tl.abs(signs[1]), tl.abs(signs[2]), tl.abs(signs[3])
    permutes = (a + b == 1) & (a == e) & (b == d)
    if permutes:  # few do
        right, bottom = columns.to(tl.float64) - 0.5, rows.to(tl.float64) - 0.5
        left, top = right * 0 + 0.5, bottom * 0 + 0.5
        permutes = permutes & (off_whole(h, signs, left, top) <= WHOLE)
        permutes = permutes & (off_whole(h, signs, right, top) <= WHOLE)
        permutes = permutes & (off_whole(h, signs, left, bottom) <= WHOLE)
        permutes = permutes & (off_whole(h, signs, right, bottom) <= WHOLE)
    return permutes


@triton.jit
def store_slopes(target, h, copies):
    """What the warp has to know of an image to find how large a footprint is, and one over w where that is the same
    everywhere, else 0.

    From x = X / w follow w^2 dx/du = (a k - b g) v + (a m - c g) and w^2 dx/dv = (b m - c k) - (a k - b g) u: the three
    numbers in brackets, and those of y. Where pixels are copied they are 0.
    """
    one = tl.where(copies, 0.0, 1.0).to(tl.float64)
    tl.store(target, ((h[0] * h[7] - h[1] * h[6]) * one).to(tl.float32))
    tl.store(target + 1, ((h[0] * h[8] - h[2] * h[6]) * one).to(tl.float32))
    tl.store(target + 2, ((h[1] * h[8] - h[2] * h[7]) * one).to(tl.float32))
    tl.store(target + 3, ((h[3] * h[7] - h[4] * h[6]) * one).to(tl.float32))
    tl.store(target + 4, ((h[3] * h[8] - h[5] * h[6]) * one).to(tl.float32))
    tl.store(target + 5, ((h[4] * h[8] - h[5] * h[7]) * one).to(tl.float32))
    flat = (h[6] == 0) & (h[7] == 0) & (h[8] != 0)
    tl.store(target + 6, tl.where(flat, 1 / tl.where(flat, h[8], 1.0), 0.0).to(tl.float32))


@triton.jit
def tile_words(h, copies, start, height, width, total, readable, aligned, rows, columns, across, tile):
    """The words of the tiles `tile`, for one image: `h` in float64, whether it `copies` pixels, its first byte at
    `start` of `total`.

    Words may be read up to byte `readable`, if the data is `aligned` to them.

    Extremes of an expression over a tile are at its corners, for each is monotonous along any line in it while w > 0.
    """
    inf = float("inf")
    long = (tile * 0).to(tl.float64)  # lengths of a pixel's sides, and how its footprint leans
    side_u, side_v, lean, terms = long, long, long, long
    least_x, most_x, least_y, most_y = long + inf, long - inf, long + inf, long - inf
    least_w, most_w, share = long + inf, long - inf, long
    for corner in tl.static_range(4):
        u = tl.minimum((tile % across + corner % 2) * TILE, columns).to(tl.float64)
        v = tl.minimum((tile // across + corner // 2) * TILE, rows).to(tl.float64)
        x, y, over, w = project(h, u, v)
        xu, xv = (h[0] - x * h[6]) * over, (h[1] - x * h[7]) * over
        yu, yv = (h[3] - y * h[6]) * over, (h[4] - y * h[7]) * over
        side_u, side_v = tl.maximum(side_u, xu * xu + yu * yu), tl.maximum(side_v, xv * xv + yv * yv)
        lean = tl.maximum(lean, tl.abs(xu * yu + xv * yv))
        across_x = tl.abs(h[0]) * u + tl.abs(h[1]) * v + tl.abs(h[2])
        across_y = tl.abs(h[3]) * u + tl.abs(h[4]) * v + tl.abs(h[5])
        terms = tl.maximum(terms, tl.maximum(across_x, across_y) * over)
        share = tl.maximum(share, (tl.abs(h[6]) * u + tl.abs(h[7]) * v + tl.abs(h[8])) * over)
        least_x, most_x = tl.minimum(least_x, x), tl.maximum(most_x, x)
        least_y, most_y = tl.minimum(least_y, y), tl.maximum(most_y, y)
        least_w, most_w = tl.minimum(least_w, w), tl.maximum(most_w, w)
    hidden = ~(least_w > 0)
    side_u, side_v = tl.sqrt(tl.where(hidden, inf, side_u)), tl.sqrt(tl.where(hidden, inf, side_v))
    divided = (side_u > ONE_SAMPLE) | (side_v > ONE_SAMPLE) | (lean > SKEW)
    count_u = tl.where(divided, tl.minimum(tl.maximum(tl.ceil(side_u / SUBPIXEL), 1.0), MOST), 1.0).to(tl.int32)
    count_v = tl.where(divided, tl.minimum(tl.maximum(tl.ceil(side_v / SUBPIXEL), 1.0), MOST), 1.0).to(tl.int32)
    size = tl.abs(h[0]) + tl.abs(h[1]) + tl.abs(h[2]) + tl.abs(h[3]) + tl.abs(h[4]) + tl.abs(h[5])
    size += tl.abs(h[6]) + tl.abs(h[7]) + tl.abs(h[8])
    end = start + height.to(tl.int64) * width.to(tl.int64) * 3
    # The number last: the interpreter takes a comparison of scalars for numbers of the kind that it compared.
    real = (start >= 0) & (height > 0) & (width > 0) & (end <= total) & (size < inf)
    room = tl.minimum(tl.minimum(least_x, width - most_x), tl.minimum(least_y, height - most_y))
    edge = ~(room >= MARGIN) | hidden | (tl.maximum(height, width) > LONG)
    small = (height < 4) | (width < 4)
    word = count_u + (count_v << COUNT_V)
    word += tl.where(copies, COPY, 0)
    word += tl.where(hidden | (share > CANCELS) | (terms > LARGE), CAREFUL, 0) + tl.where(edge, EDGE, 0)
    word += tl.where((aligned == 0) | small | hidden | (edge & ((end + 3) // 4 * 4 + 4 > readable)), BYTES, 0)
    return tl.where(real & (most_w > 0), word, EMPTY)


@triton.jit(
    do_not_specialize=("height", "width", "total", "readable", "aligned", "rows", "columns", "across", "count"),
    do_not_specialize_on_alignment=("offsets", "sizes", "homography", "tiles"),
)
def tiles_kernel(
    offsets,
    sizes,
    height,
    width,
    total,
    readable,
    aligned,
    homography,
    tiles,
    rows,
    columns,
    across,
    count,
    packed: tl.constexpr,
    block: tl.constexpr,
):
    """The words of all tiles, and the slopes, of all images: `int32[N, count + SLOPES]`; one program per image."""
    image = tl.program_id(0).to(tl.int64)
    start, high, wide = image_at(packed, offsets, sizes, height, width, image)
    h = to_float64(homography_at(homography, image))
    store_tiles(tiles, image, h, start, high, wide, total, readable, aligned, rows, columns, across, count, block)


@triton.jit
def store_tiles(
    tiles, image, h, start, height, width, total, readable, aligned, rows, columns, across, count, block: tl.constexpr
):
    """The words and the slopes of one image."""
    tiles += image * (count + SLOPES)
    copies = moves_whole_pixels(h, rows, columns)
    store_slopes((tiles + count).to(tl.pointer_type(tl.float32)), h, copies)
    for first in range(0, count, block):
        tile = first + tl.arange(0, block)
        word = tile_words(h, copies, start, height, width, total, readable, aligned, rows, columns, across, tile)
        tl.store(tiles + tile, word, mask=tile < count)
