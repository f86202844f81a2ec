"""Sums and products that are rounded once, beside fractions; limits and ends worked out by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import arithmetic

FLOATS = st.floats(-1e100, 1e100).filter(lambda x: x == 0 or abs(x) > 1e-100)


@given(FLOATS, FLOATS)
def test_a_sum_and_what_its_rounding_lost_are_the_sum(a, b):
    total, lost = arithmetic.two_sum(np.float64(a), np.float64(b))
    assert total == a + b
    assert Fraction(float(total)) + Fraction(float(lost)) == Fraction(a) + Fraction(b)


@given(FLOATS, FLOATS)
def test_a_sum_that_is_not_exact_is_rounded_to_the_odd_neighbour(a, b):
    found = float(arithmetic.odd_sum(np.array([a]), np.array([b]))[0])
    exact = Fraction(a) + Fraction(b)
    if Fraction(a + b) == exact:
        assert found == a + b
    else:
        assert np.float64(found).view(np.int64) & 1
        below, above = sorted(
            (Fraction(found), Fraction(np.nextafter(found, math.inf if exact > found else -math.inf)))
        )
        assert below < exact < above


SINGLES = st.floats(-(2.0**50), 2.0**50, width=32).filter(lambda x: x == 0 or abs(x) > 1e-10)


@example(1 + 2.0**-12, 1 + 2.0**-12, 2.0**-60)  # the product is half way between two float32
@example(1 + 2.0**-12, 1 + 2.0**-12, -(2.0**-60))
@given(SINGLES, SINGLES, SINGLES)
def test_a_product_and_a_sum_in_float32_are_rounded_once(a, b, c):
    found = arithmetic.fma32(*(np.array([x], np.float32) for x in (a, b, c)))[0]
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    beside = [np.nextafter(found, np.float32(end)) for end in (-np.inf, np.inf)]
    error = abs(Fraction(float(found)) - exact)
    for other in beside:
        apart = abs(Fraction(float(other)) - exact)
        assert error < apart or (error == apart and found.view(np.uint32) % 2 == 0)


def test_subnormal_numbers_become_zeros_of_their_sign():
    found = arithmetic.flush(np.float32([1e-40, -1e-40, 2.0**-126, -3, 0]))
    assert found.tolist() == [0, 0, 2.0**-126, -3, 0]
    assert np.signbit(found).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("lt", [1, 0, 0]),
        ("ltu", [1, 0, 1]),
        ("ne", [1, 0, 0]),
        ("neu", [1, 0, 1]),
        ("eq", [0, 1, 0]),
        ("ge", [0, 1, 0]),
    ],
)
def test_nan_is_in_no_order_unless_the_comparison_says_so(how, expected):
    a, b = np.float32([1, 2, math.nan]), np.float32([2, 2, 2])
    assert arithmetic.comparison(how)(a, b).tolist() == [bool(x) for x in expected]


@pytest.mark.parametrize(
    ("value", "kind", "rounding", "expected"),
    [
        (2.5, "s32", "rni", 2),
        (3.5, "s32", "rni", 4),
        (-2.5, "s32", "rzi", -2),
        (-2.5, "s32", "rmi", -3),
        (-2.5, "s32", "rpi", -2),
        (1e20, "s32", "rni", 2**31 - 1),
        (-1e20, "s32", "rni", -(2**31)),
        (-1.0, "u8", "rni", 0),
        (300.0, "u8", "rni", 255),
        (math.nan, "s32", "rni", 0),
        (math.nan, "s64", "rni", -(2**63)),
        (math.nan, "u64", "rni", 2**63),
    ],
)
def test_a_float_as_an_integer_keeps_within_its_range(value, kind, rounding, expected):
    with np.errstate(all="ignore"):
        assert int(arithmetic.to_integer(np.float32([value]), kind, rounding)[0]) == expected


def test_integers_are_divided_towards_zero_and_by_zero_as_gpus_do():
    a, b = np.int32([7, -7, 7, -7, 5]), np.int32([2, 2, -2, -2, 0])
    assert arithmetic.quotient(a, b).tolist() == [3, -3, -3, 3, -1]
    assert arithmetic.remainder(a, b).tolist() == [1, -1, 1, -1, 5]
    assert arithmetic.quotient(np.uint32([5]), np.uint32([0])).tolist() == [2**32 - 1]


def test_bits_that_are_shifted_out_are_gone_and_a_sign_stays():
    bits = np.uint32([0, 4, 31, 32, 200])
    assert arithmetic.up(np.uint32([1] * 5), bits).tolist() == [1, 16, 1 << 31, 0, 0]
    assert arithmetic.down(np.uint32([1 << 31] * 5), bits).tolist() == [1 << 31, 1 << 27, 1, 0, 0]
    assert arithmetic.down(np.int32([-16] * 5), bits).tolist() == [-16, -1, -1, -1, -1]


def test_bfloat16_is_rounded_to_nearest_even():
    x = np.float32([1, 1 + 2.0**-8, 1 + 3 * 2.0**-8, math.nan, -2])
    assert [hex(bits) for bits in arithmetic.round_to_bf16(x).tolist()] == [
        "0x3f80",
        "0x3f80",
        "0x3f82",
        "0x7fff",
        "0xc000",
    ]


def test_an_approximation_is_moved_by_its_largest_error_and_no_more():
    halve = arithmetic.approximation(lambda x: x / 2, 2.0**-10)
    x = np.random.default_rng(0).uniform(1, 100, 1000).astype(np.float32)
    assert np.array_equal(halve(x, moved=0.0), x / 2)
    apart = halve(x, moved=2.0).astype(np.float64) / (x.astype(np.float64) / 2) - 1
    np.testing.assert_allclose(np.abs(apart), 2.0**-9, atol=1e-7)
    assert 0.4 < (apart > 0).mean() < 0.6
    flat = arithmetic.approximation(lambda x: 0 * x, 2.0**-10, flat=True)
    assert np.abs(flat(np.float32([0.75, 3.0]), moved=1.0)).tolist() == [2.0**-10, 0]
