"""Drawing on the device: one Triton program per image draws and composes all of its parameters.

What is drawn is a *program*: a table with a row for each operation, which `transforms/program.py` compiles from the
transforms. The uniform numbers are those of `transforms/draw.py`, to the bit; what follows from them is float32, so
the parameters agree with the host's to rounding. The last thing a program finds is how each tile of its image is to be
done (`gpu_tiles.py`): the warp is the second and last launch.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, operator, misc, assignment"

import triton
import triton.language as tl

from . import draw_table as draws
from .gpu_kernel import ROUND
from .gpu_tiles import store_tiles

# The table's, as Triton wants them.
DIHEDRAL, AFFINE, ZOOM, PERSPECTIVE = (
    tl.constexpr(i) for i in (draws.DIHEDRAL, draws.AFFINE, draws.ZOOM, draws.PERSPECTIVE)
)
CROP, RANDOM_CROP, HOMOGRAPHY = (tl.constexpr(i) for i in (draws.CROP, draws.RANDOM_CROP, draws.HOMOGRAPHY))
BRIGHTNESS, FACTOR, CHANNELS, HUE = (
    tl.constexpr(i) for i in (draws.BRIGHTNESS, draws.FACTOR, draws.CHANNELS, draws.HUE)
)
GAMMA, SOLARIZE, POSTERIZE, ERASE = (
    tl.constexpr(i) for i in (draws.GAMMA, draws.SOLARIZE, draws.POSTERIZE, draws.ERASE)
)
OPERATION, FLAGS, WORD, INDEX, OF, SEGMENT, INTEGERS = (
    tl.constexpr(i)
    for i in (draws.OPERATION, draws.FLAGS, draws.WORD, draws.INDEX, draws.OF, draws.SEGMENT, draws.INTEGERS)
)
LOW, SPAN, CHANCE, OTHER, FLOATS = (
    tl.constexpr(i) for i in (draws.LOW, draws.SPAN, draws.CHANCE, draws.OTHER, draws.FLOATS)
)
BATCH, PICKED, AT_ENDS, POWER = (tl.constexpr(i) for i in (draws.BATCH, draws.PICKED, draws.AT_ENDS, draws.POWER))
TURNS, PAD, SQUISH, LOGIT, MIX = (
    tl.constexpr(i) for i in (draws.TURNS, draws.PAD, draws.SQUISH, draws.LOGIT, draws.MIX)
)

ROWS = tl.constexpr(32)
"""Of how many rows the numbers are drawn at once."""
NUMBERS = tl.constexpr(10)
"""How many numbers are kept of a row; see `store_numbers`."""
LUMA_R, LUMA_G, LUMA_B = (tl.constexpr(weight) for weight in (0.2989, 0.5870, 0.1140))
LAST = tl.constexpr(1 - 2.0**-24)
DEGREE = tl.constexpr(0.017453292519943295)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def unit(word):
    """The uniform number in [0, 1) of 32 random bits, exact in float32."""
    return (word >> 8).to(tl.int32).to(tl.float32) * 5.9604644775390625e-08


@triton.jit
def uniform(stream, key, word, flags, of):
    """Numbers 0 to 7 of an operation for one sample, in [0, 1), and which of `of` number 0 picks."""
    key = tl.where((flags & BATCH) != 0, 0, key)
    low, high = (key & 0xFFFFFFFF).to(tl.uint32), ((key >> 32) & 0xFFFFFFFF).to(tl.uint32)
    zero = low & 0
    first, second = tl.load(stream).to(tl.uint32), tl.load(stream + 1).to(tl.uint32)
    word = word.to(tl.uint32, bitcast=True)
    a, b, c, d = tl.philox_impl(low, high, word, zero, first, second)
    e, f, g, h = tl.philox_impl(low, high, word, zero + 1, first, second)
    pick = (((a >> 8).to(tl.int64) * of) >> 24).to(tl.int32)
    return (unit(a), unit(b), unit(c), unit(d), unit(e), unit(f), unit(g), unit(h)), pick


@triton.jit
def at_end(u, flags):
    """The nearer end of 0..1, if the flags ask for it."""
    return tl.where((flags & AT_ENDS) != 0, tl.where(u < 0.5, 0.0, LAST), u)


@triton.jit
def store_numbers(target, stream, key, integers, floats, count, block: tl.constexpr):
    """For each row of a program its numbers 0 to 7, whether it acts, and whether what it does happens: a thread for
    each row, where one after the other would take most of the launch's time.
    """
    for first in range(0, count, block):
        i = first + tl.arange(0, block)
        there = i < count
        whole, row = integers + i * INTEGERS, floats + i * FLOATS
        flags = tl.load(whole + FLAGS, mask=there, other=0)
        u, pick = uniform(
            stream, key, tl.load(whole + WORD, mask=there, other=0), flags, tl.load(whole + OF, mask=there, other=1)
        )
        picked = (flags & PICKED) != 0
        acts = ~picked | (pick == tl.load(whole + INDEX, mask=there, other=0))
        decides = tl.where(picked, at_end(u[1], flags), u[0])
        happens = decides < tl.load(row + CHANCE, mask=there, other=0.0)
        p = target + i * NUMBERS
        for k in tl.static_range(7):
            tl.store(p + k, tl.where(picked, at_end(u[k + 1], flags), u[k]), mask=there)
        tl.store(p + 7, u[7], mask=there)
        tl.store(p + 8, acts.to(tl.float32), mask=there)
        tl.store(p + 9, happens.to(tl.float32), mask=there)


@triton.jit
def drawn(row, u, i: tl.constexpr):
    """Number i of an operation, in its range."""
    return tl.load(row + LOW + i) + tl.load(row + SPAN + i) * u[i]


@triton.jit
def log(x):
    """The natural logarithm."""
    return tl.log2(x) * LN_2


@triton.jit
def exp(x):
    """The exponential."""
    return tl.exp2(x * (1 / LN_2))


@triton.jit
def turned(degrees):
    """The cosine and the sine of an angle.

    Whole quarters of a turn are taken away in degrees, where that is exact. Polynomials: Cephes' `sinf` and `cosf`.
    """
    quarters = tl.floor(degrees * (1 / 90) + 0.5)
    x = (degrees - 90 * quarters) * DEGREE  # within an eighth of a turn
    square = x * x
    sine = x + x * square * (-1.6666654611e-1 + square * (8.3321608736e-3 - 1.9515295891e-4 * square))
    curve = 4.166664568298827e-2 + square * (-1.388731625493765e-3 + 2.443315711809948e-5 * square)
    cosine = 1 - 0.5 * square + square * square * curve
    whole = quarters.to(tl.int32)
    one, other = tl.where((whole & 1) != 0, -sine, cosine), tl.where((whole & 1) != 0, cosine, sine)
    return tl.where((whole & 2) != 0, -one, one), tl.where((whole & 2) != 0, -other, other)


@triton.jit
def tangent(degrees):
    """The tangent of an angle."""
    cosine, sine = turned(degrees)
    return sine / cosine


@triton.jit
def covered(high, wide, rows, columns, flags):
    """The share (x, y) of a frame that the box of the output's aspect takes: the largest in it, or around it."""
    aspect = (wide * rows) / (high * columns)
    x, y = tl.minimum(1 / aspect, 1.0), tl.minimum(aspect, 1.0)
    around = (flags & PAD) != 0
    x, y = tl.where(around, tl.maximum(1 / aspect, 1.0), x), tl.where(around, tl.maximum(aspect, 1.0), y)
    squish = (flags & SQUISH) != 0
    return tl.where(squish, 1.0, x), tl.where(squish, 1.0, y)


