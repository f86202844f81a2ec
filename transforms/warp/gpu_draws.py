"""Drawing on the device: one Triton program per image draws and composes all of its parameters.

What is drawn is a *program*: a table with a row for each operation, which `transforms/op_table.py` compiles from the
transforms. The uniform numbers are those of `transforms/draw.py`, to the bit; what follows from them is float32, so
the parameters agree with the host's to rounding. The last thing a program finds is how each tile of its image is to be
done (`gpu_tiles.py`): the warp is the second and last launch.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, operator, misc, assignment"

import triton
import triton.language as tl

from . import opcodes
from .gpu_kernel import ROUND, log2
from .gpu_tiles import homography_at, store_tiles, to_float64

# What opcodes.py says, as Triton takes it: in the same order.
(
    DIHEDRAL, AFFINE, ZOOM, PERSPECTIVE, CROP, RANDOM_CROP, HOMOGRAPHY, BRIGHTNESS, FACTOR, CHANNELS, HUE, GAMMA,
    SCALE, SOLARIZE, POSTERIZE, ERASE, END,
) = (tl.constexpr(code.value) for code in opcodes.Opcode)  # fmt: skip
BATCH, PICKED, AT_ENDS, POWER, TURNS, PAD, SQUISH, LOGIT, MIX = (tl.constexpr(flag.value) for flag in opcodes.Flag)
OPERATION, FLAGS, WORD, INDEX, OF, SEGMENT, FRAME, GROUP = (tl.constexpr(column.value) for column in opcodes.Column)
GEOMETRY, LOGITS, COLOURS, ALONE = (tl.constexpr(group.value) for group in opcodes.Group)
LOW, SPAN, CHANCE, OTHER = (tl.constexpr(field.value) for field in opcodes.Field)
INTEGERS, FLOATS = tl.constexpr(opcodes.INTEGERS), tl.constexpr(opcodes.FLOATS)
LUMA_R, LUMA_G, LUMA_B = (tl.constexpr(weight) for weight in opcodes.LUMA)

ROWS = tl.constexpr(16)
"""Of how many rows of a program is found at once what they do: two threads of a warp for each."""
LAST = tl.constexpr(1 - 2.0**-24)
DEGREE = tl.constexpr(0.017453292519943295)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def unit(word):
    """The uniform number in [0, 1) of 32 random bits, exact in float32."""
    return (word >> 8).to(tl.int32).to(tl.float32) * 5.9604644775390625e-08


@triton.jit
def four_words(stream, key, word, flags, block):
    """The random bits of numbers 0 to 3 of an operation for one sample, or of numbers 4 to 7 where `block` is 1."""
    key = tl.where((flags & BATCH) != 0, 0, key)
    low, high = (key & 0xFFFFFFFF).to(tl.uint32), ((key >> 32) & 0xFFFFFFFF).to(tl.uint32)
    first, second = tl.load(stream).to(tl.uint32), tl.load(stream + 1).to(tl.uint32)
    word = word.to(tl.uint32, bitcast=True)
    return tl.philox_impl(low, high, word, (low & 0) + block.to(tl.uint32), first, second)


@triton.jit
def gather(values, threads):
    """For each thread of a warp what another one of them has."""
    return tl.gather(values, threads, 0)


@triton.jit
def broadcast(values, thread):
    """What one thread of a warp has, as a number that all threads have."""
    return tl.sum(tl.where(tl.arange(0, 2 * ROWS) == thread, values, 0.0))


@triton.jit
def operand(row, flags, u, i: tl.constexpr):
    """Number i of an operation, in its range. Where number 0 has picked the operation, the others follow it."""
    picked, at_ends = (flags & PICKED) != 0, (flags & AT_ENDS) != 0
    share = tl.where(picked, u[i + 1], u[i])
    share = tl.where(at_ends, tl.where(share < 0.5, 0.0, LAST), share)
    return tl.load(row + LOW + i) + tl.load(row + SPAN + i) * share


@triton.jit
def draw_rows(stream, key, integers, floats, i):
    """Numbers 0 to 6 of the rows `i` of a program, in their ranges, and whether the rows act: a row for each of 16
    threads. For each of them another one draws numbers 4 to 7, and finds nothing of its own.
    """
    whole, row = integers + i * INTEGERS, floats + i * FLOATS
    flags, thread = tl.load(whole + FLAGS), tl.arange(0, 2 * ROWS)
    a, b, c, d = four_words(stream, key, tl.load(whole + WORD), flags, thread // ROWS)
    pick = (((a >> 8).to(tl.int64) * tl.load(whole + OF)) >> 24).to(tl.int32)
    acts = ((flags & PICKED) == 0) | (pick == tl.load(whole + INDEX))
    a, b, c, d, upper = unit(a), unit(b), unit(c), unit(d), thread | ROWS
    u = (a, b, c, d, gather(a, upper), gather(b, upper), gather(c, upper), gather(d, upper))
    n = (
        operand(row, flags, u, 0),
        operand(row, flags, u, 1),
        operand(row, flags, u, 2),
        operand(row, flags, u, 3),
        operand(row, flags, u, 4),
        operand(row, flags, u, 5),
        operand(row, flags, u, 6),
    )
    return n, acts


@triton.jit
def log(x):
    """The natural logarithm, to 2e-7."""
    return log2(x) * LN_2


@triton.jit
def exp(x):
    """The exponential."""
    return tl.exp2(x * (1 / LN_2))


@triton.jit
def cos_sin(degrees):
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
    cosine, sine = cos_sin(degrees)
    return sine / cosine


@triton.jit
def find_frames(stream, key, integers, floats, i, turning, high, wide):
    """The frames (h, w) that the rows `i` find: the one that the last crop before leaves, or that of the source,
    `high x wide`; turned by those of the first `turning` rows that lie between and do so.
    """
    crop = tl.load(integers + i * INTEGERS + FRAME)
    size = floats + tl.maximum(crop, 0) * FLOATS + OTHER
    high, wide = tl.where(crop < 0, high, tl.load(size)), tl.where(crop < 0, wide, tl.load(size + 1))
    turns = i * 0
    for j in range(turning):
        whole, row = integers + j * INTEGERS, floats + j * FLOATS
        flags = tl.load(whole + FLAGS)
        if (flags & TURNS) != 0:  # such a row is never one of those of which one is picked
            first, second, _, _ = four_words(stream, key, tl.load(whole + WORD), flags, tl.full((), 0, tl.int32))
            acts = tl.load(row + LOW) + tl.load(row + SPAN) * unit(first)
            which = tl.load(row + LOW + 1) + tl.load(row + SPAN + 1) * unit(second)
            which = tl.where(acts < tl.load(row + CHANCE), which, 0.0)
            turns += tl.where((crop < j) & (j < i), tl.where(which >= 4, 1, 0), 0)
    return tl.where(turns % 2 == 0, high, wide), tl.where(turns % 2 == 0, wide, high)


@triton.jit
def select(condition, s, t):
    """The matrix `s` where a condition holds, else `t`."""
    return (
        tl.where(condition, s[0], t[0]),
        tl.where(condition, s[1], t[1]),
        tl.where(condition, s[2], t[2]),
        tl.where(condition, s[3], t[3]),
        tl.where(condition, s[4], t[4]),
        tl.where(condition, s[5], t[5]),
        tl.where(condition, s[6], t[6]),
        tl.where(condition, s[7], t[7]),
        tl.where(condition, s[8], t[8]),
    )


@triton.jit
def dihedral_map(n, happens):
    """One of eight flips and turns."""
    which = tl.where(happens, n[1], 0.0).to(tl.int32)
    x, y, swap = 1.0 - 2 * (which & 1), 1.0 - 2 * ((which >> 1) & 1), which >= 4
    a, b, d, e = tl.where(swap, 0.0, x), tl.where(swap, x, 0.0), tl.where(swap, y, 0.0), tl.where(swap, 0.0, y)
    return a, b, 0.0, d, e, 0.0, 0.0, 0.0, 1.0


@triton.jit
def affine_map(n, happens, aspect):
    """Turned, moved, scaled and skewed."""
    cosine, sine = cos_sin(tl.where(happens, n[1], 0.0))
    x, y = tl.where(happens, -2 * n[2], 0.0), tl.where(happens, -2 * n[3], 0.0)
    scale = 1 / tl.where(happens, n[4], 1.0)
    skew_x, skew_y = tl.where(happens, n[5], 0.0), tl.where(happens, n[6], 0.0)
    if tl.sum(tl.abs(skew_x) + tl.abs(skew_y)) > 0:  # few programs have skewed maps
        skew_x, skew_y = tangent(skew_x), tangent(skew_y)
    both = 1 + skew_x * skew_y  # along x, then along y: areas stay
    a, b = (both * cosine + skew_x * sine) * scale, (both * sine - skew_x * cosine) * scale / aspect
    d, e = (-sine - skew_y * cosine) * scale * aspect, (cosine - skew_y * sine) * scale
    return a, b, a * x + b * y, d, e, d * x + e * y, 0.0, 0.0, 1.0


@triton.jit
def perspective_map(n, happens, second):
    """Tilted along x, and along y where the `second` thing happens."""
    x, y = tl.where(happens, n[1], 0.0), tl.where(second, n[3], 0.0)
    b = 2 * x * y / (1 - x * x - y * y)
    c, f = -x - b * y, -y - b * x
    return 1.0, b, c, b, 1.0, f, c, f, 1.0


@triton.jit
def cover(aspect, flags):
    """The share (x, y) of a frame, as many times as wide as the output, that a box of the output's aspect takes: the
    largest in it, or around it.
    """
    x, y = tl.minimum(1 / aspect, 1.0), tl.minimum(aspect, 1.0)
    around = (flags & PAD) != 0
    x, y = tl.where(around, tl.maximum(1 / aspect, 1.0), x), tl.where(around, tl.maximum(aspect, 1.0), y)
    squish = (flags & SQUISH) != 0
    return tl.where(squish, 1.0, x), tl.where(squish, 1.0, y)


@triton.jit
def box_map(operation, flags, n, happens, other, high, wide):
    """A share of the frame, somewhere in it: what zooms and crops see."""
    ratio = exp(n[1])
    widest = tl.minimum(wide, high * ratio)
    width = tl.minimum(tl.sqrt(n[0] * wide * high * ratio), widest) * n[4]
    x, y = width / wide, width / ratio / high
    zooms, crops = operation == ZOOM, operation == CROP
    zoom = 1 / tl.where(happens, n[1], 1.0)
    all_x, all_y = cover((wide * other[0]) / (high * other[1]), flags)
    x, y = tl.where(zooms, zoom, tl.where(crops, all_x, x)), tl.where(zooms, zoom, tl.where(crops, all_y, y))
    right, down = tl.where(crops, n[0], n[2]), tl.where(crops, n[1], n[3])
    return x, 0.0, (1 - x) * (2 * right - 1), 0.0, y, (1 - y) * (2 * down - 1), 0.0, 0.0, 1.0


@triton.jit
def geometry_map(operation, flags, n, happens, second, other, high, wide):
    """Matrices of operations, output to input in normalised coordinates: the identity for those that have none."""
    t = select(operation == HOMOGRAPHY, other, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    t = select(operation == PERSPECTIVE, perspective_map(n, happens, second), t)
    t = select(operation == DIHEDRAL, dihedral_map(n, happens), t)
    turns = operation == AFFINE  # other operations' numbers are no angles, and tangents take their time
    t = select(turns, affine_map(n, happens & turns, wide / high), t)
    boxes = (operation == ZOOM) | (operation == CROP) | (operation == RANDOM_CROP)
    return select(boxes, box_map(operation, flags, n, happens, other, high, wide), t)


@triton.jit
def colour_map(operation, flags, n, amount, happens):
    """Affine maps of colours: each channel scaled, luma mixed into it, and moved."""
    channels = operation == CHANNELS
    r, g, b = tl.where(channels, n[0], 1.0), tl.where(channels, n[1], 1.0), tl.where(channels, n[2], 1.0)
    dr, dg, db = tl.where(channels, n[3], 0.0), tl.where(channels, n[4], 0.0), tl.where(channels, n[5], 0.0)
    factor = operation == FACTOR
    r, g, b = tl.where(factor, amount, r), tl.where(factor, amount, g), tl.where(factor, amount, b)
    luma = tl.where(factor & ((flags & MIX) != 0), 1 - amount, 0.0)
    change = tl.minimum(tl.maximum(tl.where(happens, amount, 0.5), 1e-7), 1 - 1e-7)
    moved, brighter = log(change / (1 - change)), operation == BRIGHTNESS
    dr, dg, db = tl.where(brighter, moved, dr), tl.where(brighter, moved, dg), tl.where(brighter, moved, db)
    red, green, blue = LUMA_R * luma, LUMA_G * luma, LUMA_B * luma
    return (r + red, green, blue, red, g + green, blue, red, green, b + blue), (dr, dg, db)


@triton.jit
def erased_box(area, ratio, right, down):
    """The rectangle (left, top, right, bottom) that becomes zero, in shares of the output."""
    w, h = tl.minimum(tl.sqrt(area * ratio), 1.0), tl.minimum(tl.sqrt(area / ratio), 1.0)
    x, y = right * (1 - w), down * (1 - h)
    return x, y, x + w, y + h


@triton.jit
def find_steps(stream, key, integers, floats, i, turning, high, wide):
    """What the rows `i` of a program do for one sample, a row for each thread: an affine map of three numbers, how much
    of what has one parameter, all numbers, and 1 where it happens.

    Each thread finds all that a row may do, and takes what its own does.
    """
    whole, row = integers + i * INTEGERS, floats + i * FLOATS
    operation, flags, p = tl.load(whole + OPERATION), tl.load(whole + FLAGS), row + OTHER
    n, acts = draw_rows(stream, key, integers, floats, i)
    happens, second = acts & (n[0] < tl.load(row + CHANCE)), n[2] < tl.load(row + CHANCE + 1)
    other = (
        tl.load(p), tl.load(p + 1), tl.load(p + 2), tl.load(p + 3), tl.load(p + 4), tl.load(p + 5), tl.load(p + 6),
        tl.load(p + 7), tl.load(p + 8),
    )  # fmt: skip
    high, wide = find_frames(stream, key, integers, floats, i, turning, high, wide)
    amount = tl.where((flags & POWER) != 0, exp(n[1]), n[1])
    nothing = tl.where(operation == SOLARIZE, 256.0, tl.where(operation == POSTERIZE, 8.0, 1.0))
    amount = tl.where(happens, amount, tl.where(operation == HUE, 0.0, nothing))
    operation = tl.where(acts, operation, END)
    t = geometry_map(operation, flags, n, happens, second, other, high, wide)
    a, b = colour_map(operation, flags, n, amount, happens)
    a = select(operation <= HOMOGRAPHY, (t[0], t[3], t[6], t[1], t[4], t[7], t[2], t[5], t[8]), a)
    return a, b, amount, n, tl.where(happens, 1.0, 0.0)


@triton.jit
def apply_map(a, b, thread, x, y, z, shifts):
    """`A v + b` for the three numbers `v` of each thread, by the map of one thread; `b` only where `shifts` is 1."""
    return (
        gather(a[0], thread) * x + gather(a[1], thread) * y + gather(a[2], thread) * z + gather(b[0], thread) * shifts,
        gather(a[3], thread) * x + gather(a[4], thread) * y + gather(a[5], thread) * z + gather(b[1], thread) * shifts,
        gather(a[6], thread) * x + gather(a[7], thread) * y + gather(a[8], thread) * z + gather(b[2], thread) * shifts,
    )


@triton.jit
def table_entry(operation, level, number):
    """What a table of an operation has for a whole grey level, in grey levels; `number` is its parameter."""
    result = level
    if operation == GAMMA:
        share = tl.maximum(level, 1.0) * (1 / 255)
        power = 255 * tl.exp2(number * tl.log2(share))
        result = tl.where(level > 0, power, tl.where(number > 0, 0.0, 255.0))
    elif operation == SCALE:
        result = tl.minimum(level * number, 255.0)
    elif operation == SOLARIZE:
        result = tl.where(level >= number, 255 - level, level)
    else:
        dropped = tl.minimum(tl.maximum(8 - number.to(tl.int32), 0), 8)
        result = ((level.to(tl.int32) >> dropped) << dropped).to(tl.float32)
    return result


@triton.jit
def compose_table(operation, number, table):
    """The table (in grey levels) and, after it, the one of an operation, linearly interpolated."""
    number = tl.where(operation == POSTERIZE, (number + ROUND) - ROUND, number)
    level = tl.minimum(tl.maximum(table, 0.0), 255.0)
    below = tl.minimum(tl.floor(level), 254.0)
    low, high = table_entry(operation, below, number), table_entry(operation, below + 1, number)
    return low + (high - low) * (level - below)


@triton.jit(
    do_not_specialize=(
        "height",
        "width",
        "total",
        "readable",
        "aligned",
        "count",
        "turning",
        "rows",
        "columns",
        "across",
        "tile_count",
    ),
    do_not_specialize_on_alignment=("offsets", "sizes", "keys", "stream", "integers", "floats", "table"),
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
    turning,
    homography,
    affine_maps,
    hue,
    table,
    erase,
    words,
    rows,
    columns,
    across,
    tile_count,
    packed: tl.constexpr,
    block: tl.constexpr,
):
    """All parameters of one image, segment by segment, by the program's `count` rows, and its tiles' words.

    A thread has a row of the program first. Then it has a row of the homography, or a column of one of the two affine
    maps: a row of the product `s t` is a row of `s` times `t`, and a column is `s` times a column of `t`, so that none
    needs the others, and each is three numbers. At last a thread has a tile.
    """
    image = tl.program_id(0).to(tl.int64)
    images = tl.num_programs(0).to(tl.int64)
    if packed:
        start = tl.load(offsets + image)
        source_height, source_width = tl.load(sizes + 2 * image), tl.load(sizes + 2 * image + 1)
    else:
        start, source_height, source_width = image * (height.to(tl.int64) * width * 3), height, width
    high, wide = source_height.to(tl.float32), source_width.to(tl.float32)
    key, lane = tl.load(keys + image), tl.arange(0, 2 * ROWS)
    group, part = lane // 4, lane % 4
    geometry, maps, shifts = group == GEOMETRY, (group == LOGITS) | (group == COLOURS), tl.where(part == 3, 1.0, 0.0)
    # The maps begin as what changes nothing, the homography as what leads from normalised coordinates to pixels.
    same_x, same_y, same_z = tl.where(part == 0, 1.0, 0.0), tl.where(part == 1, 1.0, 0.0), tl.where(part == 2, 1.0, 0.0)
    half = tl.where(part == 0, wide * 0.5, high * 0.5)
    x, y = tl.where(geometry, same_x * half, same_x), tl.where(geometry, same_y * half, same_y)
    z = tl.where(geometry & (part < 2), half, same_z)
    level = tl.arange(0, 256).to(tl.float32)
    turns, tones = high * 0, level
    left, top, right, bottom = turns, turns, turns, turns
    for begin in range(0, count, ROWS):
        i = tl.minimum(begin + lane % ROWS, count - 1)
        a, b, amount, n, happens = find_steps(stream, key, integers, floats, i, turning, high, wide)
        for row in range(begin, tl.minimum(begin + ROWS, count)):
            whole, thread = integers + row * INTEGERS, row - begin
            changes = tl.load(whole + GROUP)
            if changes != ALONE:
                to_x, to_y, to_z = apply_map(a, b, lane * 0 + thread, x, y, z, shifts)
                acts = group == changes
                x, y, z = tl.where(acts, to_x, x), tl.where(acts, to_y, y), tl.where(acts, to_z, z)
            else:
                operation = tl.load(whole + OPERATION)
                if operation == HUE:
                    turns += broadcast(amount, thread)
                elif operation <= POSTERIZE:
                    tones = compose_table(operation, broadcast(amount, thread), tones)
                elif operation == ERASE:
                    share, area, ratio = broadcast(happens, thread), broadcast(n[1], thread), broadcast(n[2], thread)
                    left, top, right, bottom = erased_box(
                        area, exp(ratio), broadcast(n[3], thread), broadcast(n[4], thread)
                    )
                    left, top, right, bottom = left * share, top * share, right * share, bottom * share
                else:
                    segment = tl.load(whole + SEGMENT)
                    place = segment * images + image
                    p = affine_maps + ((2 * segment + group - LOGITS) * images + image) * 12 + part
                    tl.store(p, x, mask=maps)
                    tl.store(p + 4, y, mask=maps)
                    tl.store(p + 8, z, mask=maps)
                    tl.store(hue + place, turns)
                    tl.store(table + place * 256 + tl.arange(0, 256), tones * (1 / 255))
                    tl.store(erase + place * 4, left * columns)
                    tl.store(erase + place * 4 + 1, top * rows)
                    tl.store(erase + place * 4 + 2, right * columns)
                    tl.store(erase + place * 4 + 3, bottom * rows)
                    x, y, z = (
                        tl.where(geometry, x, same_x),
                        tl.where(geometry, y, same_y),
                        tl.where(geometry, z, same_z),
                    )
                    turns, tones = high * 0, level
                    left, top, right, bottom = turns, turns, turns, turns
    # From pixels of the output to normalised coordinates.
    p, inside = homography + image * 9 + 3 * part, geometry & (part < 3)
    tl.store(p, x * (2 / columns.to(tl.float32)), mask=inside)
    tl.store(p + 1, y * (2 / rows.to(tl.float32)), mask=inside)
    tl.store(p + 2, z - x - y, mask=inside)
    tl.debug_barrier()  # what one thread has stored, others read
    store_tiles(
        words, image, to_float64(homography_at(homography, image)), start, source_height, source_width, total, readable,
        aligned, rows, columns, across, tile_count, block,
    )  # fmt: skip
