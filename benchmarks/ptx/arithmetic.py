"""What takes more than a line of numpy: rounding, bytes, limits, approximations."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FLOATS: dict[str, Any] = {"f32": np.float32, "f64": np.float64}
TYPES: dict[str, Any] = {
    **{f"s{bits}": np.dtype(f"i{bits // 8}").type for bits in (8, 16, 32, 64)},
    **{f"{kind}{bits}": np.dtype(f"u{bits // 8}").type for kind in "ub" for bits in (8, 16, 32, 64)},
    **FLOATS,
    "bf16": np.uint16,
    "pred": np.bool_,
}  # fmt: skip
UNSIGNED: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
ROUNDINGS = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def flush(x: Array) -> Array:
    """Subnormal float32 as zeros of their sign (`.ftz`)."""
    return np.where(np.abs(x) < np.float32(2.0**-126), np.copysign(np.float32(0), x), x)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum of two float64, and what the rounding lost (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def odd_sum(a: Array, b: Array) -> Array:
    """The sum of two float64, where it is not exact rounded to the neighbour whose last bit is 1.

    Rounded once more, to fewer digits, it is as if it had been rounded only once (Boldo and Melquiond, 2008).
    """
    total, error = two_sum(a, b)
    bits = total.view(np.int64)
    inexact = np.isfinite(total) & (error != 0) & ~np.isnan(error) & (bits & 1 == 0)
    return (bits + np.where(inexact, np.where((error > 0) == (total > 0), 1, -1), 0)).view(np.float64)


def fma32(a: Array, b: Array, c: Array) -> Array:
    """a b + c in float32, rounded once: the product is exact in float64."""
    product, c = a.astype(np.float64) * b, c.astype(np.float64)
    total = product + c
    if ((total.view(np.int64) & 0x0FFFFFFF) == 0).any():  # only such a sum may be rounded onto a tie
        total = odd_sum(product, c)
    return total.astype(np.float32)


def fma64(a: Array, b: Array, c: Array) -> Array:
    """a b + c in float64, rounded once (Boldo and Melquiond, 2008), unless the product over- or underflows."""
    product, low = _exact_product(a, b)
    middle, lowest = two_sum(c, low)
    high, rest = two_sum(product, middle)
    exact = high + odd_sum(lowest, rest)
    return np.where(np.isfinite(exact), exact, product + c)


def _exact_product(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded product of two float64, and what the rounding lost (Dekker)."""
    (ah, al), (bh, bl) = ((high := x * 134217729.0 - (x * 134217729.0 - x), x - high) for x in (a, b))
    product = a * b
    return product, ((ah * bh - product) + ah * bl + al * bh) + al * bl


def comparison(how: str) -> Callable[[Array, Array], Array]:
    """A comparison: the ordered ones are false for NaN, those that end in u are true."""
    compare = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
               "gt": np.greater, "ge": np.greater_equal}[how[:2]]  # fmt: skip
    if how.endswith("u"):
        return lambda a, b: compare(a, b) | np.isnan(a) | np.isnan(b)
    if how == "ne":  # for numbers it is ordered, unlike numpy's
        return lambda a, b: (a != b) & (a == a) & (b == b)
    return compare


def least(a: Array, b: Array) -> Array:
    """The lesser float: of a number and NaN the number, and -0 before +0."""
    return np.where((a == 0) & (b == 0), np.where(np.signbit(a), a, b), np.fmin(a, b))


def most(a: Array, b: Array) -> Array:
    """The greater float: of a number and NaN the number, and +0 before -0."""
    return np.where((a == 0) & (b == 0), np.where(np.signbit(a), b, a), np.fmax(a, b))


