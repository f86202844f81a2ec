"""Each family of opcodes beside Python's own numbers, and cases that were worked out by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

pytest.importorskip("triton")

from onewarp.benchmarks.ptx.opcodes import opcodes

COUNT = 2000
KINDS = {"s16": np.int16, "u16": np.uint16, "s32": np.int32, "u32": np.uint32, "s64": np.int64, "u64": np.uint64}


def integers(kind: str, count: int = COUNT, seed: int = 0) -> np.ndarray:
    """Numbers of all sizes, and those at the ends of the range."""
    info, generator = np.iinfo(KINDS[kind]), np.random.default_rng(seed)
    wide = generator.integers(info.min, info.max, count, dtype=KINDS[kind], endpoint=True)
    ends = np.array([info.min, info.max, info.min + 1, info.max - 1, 0, 1], KINDS[kind])
    return np.concatenate(
        [wide >> generator.integers(0, info.bits, count).astype(KINDS[kind]), generator.permutation(ends)]
    )


def floats(seed: int, kind=np.float32, count: int = COUNT, low: int = -20, high: int = 20) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (generator.normal(size=count) * np.exp2(generator.integers(low, high, count))).astype(kind)


def wrapped(number: int, kind: str) -> int:
    """A whole number in a type's range, as its bits would have it."""
    info = np.iinfo(KINDS[kind])
    return (number - info.min) % (1 << info.bits) + info.min


def test_shuffles_stay_within_32_lanes(on_threads):
    values = np.random.default_rng(0).integers(0, 2**32, 64, dtype=np.uint32)
    lane = np.arange(64)
    for way, sources in (("idx", lane // 32 * 32 + (5 * lane + 37) % 32), ("bfly", lane ^ 12)):
        by = "mad.lo.s32 %r3, %r1, 5, 37;" if way == "idx" else "mov.b32 %r3, 44;"  # 44 is 12 of 32 lanes
        body = f"ld.global.b32 %r2, [%rd3];\n {by}\n shfl.sync.{way}.b32 %r4, %r2, %r3, 31, -1;"
        assert np.array_equal(on_threads(f"{body}\n st.global.b32 [%rd4], %r4;", values), values[sources])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("opcode", "exact"),
    [
        ("add", lambda a, b: a + b),
        ("sub", lambda a, b: a - b),
        ("mul.lo", lambda a, b: a * b),
        ("div", lambda a, b: -1 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)),
        ("rem", lambda a, b: a if b == 0 else int(math.copysign(1, a)) * (abs(a) % abs(b))),
        ("min", min),
        ("max", max),
    ],
)
def test_whole_numbers(compute, opcode, exact, kind):
    a, b = integers(kind, seed=1), integers(kind, seed=2)
    expected = [wrapped(exact(int(x), int(y)), kind) for x, y in zip(a, b, strict=True)]
    assert compute(f"{opcode}.{kind}", a, b).tolist() == expected


@pytest.mark.parametrize("kind", ["s32", "u32"])
def test_products_of_twice_the_width(compute, kind):
    a, b, wide = integers(kind, seed=1), integers(kind, seed=2), f"{kind[0]}64"
    c = integers(wide, seed=3)
    exact = [int(x) * int(y) for x, y in zip(a, b, strict=True)]
    assert compute(f"mul.wide.{kind}", a, b).tolist() == exact
    assert compute(f"mul.hi.{kind}", a, b).tolist() == [p >> 32 for p in exact]
    sums = [wrapped(p + int(z), wide) for p, z in zip(exact, c, strict=True)]
    assert compute(f"mad.wide.{kind}", a, b, c).tolist() == sums
    lows = [wrapped(int(x) * int(y) + int(z), kind) for x, y, z in zip(a, b, a[::-1], strict=True)]
    assert compute(f"mad.lo.{kind}", a, b, a[::-1]).tolist() == lows


