import math

import pytest

from onewarp.errors import UsageError
from onewarp.trainers.schedule import Constant, OneCycle, per_group_rates


def test_a_slice_is_geometric_over_the_groups():
    assert per_group_rates(slice(1e-6, 1e-4), 3) == pytest.approx((1e-6, 1e-5, 1e-4), rel=1e-12)


def test_a_slice_with_one_end_gives_the_body_a_tenth():
    assert per_group_rates(slice(2e-3), 3) == pytest.approx((2e-4, 2e-4, 2e-3))


def test_a_number_serves_all_and_a_sequence_each():
    assert per_group_rates(0.1, 2) == (0.1, 0.1)
    assert per_group_rates([0.1, 0.2], 2) == (0.1, 0.2)
    assert per_group_rates(slice(1e-6, 1e-4), 1) == (1e-4,)


@pytest.mark.parametrize("rates", [0.0, -1.0, math.nan, slice(None), slice(1e-3, 1e-2, 2), slice(0.0, 1.0), [0.1]])
def test_rates_that_cannot_be_used_are_refused(rates):
    with pytest.raises(UsageError, match="lr must be"):
        per_group_rates(rates, 2)


def test_one_cycle_rises_from_a_25th_and_falls_to_a_100_000th():
    cycle = OneCycle((1.0, 10.0))
    assert cycle(0.0).rates == pytest.approx((0.04, 0.4))
    assert cycle(0.125).rates == pytest.approx((0.52, 5.2))
    assert cycle(0.25).rates == pytest.approx((1.0, 10.0))
    assert cycle(0.625).rates == pytest.approx((0.500005, 5.00005))
    assert cycle(1.0).rates == pytest.approx((1e-5, 1e-4))
    assert [cycle(p).momentum for p in (0, 0.25, 1)] == pytest.approx([0.95, 0.85, 0.95])


def test_constant_is_constant():
    assert Constant((0.1,))(0.0) == Constant((0.1,))(0.9)


def test_a_cycle_without_room_to_rise_or_fall_is_refused():
    for pct in (0.0, 1.0):
        with pytest.raises(UsageError, match="pct_start must be between 0 and 1"):
            OneCycle((0.1,), pct_start=pct)