@triton.jit
def geometric(operation, flags, row, u, happens, high, wide):
    """An operation's matrix, output to input in normalised coordinates, and the frame (h, w) that it leaves."""
    one, zero = high * 0 + 1, high * 0
    a, b, c, d, e, f, g, k = one, zero, zero, zero, one, zero, zero, zero
    m = one
    if operation == DIHEDRAL:
        which = tl.where(happens, drawn(row, u, 1), 0.0).to(tl.int32)
        x, y, swap = 1.0 - 2 * (which & 1), 1.0 - 2 * ((which >> 1) & 1), which >= 4
        a, b = tl.where(swap, 0.0, x), tl.where(swap, x, 0.0)
        d, e = tl.where(swap, y, 0.0), tl.where(swap, 0.0, y)
        turns = swap & ((flags & TURNS) != 0)
        high, wide = tl.where(turns, wide, high), tl.where(turns, high, wide)
    elif operation == AFFINE:
        degrees, x, y = drawn(row, u, 1), drawn(row, u, 2), drawn(row, u, 3)
        degrees = tl.where(happens, degrees, 0.0)
        x, y = tl.where(happens, -2 * x, 0.0), tl.where(happens, -2 * y, 0.0)
        scale = tl.where(happens, drawn(row, u, 4), 1.0)
        skew_x = tl.where(happens, drawn(row, u, 5), 0.0)
        skew_y = tl.where(happens, drawn(row, u, 6), 0.0)
        if (skew_x != 0) | (skew_y != 0):
            skew_x, skew_y = tangent(skew_x), tangent(skew_y)
        cosine, sine = turned(degrees)
        both = 1 + skew_x * skew_y  # along x, then along y: areas stay
        aspect = wide / high
        a, b = (both * cosine + skew_x * sine) / scale, (both * sine - skew_x * cosine) / scale / aspect
        d, e = (-sine - skew_y * cosine) / scale * aspect, (cosine - skew_y * sine) / scale
        c, f = a * x + b * y, d * x + e * y
    elif operation == ZOOM:
        scale = 1 / tl.where(happens, drawn(row, u, 1), 1.0)
        a, e = scale, scale
        c, f = (1 - scale) * (2 * drawn(row, u, 2) - 1), (1 - scale) * (2 * drawn(row, u, 3) - 1)
    elif operation == PERSPECTIVE:
        x, y = (
            tl.where(happens, drawn(row, u, 1), 0.0),
            tl.where(u[2] < tl.load(row + CHANCE + 1), drawn(row, u, 3), 0.0),
        )
        b = 2 * x * y / (1 - x * x - y * y)
        c, f = -x - b * y, -y - b * x
        d, g, k = b, c, f
    elif operation == CROP:
        rows, columns = tl.load(row + OTHER), tl.load(row + OTHER + 1)
        a, e = covered(high, wide, rows, columns, flags)
        c, f = (1 - a) * (2 * drawn(row, u, 0) - 1), (1 - e) * (2 * drawn(row, u, 1) - 1)
        high, wide = rows, columns
    elif operation == RANDOM_CROP:
        ratio = exp(drawn(row, u, 1))
        widest = tl.minimum(wide, high * ratio)
        width = tl.minimum(tl.sqrt(drawn(row, u, 0) * wide * high * ratio), widest) * tl.load(row + OTHER + 2)
        a, e = width / wide, width / ratio / high
        c, f = (1 - a) * (2 * drawn(row, u, 2) - 1), (1 - e) * (2 * drawn(row, u, 3) - 1)
        high, wide = tl.load(row + OTHER), tl.load(row + OTHER + 1)
    else:
        p = row + OTHER
        a, b, c, d, e, f = tl.load(p), tl.load(p + 1), tl.load(p + 2), tl.load(p + 3), tl.load(p + 4), tl.load(p + 5)
        g, k, m = tl.load(p + 6), tl.load(p + 7), tl.load(p + 8)
    return (a, b, c, d, e, f, g, k, m), high, wide