@pytest.mark.parametrize("kind", KINDS)
def test_shifts_beyond_the_width_leave_nothing_or_the_sign(compute, kind):
    a, bits = integers(kind), np.iinfo(KINDS[kind]).bits
    n = np.random.default_rng(4).integers(0, bits + 40, len(a)).astype(np.uint32)
    right = [int(x) >> min(int(k), 200) for x, k in zip(a, n, strict=True)]
    assert compute(f"shr.{kind}", a, n).tolist() == right
    if kind[0] == "u":
        left = [wrapped(int(x) << int(k), kind) for x, k in zip(a, n, strict=True)]
        assert compute(f"shl.b{bits}", a, n).tolist() == left


def test_sums_of_two_halves_do_not_carry_into_each_other(compute):
    a, b = np.uint32([0xFFFF0001, 0x7FFFFFFF]), np.uint32([0x00010002, 0x00010001])
    assert compute("add.s16x2", a, b).tolist() == [0x00000003, 0x80000000]


def test_bits(compute):
    a, b = integers("u32", seed=1), integers("u32", seed=2)
    for name, exact in (("and", int.__and__), ("or", int.__or__), ("xor", int.__xor__)):
        assert compute(f"{name}.b32", a, b).tolist() == [exact(int(x), int(y)) for x, y in zip(a, b, strict=True)]
        p, q = np.array([True, True, False, False]), np.array([True, False, True, False])
        assert compute(f"{name}.pred", p, q).tolist() == [
            bool(exact(int(x), int(y))) for x, y in zip(p, q, strict=True)
        ]
    assert compute("not.b32", a).tolist() == [0xFFFFFFFF - int(x) for x in a]
    assert compute("bfe.u32", np.uint32([0xABCD1234] * 3), np.uint32([4, 16, 28]), np.uint32([8, 16, 8])).tolist() == [
        0x23, 0xABCD, 0xA,
    ]  # fmt: skip


def test_funnel_shifts_take_the_last_five_bits(compute):
    a, b, n = integers("u32", seed=1), integers("u32", seed=2), integers("u32", seed=3)
    both = [int(y) << 32 | int(x) for x, y in zip(a, b, strict=True)]
    assert compute("shf.r.wrap.b32", a, b, n).tolist() == [
        w >> (int(k) & 31) & 0xFFFFFFFF for w, k in zip(both, n, strict=True)
    ]
    assert compute("shf.l.wrap.b32", a, b, n).tolist() == [
        w << (int(k) & 31) >> 32 & 0xFFFFFFFF for w, k in zip(both, n, strict=True)
    ]
    assert compute("shf.r.wrap.b32", *np.uint32([[0x44332211], [0x88776655], [40]])).tolist() == [0x55443322]


def test_bytes_are_permuted(compute):
    low, high = np.uint32([0x44332211]), np.uint32([0x88776655])
    for selector, expected in ((0x3210, 0x44332211), (0x7654, 0x88776655), (0x4130, 0x55224411), (0xC821, 0x00003322)):
        assert compute("prmt.b32", low, high, np.uint32([selector])).tolist() == [expected]
    assert compute("prmt.b32", low, high, np.uint32([0xF8E9])).tolist() == [0xFF000000]  # signs of bytes 7, 0, 6, 1


def test_dot_products_of_two(compute):
    weights, pixels = np.int32([(-3 << 16) | 5]), np.uint32([0xFF02C807])
    assert compute("dp2a.lo.s32.u32", weights, pixels, np.int32([1000])).tolist() == [1000 + 5 * 7 - 3 * 200]
    assert compute("dp2a.hi.s32.u32", weights, pixels, np.int32([1000])).tolist() == [1000 + 5 * 2 - 3 * 255]
    assert compute("dp2a.lo.s32.u32", np.int32([-32768]), np.uint32([0xFF]), np.int32([0])).tolist() == [-32768 * 255]


