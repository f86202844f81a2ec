"""What the interpreter must notice, and what it must let pass."""

import numpy as np
import pytest

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import Fault, Unknown

SHARED = ".shared .align 4 .b8 room[256];"
LOCAL = ".local .align 4 .b8 room[16];"
NEXT = """
	mov.b32 %r5, room;
	shl.b32 %r6, %r1, 2;
	add.s32 %r7, %r5, %r6;
	st.shared.b32 [%r7], %r1;
	xor.b32 %r8, %r6, 4;
	add.s32 %r9, %r5, %r8;
"""


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("ld.global.b32 %r2, [%rd3+4];", "at byte 256 of an allocation of 256, by 1 of 64 threads"),
        ("ld.global.b32 %r2, [%rd3+-4];", "at byte -4 of an allocation"),
        ("st.global.b32 [%rd3+256], %r1;", "at byte 256 of an allocation"),
        ("mov.b64 %rd5, 16;\n ld.global.b32 %r2, [%rd5];", "at nowhere"),
        ("add.s64 %rd5, %rd3, 0x100000000;\n ld.global.b32 %r2, [%rd5];", "at byte 4294967296"),
        ("ld.global.b32 %r2, [%rd3+2];", "4 bytes at an address that is no multiple of it"),
        ("ld.global.v2.b32 {%r2, %r3}, [%rd1+4];", "8 bytes at an address that is no multiple of it"),
        ("add.s32 %r3, %r2, 1;", "register %r2 is read before it is written"),
        ("setp.lt.u32 %p1, %r1, 10;\n @%p1 mov.b32 %r2, 1;\n add.s32 %r3, %r2, 1;", "register %r2 is read before"),
        ("@%p1 mov.b32 %r2, 1;", "register %p1 is read before it is written"),
        ("mov.b64 %rd5, {%r1, %r2};\n add.s64 %rd6, %rd5, 1;", "register %rd5 is read before it is written"),
        ("mov.b64 %rd5, {%r1, %r2};\n mov.b64 {%r3, %r4}, %rd5;\n add.s32 %r5, %r4, 1;", "register %r4 is read before"),
        ("addc.u32 %r2, %r1, %r1;", "register the carry is read before"),
        ("st.global.b32 [%rd1], %r1;", "two threads write different values to one place"),
        ("setp.eq.b32 %p1, %r1, 3;\n @%p1 st.global.b32 [%rd1], 5;\n ld.global.b32 %r2, [%rd1];", "what another has"),
        ("setp.lt.u32 %p1, %r1, 10;\n @%p1 bra $L1;\n bar.sync 0;\n$L1:", "a barrier in divergent code"),
        ("setp.lt.u32 %p1, %r1, 10;\n @%p1 shfl.sync.idx.b32 %r2, %r1, 0, 31, -1;", "a shuffle in divergent code"),
        ("brx.idx %r1, $T;\n$A: ret;\n$T: .branchtargets $A, $A;", "a jump beyond its table"),
    ],
)  # fmt: skip
def test_faults_are_found(on_threads, body, what):
    with pytest.raises(Fault, match=what):
        on_threads(body)


@pytest.mark.parametrize(
    ("body", "declared", "what"),
    [
        (f"{NEXT} ld.shared.b32 %r2, [%r9];", SHARED, "what another has written"),
        (f"{NEXT} bar.sync 0;\n st.shared.b32 [%r9+256], %r1;", SHARED, "at byte"),
        ("mov.b32 %r5, room;\n ld.shared.b32 %r2, [%r5];", SHARED, "memory is read before it is written"),
        ("mov.b32 %r5, room;\n ld.local.b32 %r2, [%r5+4];", LOCAL, "memory is read before it is written"),
        ("mov.b32 %r5, room;\n st.local.b32 [%r5+16], %r1;", LOCAL, "at byte 16 of an allocation of 16"),
    ],
)
def test_so_are_those_of_near_memory(on_threads, body, declared, what):
    with pytest.raises(Fault, match=what):
        on_threads(body, declared=declared)


def test_a_fault_names_the_instruction_and_its_line_of_python(on_threads):
    with pytest.raises(Fault, match=r"(?s)in add.s32 %r3, %r2, 1.*of some.py:7:3"):
        on_threads(".loc 1 7 3 // some.py:7:3\n add.s32 %r3, %r2, 1;")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("add.sat.s32 %r2, %r1, %r1;", "opcode 'add.sat.s32' has no row"),
        ("cvt.rn.satfinite.e4m3x2.f32 %rs1, %r1, %r1;", "has no row"),
        ("ld.global.L1::no_allocate.b32 %r2, [%rd3];", "has no row"),
        ("atom.global.add.u32 %r2, [%rd3], 1;", "has no row"),
        ("add.s32 %r2, %rd1, 1;", "a register of 64 bits as s32"),
        ("add.s64 %rd5, %r1, 1;", "a register of 32 bits as s64"),
        ("add.f32 %r2, %r1, 1;", "a number of another kind than f32"),
        ("add.s32 %r2, %r1;", "add.s32 with 1 operands"),
        ("mov.b32 %r2, nobody;", "the name nobody"),
    ],
)
def test_what_is_not_known_is_not_guessed(on_threads, body, what):
    with pytest.raises(Unknown, match=what):
        on_threads(body)


