"""The longest chain of instructions that wait for one another, counted by hand."""

import pytest

pytest.importorskip("triton")

from onewarp.benchmarks.ptx.chains import Chains, registers
from onewarp.benchmarks.ptx.parse import Address, Group, Name, Number, Register


@pytest.mark.parametrize(
    ("body", "longest"),
    [
        ("", 2),  # the addresses wait for the parameters
        ("add.s32 %r2, %r1, 1;\n add.s32 %r3, %r2, 1;\n add.s32 %r4, %r1, 1;\n mov.b32 %r3, 0;", 3),
        ("setp.lt.u32 %p1, %r1, 9;\n @%p1 mov.b32 %r2, 0;", 3),
        ("setp.lt.u32 %p1, %r1, 9;\n @%p1 bra $L1;\n$L1:\n mov.b32 %r2, 0;", 4),
        ("st.global.b32 [%rd3], %r1;\n mov.b32 %r2, 0;\n add.s32 %r2, %r2, 1;", 3),
        ("st.global.b32 [%rd3], %r1;\n bar.sync 0;\n mov.b32 %r2, 0;\n add.s32 %r2, %r2, 1;", 6),
    ],
)
def test_a_chain_is_of_instructions_that_wait_for_one_another(lines, body, longest):
    chains = Chains()
    for one in lines(body).code:
        chains.add(one)
    assert chains.longest == longest


def test_who_does_not_do_an_instruction_keeps_what_was_there_and_waits_for_it(make_kernel):
    chains, long = Chains(), "add.s32 %r2, %r1, 1;\n" + "add.s32 %r2, %r2, 1;\n" * 2
    for one in make_kernel(f"{long}setp.lt.u32 %p1, %r1, 9;\n @%p1 mov.b32 %r2, 0;\n add.s32 %r3, %r2, 1;").code:
        chains.add(one)
    assert chains.longest == 6


def test_registers_of_an_operand_are_those_within_it():
    one, other = Register("%r1", 4), Register("%rd2", 8)
    assert list(registers(Group((one, None, Address(other, 8), Number(3))))) == ["%r1", "%rd2"]
    assert list(registers(Name("param"))) == list(registers(None)) == []