def test_sums_with_carries(compute):
    a, b, c = integers("u32", seed=1), integers("u32", seed=2), integers("u32", seed=3)
    one = np.random.default_rng(0).integers(0, 2, len(a)).astype(np.uint32)
    rows = list(zip(*(x.tolist() for x in (a, b, c, one)), strict=True))
    assert compute("mad.lo.cc.u32", a, b, c).tolist() == [(x * y & 0xFFFFFFFF) + z for x, y, z, _ in rows]
    assert compute("madc.hi.cc.u32", a, b, c, one).tolist() == [(x * y >> 32) + z + k for x, y, z, k in rows]
    assert compute("add.cc.u32", a, b).tolist() == [x + y for x, y, *_ in rows]
    assert compute("addc.cc.u32", a, b, one).tolist() == [x + y + k for x, y, _, k in rows]
    assert (compute("addc.u32", a, b, one) & 0xFFFFFFFF).tolist() == [(x + y + k) & 0xFFFFFFFF for x, y, _, k in rows]
    assert (compute("madc.lo.u32", a, b, c, one) & 0xFFFFFFFF).tolist() == [
        (x * y + z + k) & 0xFFFFFFFF for x, y, z, k in rows
    ]


def test_a_product_of_64_bits_by_carries(on_threads):
    a, b = integers("u32", 58, seed=5), integers("u32", 58, seed=6)
    body = """
	ld.global.b32 %r2, [%rd3];
	ld.global.b32 %r3, [%rd4];
	mad.lo.cc.u32 %r4, %r2, %r3, %r3;
	madc.hi.u32 %r5, %r2, %r3, 0;
	st.global.b32 [%rd4], %r5;"""
    expected = [(int(x) * int(y) + int(y)) >> 32 for x, y in zip(a, b, strict=True)]
    assert on_threads(body, a, b).tolist() == expected


def nearest(exact: Fraction) -> np.float32:
    """The float32 nearest to a fraction; of two the even one."""
    middle = np.float32(float(exact))
    around = (np.nextafter(middle, np.float32(-np.inf)), middle, np.nextafter(middle, np.float32(np.inf)))
    return min(around, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.uint32)) & 1))


def test_fused_products_are_rounded_once(compute):
    a, b = floats(1), floats(2)
    apart = np.float32(1) + np.float32(2.0**-23) * np.random.default_rng(3).integers(-3, 4, COUNT).astype(np.float32)
    for c in (floats(4), -(a * b) * apart):  # the second cancels
        exact = (Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True))
        assert np.array_equal(compute("fma.rn.f32", a, b, c), np.array([nearest(x) for x in exact]))
    a, b = floats(1, np.float64), floats(2, np.float64)
    apart = 1 + 2.0**-52 * np.random.default_rng(3).integers(-3, 4, COUNT)
    for c in (floats(4, np.float64), -(a * b) * apart):
        exact = (
            Fraction(x) * Fraction(y) + Fraction(z) for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)
        )
        assert compute("fma.rn.f64", a, b, c).tolist() == [float(x) for x in exact]


def test_a_tie_that_only_a_fused_product_sees(compute):
    a = np.float32(1 + 2.0**-12)  # a^2 = 1 + 2^-11 + 2^-24: half way between two float32
    assert compute("fma.rn.f32", [a], [a], [np.float32(0)]) == np.float32(1 + 2.0**-11)
    assert compute("fma.rn.f32", [a], [a], [np.float32(2.0**-60)]) == np.float32(1 + 2.0**-11 + 2.0**-23)
    assert compute("fma.rn.f32", [a], [a], [np.float32(-(2.0**-60))]) == np.float32(1 + 2.0**-11)


def test_other_sums_and_roots_are_ieees(compute):
    a, b = floats(1), floats(2)
    double = a.astype(np.float64)
    assert np.array_equal(compute("add.f32", a, b), (double + b).astype(np.float32))
    assert np.array_equal(compute("mul.rn.f32", a, b), (double * b).astype(np.float32))
    assert np.array_equal(compute("sub.rn.f32", a, b), (double - b).astype(np.float32))
    assert np.array_equal(compute("div.rn.f32", a, b), (double / b).astype(np.float32))
    assert np.array_equal(compute("sqrt.rn.f32", abs(a)), np.sqrt(abs(double)).astype(np.float32))
    assert compute("sqrt.rn.f64", np.array([2.0])).tolist() == [math.sqrt(2)]
    assert compute("copysign.f32", np.float32([-1, 1]), np.float32([2, -2])).tolist() == [-2, 2]  # the first one's sign


