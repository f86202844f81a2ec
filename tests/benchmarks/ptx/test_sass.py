"""Machine code: the class of an instruction, and how often threads come to it."""

import numpy as np
import pytest

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import sass


def test_an_instruction_of_no_class_is_an_error():
    assert sass.kind("FFMA") == "FP32 add, mul, fma"
    assert sass.kind("UIADD3") == "uniform datapath"
    with pytest.raises(KeyError, match="NEWOP is in no class"):
        sass.kind("NEWOP")


def test_no_instruction_is_of_two_classes():
    names = [name for names in sass.CLASSES.values() for name in names]
    assert len(names) == len(set(names))


def test_a_block_of_machine_code_is_as_frequent_as_most_of_its_instructions(make_kernel):
    """Behind a jump that ten of 64 threads take: one instruction of the long way has been moved to the short one."""
    long = "add.s32 %r2, %r1, 1;\n add.s32 %r3, %r1, 2;\n"
    kernel = make_kernel(f"setp.lt.u32 %p1, %r1, 10;\n @%p1 bra $L1;\n {long}$L1:\n mov.b32 %r4, 0;")
    lines = {one.text: one.line for one in kernel.code}
    behind = [one.text for one in kernel.code].index("add.s32 %r2, %r1, 1")
    visits = np.full(len(kernel.code), 64)
    visits[behind : behind + 2] = 54
    code = [
        sass.Machine("ISETP", "ISETP", lines["setp.lt.u32 %p1, %r1, 10"], 0),
        sass.Machine("IADD3", "IADD3", lines["add.s32 %r2, %r1, 1"], 1),
        sass.Machine("IADD3", "IADD3", lines["add.s32 %r3, %r1, 2"], 1),
        sass.Machine("MOV", "MOV", lines["mov.b32 %r4, 0"], 1),
        sass.Machine("MOV", "MOV", lines["mov.b32 %r4, 0"], 2),
        sass.Machine("NOP", "NOP", 0, 3),
    ]
    assert sass.frequencies(kernel.text, visits, code) == [64, 54, 54, 54, 64, 0]


def test_of_as_many_votes_the_higher_counts(make_kernel):
    kernel = make_kernel("add.s32 %r2, %r1, 1;\n$L1:\n mov.b32 %r4, 0;")
    visits = np.full(len(kernel.code), 64)
    place = [one.text for one in kernel.code].index("mov.b32 %r4, 0")
    visits[place:] = 10
    lines = [kernel.code[place - 1].line, kernel.code[place].line]
    code = [sass.Machine("IADD3", "IADD3", line, 0) for line in lines]
    assert sass.frequencies(kernel.text, visits, code) == [64, 64]


def test_an_instruction_under_a_guard_is_come_to_by_all_that_come_to_its_block(make_kernel):
    kernel = make_kernel("setp.lt.u32 %p1, %r1, 10;\n @%p1 mov.b32 %r2, 0;\n mov.b32 %r4, 0;")
    place = [one.text for one in kernel.code].index("@%p1 mov.b32 %r2, 0")
    visits = np.full(len(kernel.code), 64)
    visits[place] = 10
    assert sass.frequencies(kernel.text, visits, [sass.Machine("MOV", "MOV", kernel.code[place].line, 0)]) == [64]


def test_the_compiler_is_named_by_its_versions():
    assert sass.version().startswith("triton ")
    assert ", ptxas 1" in sass.version()
