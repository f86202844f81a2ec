"""Changes of compiled code: each has a meaning, is run where the code was, and is told from what changes nothing."""

import numpy as np
import pytest
import torch

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import Interpreter
from onewarp.benchmarks.ptx.mutations import mutants
from onewarp.benchmarks.ptx.opcodes import operation
from onewarp.benchmarks.ptx.parse import Unknown


def changes(kernel, opcode):
    """All mutants of the first instruction that has an opcode."""
    place = next(i for i, one in enumerate(kernel.code) if one.opcode == opcode)
    return {
        kind: {mutant.change.partition(" -> ")[2] for mutant in found} for kind, found in mutants(kernel, place).items()
    }


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ("sub.s32 %r2, %r1, %r3;", "another opcode", {"add.s32 %r2, %r1, %r3"}),
        ("sub.s32 %r2, %r1, %r3;", "operands changed", {"sub.s32 %r2, %r3, %r1", "sub.s32 %r2, %r1, %r1"}),
        ("max.s32 %r2, %r1, %r3;", "another modifier", {"max.u32 %r2, %r1, %r3"}),
        ("dp2a.lo.s32.u32 %r2, %r1, %r3, %r4;", "another modifier", {"dp2a.hi.s32.u32 %r2, %r1, %r3, %r4"}),
        ("setp.lt.s32 %p1, %r1, 7;", "another opcode", {f"setp.{how}.s32 %p1, %r1, 7" for how in ("le", "ge", "gt")}),
        ("mul.f32 %r2, %r1, 0f3F800000;", "another opcode", {"add.f32 %r2, %r1, 0f3F800000"}),
        ("@%p1 st.global.b32 [%rd3], %r1;", "a mask dropped", {"st.global.b32 [%rd3+0], %r1"}),
        ("@%p1 bra $L1;\n$L1:", "a predicate negated", {"@!%p1 bra $L1"}),
        ("ld.global.b32 %r2, [%rd3+8];", "an offset changed", {f"ld.global.b32 %r2, [%rd3+{n}]" for n in (4, 12)}),
        ("bar.sync 0;", "a barrier removed", {"nothing"}),
        ("mov.b32 %r2, 0f00000000;", "an immediate changed", {"mov.b32 %r2, 0f3F800000"}),
    ],
)  # fmt: skip
def test_what_an_instruction_may_become(make_kernel, body, kind, expected):
    opcode = next(word for word in body.split() if "." in word or word == "bra")
    assert changes(make_kernel(body), opcode)[kind] == expected


def test_every_change_has_a_meaning(make_kernel):
    body = "shl.b32 %r2, %r1, 3;\n cvt.rmi.f32.f32 %r3, %r1;\n mad.lo.s32 %r4, %r1, %r2, %r3;\n and.pred %p1, %p2, %p3;"
    kernel = make_kernel(body)
    found = [mutant for place in range(len(kernel.code)) for some in mutants(kernel, place).values() for mutant in some]
    computing = [one.after.opcode for one in found if not one.after.opcode.startswith(("ld", "st", "bra"))]
    assert len(computing) > 20
    for opcode in computing:
        operation(opcode)


def stored(kernel):
    """What 64 threads leave in the second array."""
    arrays = [torch.zeros(64, dtype=torch.int32), torch.zeros(64, dtype=torch.int32)]
    with Interpreter("sm_90") as interpreter:
        interpreter.launch(kernel, [*arrays, 7], (1,))
    return arrays[1].numpy()


def test_a_change_is_run_and_jumps_go_where_they_went(make_kernel):
    body = "add.s32 %r2, %r1, 1;\n setp.lt.u32 %p1, %r1, 10;\n bar.sync 0;\n @%p1 bra $L1;\n add.s32 %r2, %r2, 100;\n"
    kernel = make_kernel(f"{body}$L1:\n st.global.b32 [%rd4], %r2;")
    threads = np.arange(64)
    assert np.array_equal(stored(kernel), threads + 1 + 100 * (threads >= 10))
    place = next(i for i, one in enumerate(kernel.code) if one.text == "add.s32 %r2, %r1, 1")
    subtracted = mutants(kernel, place)["another opcode"][0]
    assert np.array_equal(stored(subtracted.code()), threads - 1 + 100 * (threads >= 10))
    barrier = next(i for i, one in enumerate(kernel.code) if one.opcode == "bar.sync")
    (removed,) = mutants(kernel, barrier)["a barrier removed"]
    assert np.array_equal(stored(removed.code()), stored(kernel))


def test_results_that_never_differ_are_told_from_those_that_do(make_kernel):
    kernel = make_kernel("setp.lt.s32 %p1, %r1, 64;\n selp.b32 %r2, 1, 0, %p1;\n st.global.b32 [%rd4], %r2;")
    place = next(i for i, one in enumerate(kernel.code) if one.opcode == "setp.lt.s32")
    found = {mutant.after.opcode: mutant for mutant in mutants(kernel, place)["another opcode"]}
    assert (stored(found["setp.le.s32"].comparing()) == 1).all()
    with pytest.raises(Unknown, match="trap"):
        stored(found["setp.ge.s32"].comparing())


def test_a_result_that_nobody_reads_is_known(make_kernel):
    kernel = make_kernel("mov.b32 %r2, 0;\n ld.global.b32 %r2, [%rd3];\n st.global.b32 [%rd4], %r2;")
    place = next(i for i, one in enumerate(kernel.code) if one.text == "mov.b32 %r2, 0")
    assert [kernel.useless(place + i) for i in range(3)] == [True, False, False]
    masked = make_kernel("mov.b32 %r2, 0;\n @%p1 ld.global.b32 %r2, [%rd3];\n st.global.b32 [%rd4], %r2;")
    assert not masked.useless(place)