def test_subnormal_numbers_are_flushed_where_it_says_so(compute):
    small, one = np.float32([1e-40, -1e-40]), np.float32([1, 1])
    assert compute("add.f32", small, 0 * one).tolist() == small.tolist()
    assert np.signbit(compute("mul.rn.ftz.f32", small, one)).tolist() == [False, True]
    for opcode, operands in (
        ("add.ftz.f32", (small, 0 * one)), ("mul.ftz.f32", (one * 1e-20, one * 1e-20)),
        ("fma.rn.ftz.f32", (small, one, 0 * one)), ("abs.ftz.f32", (small,)),
    ):  # fmt: skip
        assert compute(opcode, *(x.astype(np.float32) for x in operands)).tolist() == [0, 0]
    assert compute("rcp.approx.ftz.f32", small).tolist() == [math.inf, -math.inf]


def test_of_a_number_and_nan_the_number_is_the_least_and_the_most(compute):
    a, b = np.float32([math.nan, 1, -0.0, 0.0, math.nan]), np.float32([2, math.nan, 0.0, -0.0, math.nan])
    for opcode, expected, signs in (("min.f32", [2, 1, 0, 0], [True, True]), ("max.f32", [2, 1, 0, 0], [False, False])):
        found = compute(opcode, a, b)
        assert found[:4].tolist() == expected
        assert np.signbit(found[2:4]).tolist() == signs
        assert math.isnan(found[4])
    assert compute("min.f32", *np.float32([[3], [1], [2]])).tolist() == [1]
    assert compute("max.f32", *np.float32([[3], [1], [2]])).tolist() == [3]


def test_comparisons_and_nan(compute):
    a, b = np.float32([1, 2, 2, math.nan]), np.float32([2, 2, 1, 1])
    for how, expected in (
        ("eq", [0, 1, 0, 0]), ("ne", [1, 0, 1, 0]), ("lt", [1, 0, 0, 0]), ("le", [1, 1, 0, 0]), ("gt", [0, 0, 1, 0]),
        ("ge", [0, 1, 1, 0]), ("equ", [0, 1, 0, 1]), ("neu", [1, 0, 1, 1]), ("ltu", [1, 0, 0, 1]),
        ("leu", [1, 1, 0, 1]), ("gtu", [0, 0, 1, 1]), ("geu", [0, 1, 1, 1]),
    ):  # fmt: skip
        assert compute(f"setp.{how}.f32", a, b).tolist() == [bool(x) for x in expected]
    assert compute("setp.lt.s32", np.int32([-1]), np.int32([1])).tolist() == [True]
    assert compute("setp.lt.u32", np.int32([-1]).view(np.uint32), np.uint32([1])).tolist() == [False]
    assert compute("selp.b32", np.uint32([1, 1]), np.uint32([2, 2]), np.array([True, False])).tolist() == [1, 2]


def test_floats_become_whole_numbers_within_the_range(compute):
    x = np.float32([2.5, 3.5, -2.5, 1e20, -1e20, math.nan])
    assert compute("cvt.rni.s32.f32", x).tolist() == [2, 4, -2, 2**31 - 1, -(2**31), 0]
    assert compute("cvt.rzi.s32.f32", x).tolist() == [2, 3, -2, 2**31 - 1, -(2**31), 0]
    assert compute("cvt.rmi.s32.f32", x).tolist() == [2, 3, -3, 2**31 - 1, -(2**31), 0]
    assert compute("cvt.rpi.s32.f32", x).tolist() == [3, 4, -2, 2**31 - 1, -(2**31), 0]
    assert compute("cvt.rzi.u8.f32", np.float32([300, -3])).tolist() == [255, 0]
    assert compute("cvt.rzi.s64.f32", np.float32([math.nan, 1e30])).tolist() == [-(2**63), 2**63 - 1]
    assert compute("cvt.rmi.f32.f32", np.float32([2.5, -2.5])).tolist() == [2, -3]
    assert compute("cvt.rn.f32.s32", np.int32([16777217, -16777219])).tolist() == [16777216, -16777220]
    assert compute("cvt.rn.f64.s64", np.int64([2**53 + 1])).tolist() == [2.0**53]
    assert compute("cvt.s8.s32", np.int32([200])).tolist() == [-56]
    assert compute("cvt.u16.u32", np.uint32([0x12345])).tolist() == [0x2345]