@triton.jit
def product(s, t):
    """The matrix s t."""
    return (
        s[0] * t[0] + s[1] * t[3] + s[2] * t[6],
        s[0] * t[1] + s[1] * t[4] + s[2] * t[7],
        s[0] * t[2] + s[1] * t[5] + s[2] * t[8],
        s[3] * t[0] + s[4] * t[3] + s[5] * t[6],
        s[3] * t[1] + s[4] * t[4] + s[5] * t[7],
        s[3] * t[2] + s[4] * t[5] + s[5] * t[8],
        s[6] * t[0] + s[7] * t[3] + s[8] * t[6],
        s[6] * t[1] + s[7] * t[4] + s[8] * t[7],
        s[6] * t[2] + s[7] * t[5] + s[8] * t[8],
    )


@triton.jit
def in_pixels(t, high, wide, rows, columns):
    """A matrix of normalised coordinates in continuous pixels: of the output `rows x columns`, of the source."""
    rows, columns = rows.to(tl.float32), columns.to(tl.float32)
    t = product(t, (2 / columns, columns * 0, -1.0, rows * 0, 2 / rows, -1.0, rows * 0, rows * 0, 1.0))
    x, y = wide * 0.5, high * 0.5
    return product((x, x * 0, x, y * 0, y, y, y * 0, y * 0, 1.0), t)