def round_to_bf16(x: Array) -> Array:
    """float32 to the bits of bfloat16, to nearest even; NaN is 0x7FFF."""
    bits = x.view(np.uint32).astype(np.uint64)
    return np.where(np.isnan(x), 0x7FFF, (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def to_integer(x: Array, kind: str, rounding: str) -> Array:
    """A float as an integer of a type, limited to its range.

    NaN is 0, but the highest bit alone where either has 64 bits.
    """
    info, integer = np.iinfo(TYPES[kind]), ROUNDINGS[rounding](x.astype(np.float64))
    result = np.where(integer <= float(info.min), info.min, integer.astype(TYPES[kind]))
    result = np.where(integer >= float(info.max), info.max, result)
    wide = x.dtype == np.float64 or info.bits == 64
    nothing = np.array(1 << (info.bits - 1), UNSIGNED[info.bits // 8]).view(TYPES[kind]) if wide else 0
    return np.where(np.isnan(x), nothing, result).astype(TYPES[kind])


def quotient(a: Array, b: Array) -> Array:
    """a / b of integers, towards zero as in C; by zero all bits are set, as GPUs have it."""
    safe = np.where(b == 0, 1, b).astype(b.dtype)
    return np.where(b == 0, np.array(-1).astype(a.dtype), (a - np.fmod(a, safe)) // safe).astype(a.dtype)


def remainder(a: Array, b: Array) -> Array:
    """What such a division leaves; by zero all of `a`."""
    return np.where(b == 0, a, np.fmod(a, np.where(b == 0, 1, b).astype(b.dtype)))


def product(a: Array, b: Array) -> Array:
    """The exact product of two integers of 32 bits, in 64."""
    wide = np.int64 if a.dtype.kind == "i" else np.uint64
    return a.astype(wide) * b.astype(wide)


def up(a: Array, bits: Array) -> Array:
    """Shifted left; by as many bits as there are, or more, nothing is left."""
    width = 8 * a.dtype.itemsize
    return np.where(bits < width, a << np.minimum(bits, width - 1).astype(a.dtype), 0).astype(a.dtype)


def down(a: Array, bits: Array) -> Array:
    """Shifted right; a signed number keeps its sign."""
    width = 8 * a.dtype.itemsize
    shifted = a >> np.minimum(bits, width - 1).astype(a.dtype)
    return shifted if a.dtype.kind == "i" else np.where(bits < width, shifted, 0).astype(a.dtype)


def select(a: Array, b: Array, where: Array) -> Array:
    """`a` where the predicate holds, `b` elsewhere."""
    return np.where(where, a, b)


def double_word(low: Array, high: Array) -> Array:
    """Two words as one of 64 bits."""
    return low.astype(np.uint64) | (high.astype(np.uint64) << np.uint64(32))


def permute(a: Array, b: Array, selector: Array) -> Array:
    """Four of the eight bytes of (b, a), by the digits of the selector; a digit with its top bit set takes the sign."""
    both, word = double_word(a, b), np.zeros(a.shape, np.uint64)
    for i in range(4):
        digit = (selector.astype(np.uint64) >> np.uint64(4 * i)) & np.uint64(15)
        byte = (both >> (np.uint64(8) * (digit & np.uint64(7)))) & np.uint64(255)
        sign = np.where(byte & np.uint64(128), np.uint64(255), np.uint64(0))
        word |= np.where(digit & np.uint64(8), sign, byte) << np.uint64(8 * i)
    return word.astype(np.uint32)


def dot(a: Array, b: Array, c: Array, shift: int) -> Array:
    """`dp2a`: c and two signed words of `a` times two unsigned bytes of `b`, from bit `shift` on."""
    low, high = (a << np.int32(16)) >> np.int32(16), a >> np.int32(16)
    one, other = (b >> np.uint32(shift)) & np.uint32(255), (b >> np.uint32(shift + 8)) & np.uint32(255)
    total: Array = c + low * one.astype(np.int32) + high * other.astype(np.int32)
    return total


def approximation(exact: Callable[..., Array], bound: float, flat: bool = False) -> Callable[..., Array]:
    """An approximate instruction: `exact` in float64, rounded, or moved by `moved` times its largest error.

    `bound` is that error, relative to the result; where `flat`, to 1 while the argument is between .5 and 2. Up or down
    is a function of the arguments' bits, as a table's error would be. Source: PTX ISA, "Floating Point Instructions".
    """

    def compute(*x: Array, moved: float) -> Array:
        y = exact(*(value.astype(np.float64) for value in x))
        if moved:
            size = np.where((x[0] > 0.5) & (x[0] < 2), 1.0, np.abs(y)) if flat else np.abs(y)
            y = np.where(np.isfinite(y), y + moved * bound * size * _side(x), y)
        return y.astype(np.float32)

    return compute


def _side(x: tuple[Array, ...]) -> Array:
    """-1 or 1, as good as at random."""
    mixed = x[0].view(np.uint32) * np.uint32(2654435761)
    for value in x[1:]:
        mixed = (mixed ^ (mixed >> np.uint32(15)) ^ value.view(np.uint32)) * np.uint32(2246822519)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(3266489917)
    return (mixed >> np.uint32(31)).astype(np.float64) * 2 - 1