def test_bfloat16_is_torchs(compute):
    x = np.concatenate([floats(1, low=-120, high=120), np.float32([math.inf, -math.inf, 1 + 2.0**-8, 1 + 3 * 2.0**-8])])
    expected = torch.from_numpy(x).bfloat16()
    found = compute("cvt.rn.bf16.f32", x)
    assert np.array_equal(found.view(np.int16), expected.view(torch.int16).numpy())
    assert np.array_equal(compute("cvt.f32.bf16", found), expected.float().numpy())
    assert compute("cvt.rn.bf16.f32", np.float32([math.nan])).tolist() == [0x7FFF]


@pytest.mark.parametrize(
    ("opcode", "exact", "bound"),
    [
        ("rcp.approx.ftz.f32", lambda x: 1 / x, 2.0**-23),
        ("sqrt.approx.ftz.f32", np.sqrt, 2.0**-23),
        ("rsqrt.approx.f32", lambda x: 1 / np.sqrt(x), 2.0**-22.9),
        ("ex2.approx.ftz.f32", np.exp2, 2.0**-22),
        ("lg2.approx.ftz.f32", np.log2, 2.0**-22),
    ],
)
def test_approximations_are_moved_to_their_bounds_and_not_beyond(compute, opcode, exact, bound):
    x = abs(floats(1, low=-4, high=4)) + np.float32(0.01)
    truth = exact(x.astype(np.float64))
    scale = np.where((x > 0.5) & (x < 2), 1, abs(truth)) if opcode.startswith("lg2") else abs(truth)
    half = abs(np.spacing(truth.astype(np.float32)).astype(np.float64)) / 2
    assert (abs(compute(opcode, x) - truth) <= half).all()
    moved = compute(opcode, x, moved=1.0) - truth
    assert (abs(moved) <= bound * scale + half).all()
    assert (abs(moved) >= bound * scale - half).all()
    assert 0.4 < (moved > 0).mean() < 0.6


def test_even_what_is_exact_is_moved(compute):
    """PTX promises an error for the reciprocal of 1 as for any other."""
    assert compute("rcp.approx.ftz.f32", np.float32([1]), moved=1.0) != 1


def test_a_division_with_a_bound(compute):
    a, b = floats(1), floats(2)
    found = compute("div.full.f32", a, b, moved=1.0) / (a.astype(np.float64) / b) - 1
    assert (abs(found) <= 2.0**-22 + 2.0**-24).all()
    assert (found != 0).any()


def test_pairs_are_two_numbers(on_threads):
    a, b = floats(1, count=64), floats(2, count=64)
    body = """
	shl.b32 %r2, %r1, 3;
	cvt.u64.u32 %rd5, %r2;
	add.s64 %rd6, %rd1, %rd5;
	add.s64 %rd7, %rd2, %rd5;
	setp.lt.u32 %p1, %r1, 32;
	@%p1 ld.global.b64 %rd8, [%rd6];
	@%p1 ld.global.b64 %rd9, [%rd7];
	@%p1 fma.rn.f32x2 %rd10, %rd8, %rd9, %rd8;
	@%p1 st.global.b64 [%rd7], %rd10;"""
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(x)) for x, y in zip(a, b, strict=True)]
    assert np.array_equal(on_threads(body, a, b).view(np.float32), np.array([nearest(x) for x in exact]))


def test_every_row_of_the_table_is_exercised_by_its_family():
    """A new family of opcodes needs a test above: this is the list of those that have one."""
    families = {opcode.split(".")[0] for opcode in opcodes()}
    assert families == {
        "abs", "add", "addc", "and", "bfe", "copysign", "cvt", "div", "dp2a", "ex2", "fma", "lg2", "mad", "madc", "max",
        "min", "mov", "mul", "neg", "not", "or", "prmt", "rcp", "rem", "rsqrt", "selp", "setp", "shf", "shl", "shr",
        "sqrt", "sub", "xor",
    }  # fmt: skip