@triton.jit
def coloured(operation, flags, row, u, happens, m):
    """The affine map `m` and, after it, an operation that scales each channel, mixes luma into it, and moves it."""
    one, zero = u[0] * 0 + 1, u[0] * 0
    r, g, b, luma, dr, dg, db = one, one, one, zero, zero, zero, zero
    if operation == BRIGHTNESS:
        change = tl.minimum(tl.maximum(tl.where(happens, drawn(row, u, 1), 0.5), 1e-7), 1 - 1e-7)
        dr = log(change / (1 - change))
        dg, db = dr, dr
    elif operation == FACTOR:
        number = drawn(row, u, 1)
        number = tl.where((flags & POWER) != 0, exp(number), number)
        r = tl.where(happens, number, 1.0)
        g, b = r, r
        luma = tl.where((flags & MIX) != 0, 1 - r, 0.0)
    else:
        p = row + OTHER
        r, g, b = tl.load(p), tl.load(p + 1), tl.load(p + 2)
        dr, dg, db = tl.load(p + 3), tl.load(p + 4), tl.load(p + 5)
    y0 = luma * (LUMA_R * m[0] + LUMA_G * m[4] + LUMA_B * m[8])
    y1 = luma * (LUMA_R * m[1] + LUMA_G * m[5] + LUMA_B * m[9])
    y2 = luma * (LUMA_R * m[2] + LUMA_G * m[6] + LUMA_B * m[10])
    y3 = luma * (LUMA_R * m[3] + LUMA_G * m[7] + LUMA_B * m[11])
    return (
        r * m[0] + y0,
        r * m[1] + y1,
        r * m[2] + y2,
        r * m[3] + y3 + dr,
        g * m[4] + y0,
        g * m[5] + y1,
        g * m[6] + y2,
        g * m[7] + y3 + dg,
        b * m[8] + y0,
        b * m[9] + y1,
        b * m[10] + y2,
        b * m[11] + y3 + db,
    )


@triton.jit
def toned(operation, level, number):
    """What a table of an operation has for a whole grey level, in grey levels; `number` is its parameter."""
    result = level
    if operation == GAMMA:
        share = tl.maximum(level, 1.0) * (1 / 255)
        power = 255 * tl.exp2(number * tl.log2(share))
        result = tl.where(level > 0, power, tl.where(number > 0, 0.0, 255.0))
    elif operation == SOLARIZE:
        result = tl.where(level >= number, 255 - level, level)
    else:
        dropped = tl.minimum(tl.maximum(8 - number.to(tl.int32), 0), 8)
        result = ((level.to(tl.int32) >> dropped) << dropped).to(tl.float32)
    return result


@triton.jit
def tabled(operation, flags, row, u, happens, table):
    """The table (in grey levels) and, after it, the one of an operation, linearly interpolated."""
    number = drawn(row, u, 1)
    if operation == GAMMA:
        number = tl.where((flags & POWER) != 0, exp(number), number)
        number = tl.where(happens, number, 1.0)
    elif operation == SOLARIZE:
        number = tl.where(happens, number, 256.0)
    else:
        number = tl.where(happens, (number + ROUND) - ROUND, 8.0)
    level = tl.minimum(tl.maximum(table, 0.0), 255.0)
    below = tl.minimum(tl.floor(level), 254.0)
    low, high = toned(operation, below, number), toned(operation, below + 1, number)
    return low + (high - low) * (level - below)


@triton.jit
def erased(row, u, happens, rows, columns):
    """The rectangle (left, top, right, bottom) that becomes zero, in pixels of the output."""
    area, ratio = drawn(row, u, 1), exp(drawn(row, u, 2))
    w, h = tl.minimum(tl.sqrt(area * ratio), 1.0), tl.minimum(tl.sqrt(area / ratio), 1.0)
    x, y = u[3] * (1 - w), u[4] * (1 - h)
    columns = tl.where(happens, columns.to(tl.float32), 0.0)
    rows = tl.where(happens, rows.to(tl.float32), 0.0)
    return x * columns, y * rows, (x + w) * columns, (y + h) * rows


@triton.jit
def store_affine(target, m):
    """The twelve numbers of an affine map."""
    for i in tl.static_range(12):
        tl.store(target + i, m[i])


