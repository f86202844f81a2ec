"""What a text in PTX says, piece by piece, and what is refused."""

import pytest

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import Unknown
from onewarp.benchmarks.ptx.parse import Address, Group, Name, Number, Register, parse


def behind(kernel):
    """The instructions of a body, without those before and the return."""
    return kernel.code[5:-1]


@pytest.mark.parametrize(
    ("text", "opcode", "operands"),
    [
        ("add.s32 %r2, %r1, -7;", "add.s32", (Register("%r2", 4), Register("%r1", 4), Number(-7))),
        ("mov.b32 %r2, 0f3F800000;", "mov.b32", (Register("%r2", 4), Number(0x3F800000, 4))),
        ("mov.f64 %rd5, 0d3FF0000000000000;", "mov.f64", (Register("%rd5", 8), Number(0x3FF << 52, 8))),
        ("mov.b32 %r2, 0x10U;", "mov.b32", (Register("%r2", 4), Number(16))),
        ("mov.pred %p1, true;", "mov.pred", (Register("%p1", 0), Number(1))),
        ("mov.u32 %r2, %tid.x;", "mov.u32", (Register("%r2", 4), Register("%tid.x", 4))),
        ("bra $L1;\n$L1:", "bra", (Name("$L1"),)),
        (
            "ld.global.v2.b32 {%r2, _}, [%rd3 + 8];",
            "ld.global.v2.b32",
            (Group((Register("%r2", 4), None)), Address(Register("%rd3", 8), 8)),
        ),
        ("st.global.b32 [%rd3+-4], %r1;", "st.global.b32", (Address(Register("%rd3", 8), -4), Register("%r1", 4))),
    ],
)
def test_an_instruction_and_its_operands(make_kernel, text, opcode, operands):
    (one,) = behind(make_kernel(text))
    assert (one.opcode, one.operands, one.guard) == (opcode, operands, None)


@pytest.mark.parametrize(("guard", "wanted"), [("@%p1", True), ("@!%p1", False)])
def test_an_instruction_under_a_predicate(make_kernel, guard, wanted):
    (one,) = behind(make_kernel(f"{guard} mov.b32 %r2, 1;"))
    assert (one.guard, one.wanted, one.text) == (Register("%p1", 0), wanted, f"{guard} mov.b32 %r2, 1")


def test_a_statement_may_take_several_lines_and_a_line_several_statements(make_kernel):
    one, other, third = behind(make_kernel("add.s32 %r2,\n %r1, // a comment\n 1; mov.b32 %r3, 0;\n mov.b32 %r4, 0;"))
    assert one.text == "add.s32 %r2, %r1, 1"
    assert other.text == "mov.b32 %r3, 0"
    assert third.line == other.line + 1


def test_lines_of_python_go_with_what_follows_them(make_kernel):
    text = "mov.b32 %r2, 0;\n.loc 1 7 3 // some.py:7:3\nmov.b32 %r3, 0;\n.loc 1 9 1\nmov.b32 %r4, 0;"
    assert [one.place for one in behind(make_kernel(text))] == ["", "some.py:7:3", "some.py:7:3"]


def test_a_kernel_has_a_name_parameters_threads_and_variables(make_kernel):
    variables = ".global .align 4 .b8 four[4] = {9, 8, 7, 255};"
    kernel = make_kernel("ret;", threads=96, declared=".shared .align 16 .b8 room[64];", variables=variables)
    assert (kernel.name, kernel.threads) == ("k", 96)
    assert kernel.parameters == (("k_param_0", "u64"), ("k_param_1", "u64"), ("k_param_2", "u32"))
    assert kernel.variables["four"].contents == bytes([9, 8, 7, 255])
    room = kernel.variables["room"]
    assert (room.space, room.align, room.size, room.contents) == ("shared", 16, 64, b"")


def test_blocks_begin_behind_jumps_and_at_labels(make_kernel):
    kernel = make_kernel("@%p1 bra $L1;\n mov.b32 %r2, 0;\n mov.b32 %r3, 0;\n$L1:\n mov.b32 %r4, 0;\n ret;\n")
    assert kernel.labels == {"$L1": 8}
    assert kernel.blocks == [0, 6, 8, 10]


def test_a_table_of_jumps_has_its_labels(make_kernel):
    kernel = make_kernel("brx.idx %r1, $T;\n$T: .branchtargets\n $A,\n $B;\n$A:\n ret;\n$B:")
    assert kernel.tables == {"$T": ["$A", "$B"]}


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("ADD %r1;", "no instruction of PTX that is known: 'ADD %r1'"),
        ("add.s32 %r2, %unknown1, 1;", "no operand of PTX that is known: '%unknown1'"),
        ("add.s32 %r2, 1.5, 1;", "no operand of PTX that is known: '1.5'"),
    ],
)
def test_what_is_no_ptx_is_refused(make_kernel, body, what):
    with pytest.raises(Unknown, match=what):
        make_kernel(body)


def test_a_text_without_a_kernel_or_its_threads_is_refused(make_kernel):
    with pytest.raises(Unknown, match="no kernel is found in the PTX"):
        parse("// nothing")
    with pytest.raises(Unknown, match="k: the number of threads is not said"):
        parse(make_kernel("ret;").text.replace(".reqntid 64", ""))
