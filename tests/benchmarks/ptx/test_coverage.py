"""Which code has been reached: in its own kernel, in another variant of it, or nowhere."""

import numpy as np
import pytest

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import coverage as module
from onewarp.benchmarks.ptx.coverage import coverage, source

JUMP = """
	.loc 1 7 3 // nobody.py:7:3
	setp.lt.u32 %p1, %r1, 10;
	@%p1 bra $L1;
	.loc 1 8 3 // nobody.py:8:3
	mul.lo.s32 %r2, %r1, 3;
$L1:
	mov.b32 %r4, 0;"""


@pytest.fixture
def kernel(make_kernel):
    return make_kernel(JUMP)


def visits(kernel, missed=False):
    counts = np.full(len(kernel.code), 64)
    if missed:
        counts[[one.opcode for one in kernel.code].index("mul.lo.s32")] = 0
    return counts


def test_all_blocks_of_a_kernel_are_reached(kernel):
    found = coverage({kernel.text: visits(kernel)})
    assert (found.kernels, found.instructions, found.reached) == (1, len(kernel.code), len(kernel.code))
    assert (found.blocks, found.here, found.elsewhere, found.missed) == (3, 3, 0, ())


def test_a_block_that_nobody_reaches_is_named_by_its_place(kernel):
    found = coverage({kernel.text: visits(kernel, missed=True)})
    assert (found.reached, found.blocks, found.here, found.elsewhere) == (len(kernel.code) - 1, 3, 2, 0)
    assert found.missed == ("k, nobody.py:8:3: : mul.lo.s32",)
    assert "blocks that are not reached: 1\n  k, nobody.py:8:3" in str(found)


def test_what_another_variant_does_at_the_same_place_is_reached_elsewhere(kernel, make_kernel):
    variant = make_kernel(JUMP.replace("10;", "20;"))
    found = coverage({kernel.text: visits(kernel, missed=True), variant.text: visits(variant)})
    assert (found.kernels, found.blocks, found.here, found.elsewhere, found.missed) == (2, 6, 5, 1, ())
    other = make_kernel(JUMP.replace("mul.lo.s32 %r2, %r1, 3", "add.s32 %r2, %r1, 3").replace("10;", "20;"))
    found = coverage({kernel.text: visits(kernel, missed=True), other.text: visits(other)})
    assert len(found.missed) == 1  # another instruction at that place


def test_a_line_that_no_case_can_reach_has_a_reason(kernel, monkeypatch):
    monkeypatch.setattr(module, "source", lambda place: "x = 1 / 0" if place == "nobody.py:8:3" else "")
    monkeypatch.setattr(module, "UNREACHABLE", {"x = 1 / 0": "nobody divides by zero"})
    found = coverage({kernel.text: visits(kernel, missed=True)})
    assert found.unreachable == ("k: x = 1 / 0: nobody divides by zero",)
    assert found.missed == ()


def test_every_line_that_is_said_to_be_unreachable_is_in_a_kernel():
    from pathlib import Path

    from onewarp.transforms.warp import gpu

    texts = [path.read_text() for path in Path(gpu.__file__).parent.glob("gpu*.py")]
    for line in module.UNREACHABLE:
        assert any(line in map(str.strip, text.splitlines()) for text in texts), line


def test_the_source_of_a_place():
    assert source("gpu.py:1:1").startswith('"""')
    assert source("nobody.py:3:1") == source("gpu.py:0:0") == source("gpu.py") == ""