def test_threads_part_and_meet_again(on_threads):
    body = """
	setp.lt.u32 %p1, %r1, 10;
	mov.b32 %r2, 5;
	@%p1 bra $L1;
	mov.b32 %r2, 9;
$L1:
	bar.sync 0;
	st.global.b32 [%rd4], %r2;"""
    assert on_threads(body).tolist() == [5] * 10 + [9] * 54


def test_loops_end_for_each_thread_by_itself(on_threads):
    body = """
	mov.b32 %r2, 0;
	mov.b32 %r3, 0;
$L2:
	add.s32 %r2, %r2, %r3;
	add.s32 %r3, %r3, 1;
	setp.le.u32 %p1, %r3, %r1;
	@%p1 bra $L2;
	st.global.b32 [%rd4], %r2;"""
    assert on_threads(body).tolist() == [i * (i + 1) // 2 for i in range(64)]


def test_a_table_of_jumps(on_threads):
    body = """
	and.b32 %r2, %r1, 1;
	brx.idx %r2, $T;
$T: .branchtargets
	$A,
	$B;
$A:
	st.global.b32 [%rd4], 10;
	ret;
$B:
	st.global.b32 [%rd4], 20;"""
    assert on_threads(body).tolist() == [10, 20] * 32


def test_what_lies_behind_a_barrier_may_be_read(on_threads):
    body = f"{NEXT} bar.sync 0;\n ld.shared.b32 %r2, [%r9];\n st.global.b32 [%rd4], %r2;"
    assert on_threads(body, declared=SHARED).tolist() == [i ^ 1 for i in range(64)]


def test_shared_memory_is_a_programs_and_local_memory_a_threads(on_threads):
    body = """
	mov.b32 %r5, room;
	mov.u32 %r6, %ctaid.x;
	add.s32 %r7, %r6, 1;
	st.{space}.b32 [%r5], %r7;
	bar.sync 0;
	ld.{space}.b32 %r2, [%r5];
	mad.wide.u32 %rd5, %r6, 128, %rd4;
	st.global.b32 [%rd5], %r2;"""
    for space, declared in (("shared", SHARED), ("local", LOCAL)):
        found = on_threads(body.replace("{space}", space), declared=declared, threads=32, grid=(2,))
        assert found.tolist() == [1] * 32 + [2] * 32


def test_memory_of_a_module_is_read(on_threads):
    body = "mov.b64 %rd5, four;\n and.b32 %r2, %r1, 3;\n cvt.u64.u32 %rd6, %r2;\n add.s64 %rd7, %rd5, %rd6;\n"
    body += "ld.global.nc.b8 %rs1, [%rd7];\n cvt.u32.u16 %r3, %rs1;\n st.global.b32 [%rd4], %r3;"
    found = on_threads(body, variables=".global .align 1 .b8 four[4] = {9, 8, 7, 255};")
    assert found.tolist() == [9, 8, 7, 255] * 16


def test_the_same_value_may_be_written_twice(on_threads):
    assert on_threads("st.global.b32 [%rd2], 7;")[0] == 7


def test_parts_of_a_word_and_words_of_a_part(on_threads):
    words = np.arange(64, dtype=np.uint32) * 0x01020304
    body = "ld.global.v4.b8 {%rs1, %rs2, %rs3, %rs4}, [%rd3];\n st.global.v4.b8 [%rd4], {%rs4, %rs3, %rs2, %rs1};"
    assert np.array_equal(on_threads(body, words), words.byteswap())
    body = "ld.global.b16 %rs1, [%rd3];\n cvt.s32.s16 %r2, %rs1;\n st.global.b32 [%rd4], %r2;"
    assert np.array_equal(
        on_threads(body, words), (words & 0xFFFF).astype(np.uint16).view(np.int16).astype(np.int32).view(np.uint32)
    )


def test_two_halves_of_a_word(on_threads):
    body = """
	cvt.u16.u32 %rs1, %r1;
	mov.b16 %rs2, 7;
	mov.b32 %r2, {%rs1, %rs2};
	mov.b32 {%rs3, %rs4}, %r2;
	mov.b32 %r3, {%rs4, %rs3};
	st.global.b32 [%rd4], %r3;"""
    assert on_threads(body).tolist() == [i << 16 | 7 for i in range(64)]


def test_half_a_pair_may_be_missing_until_it_is_used(on_threads):
    body = (
        "mov.b64 %rd5, {%r1, %r2};\n add.f32x2 %rd6, %rd5, %rd5;\n mov.b64 {%r3, _}, %rd6;\n st.global.b32 [%rd4], %r3;"
    )
    found = on_threads(body).view(np.float32)
    assert np.array_equal(found, 2 * np.arange(64, dtype=np.uint32).view(np.float32))
