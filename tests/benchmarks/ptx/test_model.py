"""The count of machine instructions: the hot path must not grow unseen."""

import pytest

pytest.importorskip("triton")

from onewarp.benchmarks.ptx.model import DEVICES, Cost, cost, drawing, drawing_row, occupancy, table
from onewarp.benchmarks.ptx.sass import Resources, version

# Instructions a pixel, antialiased and plain, for a pair of compilers: another one makes other code.
KEPT = {"triton 3.9.0, ptxas 12.9.86": {"sm_90": (260.9, 139.8), "sm_100": (231.1, 138.0)}}


@pytest.mark.parametrize("antialias", [True, False])
def test_a_pixel_takes_no_more_instructions_than_it_did(antialias):
    if version() not in KEPT:
        pytest.skip(f"instructions are not kept for {version()}, but for {', '.join(KEPT)}: run --model and add them")
    kept = KEPT[version()]["sm_90"][0 if antialias else 1]
    found = cost("sm_90", antialias, images=1, most=1)
    assert found.total <= 1.02 * kept, f"{found.total:.1f} instructions a pixel where there were {kept}"
    assert found.total >= 0.98 * kept, f"only {found.total:.1f} instructions a pixel, not {kept}: keep the new count"
    assert found.resources.stack == found.resources.local == 0
    assert found.warps >= (16 if antialias else 28)


# Of the launch that draws, for each thread: instructions of the PTX, and the longest chain of them.
KEPT_DRAWING = {"triton 3.9.0, ptxas 12.9.86": {"sm_90": (1486.5, 220), "sm_100": (1606.5, 222)}}


@pytest.mark.parametrize("target", ["sm_90", "sm_100"])
def test_drawing_takes_no_more_instructions_than_it_did(target):
    if version() not in KEPT_DRAWING:
        pytest.skip(f"instructions are not kept for {version()}, but for {', '.join(KEPT_DRAWING)}: run --model")
    (thread, chain), found = KEPT_DRAWING[version()][target], drawing(target)
    assert found.thread == pytest.approx(thread, rel=0.02), "another count: keep it, or find out why"
    assert found.chain == pytest.approx(chain, rel=0.02), "another longest chain: keep it, or find out why"
    assert found.image == pytest.approx(64 * found.thread)
    assert found.resources.stack == found.resources.local == found.resources.shared == 0
    assert f"| {target} | {found.thread:,.0f} |" in drawing_row(found, target)


def test_bounds_follow_from_counts():
    one = Cost("made up", {"FP32 add, mul, fma": 100.0, "special functions": 10.0}, Resources(64, 0, 0, 0), 32)
    h100 = DEVICES[0]
    bounds = one.bounds(h100)
    assert bounds["issue slots"] == pytest.approx(132 * 1.755e9 * 128 / (110 * 224 * 224))
    assert bounds["special functions"] == pytest.approx(132 * 1.755e9 * 16 / (10 * 224 * 224))
    assert bounds["memory"] == pytest.approx(3.35e12 / (460 * 460 * 3 + 224 * 224 * 6))
    assert "| H100: what binds | memory |" in table([one], "sm_90")
    assert "counted, not timed" in table([one], "sm_90")


def test_as_many_warps_as_registers_allow():
    assert [occupancy(registers, 128) for registers in (32, 72, 80, 121, 128, 255)] == [64, 28, 24, 16, 16, 8]