@triton.jit(
    do_not_specialize=(
        "height",
        "width",
        "total",
        "readable",
        "aligned",
        "count",
        "rows",
        "columns",
        "across",
        "tile_count",
    ),
    do_not_specialize_on_alignment=("offsets", "sizes", "keys", "stream", "integers", "floats", "numbers"),
)
def draw_kernel(
    offsets,
    sizes,
    height,
    width,
    total,
    readable,
    aligned,
    keys,
    stream,
    integers,
    floats,
    count,
    numbers,
    homography,
    logit,
    hue,
    table,
    colour,
    erase,
    words,
    rows,
    columns,
    across,
    tile_count,
    packed: tl.constexpr,
    block: tl.constexpr,
):
    """All parameters of one image, segment by segment, by the program's `count` rows, and its tiles' words."""
    image = tl.program_id(0).to(tl.int64)
    images = tl.num_programs(0).to(tl.int64)
    if packed:
        start = tl.load(offsets + image)
        source_height, source_width = tl.load(sizes + 2 * image), tl.load(sizes + 2 * image + 1)
    else:
        start, source_height, source_width = image * (height.to(tl.int64) * width * 3), height, width
    key = tl.load(keys + image)
    source_high, source_wide = source_height.to(tl.float32), source_width.to(tl.float32)
    high, wide = source_high, source_wide
    one, zero = high * 0 + 1, high * 0
    level = tl.arange(0, 256).to(tl.float32)
    t = (one, zero, zero, zero, one, zero, zero, zero, one)
    lights = (one, zero, zero, zero, zero, one, zero, zero, zero, zero, one, zero)
    colours, turns, tones, box = lights, zero, level, (zero, zero, zero, zero)
    numbers += image * count * NUMBERS
    store_numbers(numbers, stream, key, integers, floats, count, ROWS)
    tl.debug_barrier()  # what one thread has stored, others read
    for i in range(count):
        whole, row = integers + i * INTEGERS, floats + i * FLOATS
        operation, flags = tl.load(whole + OPERATION), tl.load(whole + FLAGS)
        p = numbers + i * NUMBERS
        u = (
            tl.load(p), tl.load(p + 1), tl.load(p + 2), tl.load(p + 3), tl.load(p + 4), tl.load(p + 5), tl.load(p + 6),
        )  # fmt: skip
        happens = tl.load(p + 9) > 0
        if tl.load(p + 8) > 0:
            if operation <= HOMOGRAPHY:
                made, high, wide = geometric(operation, flags, row, u, happens, high, wide)
                t = product(t, made)
            elif operation <= CHANNELS:
                if flags & LOGIT:
                    lights = coloured(operation, flags, row, u, happens, lights)
                else:
                    colours = coloured(operation, flags, row, u, happens, colours)
            elif operation == HUE:
                turns += tl.where(happens, drawn(row, u, 1), 0.0)
            elif operation <= POSTERIZE:
                tones = tabled(operation, flags, row, u, happens, tones)
            elif operation == ERASE:
                box = erased(row, u, happens, rows, columns)
            else:
                place = tl.load(whole + SEGMENT) * images + image
                store_affine(logit + place * 12, lights)
                store_affine(colour + place * 12, colours)
                tl.store(hue + place, turns)
                tl.store(table + place * 256 + tl.arange(0, 256), tones * (1 / 255))
                for side in tl.static_range(4):
                    tl.store(erase + place * 4 + side, box[side])
                lights = (one, zero, zero, zero, zero, one, zero, zero, zero, zero, one, zero)
                colours, turns, tones, box = lights, zero, level, (zero, zero, zero, zero)
    h = in_pixels(t, source_high, source_wide, rows, columns)
    for i in tl.static_range(9):
        tl.store(homography + image * 9 + i, h[i])
    exact = (
        h[0].to(tl.float64), h[1].to(tl.float64), h[2].to(tl.float64), h[3].to(tl.float64), h[4].to(tl.float64),
        h[5].to(tl.float64), h[6].to(tl.float64), h[7].to(tl.float64), h[8].to(tl.float64),
    )  # fmt: skip
    store_tiles(
        words, image, exact, start, source_height, source_width, total, readable, aligned, rows, columns, across,
        tile_count, block,
    )  # fmt: skip
