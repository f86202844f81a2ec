"""A launch: what its arguments become, what is run of it, and what is known of it afterwards."""

import numpy as np
import pytest
import torch

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import Interpreter
from onewarp.benchmarks.ptx.launch import bind_arguments
from onewarp.benchmarks.ptx.memory import address_of

NUMBER = "mad.wide.u32 %rd5, %r6, 4, %rd2;\n"
BODY = "mov.u32 %r6, %ctaid.x;\n" + NUMBER + "setp.eq.u32 %p1, %r1, 0;\n @%p1 st.global.b32 [%rd5], 7;"


def launch(interpreter, kernel, programs):
    arrays = [torch.zeros(64, dtype=torch.int32), torch.zeros(64, dtype=torch.int32)]
    with interpreter:
        interpreter.launch(kernel, [*arrays, 7], (programs,))
    return arrays[1].numpy()


def test_tensors_of_one_storage_point_into_one_allocation(make_kernel):
    whole = torch.arange(10, dtype=torch.int16)
    values, contents = bind_arguments(make_kernel("ret;"), [whole, whole[3:], -1])
    assert [len(array) for array in contents] == [20]
    assert values["k_param_0"] == address_of(0)
    assert values["k_param_1"] == address_of(0) + 6
    assert values["k_param_2"] == 2**64 - 1
    contents[0][:2] = 255
    assert whole[0] == -1  # what the kernel writes, the tensor has


def test_variables_of_the_module_have_an_allocation_of_their_own(make_kernel):
    kernel = make_kernel("ret;", variables=".global .align 1 .b8 four[4] = {9, 8, 7, 255};")
    values, contents = bind_arguments(kernel, [torch.zeros(1), None, 0])
    assert values["four"] == address_of(1)
    assert contents[1].tolist() == [9, 8, 7, 255]
    assert values["k_param_1"] == 0


def test_every_program_is_run_and_counted(make_kernel):
    kernel, interpreter = make_kernel(BODY, threads=32), Interpreter("sm_90", outputs=[])
    assert launch(interpreter, kernel, 5).tolist() == [7] * 5 + [0] * 59
    assert interpreter.launches == {"k": 1}
    (visits,) = interpreter.visits.values()
    assert visits.tolist() == [5 * 32] * (len(kernel.code) - 2) + [5, 5 * 32]
    assert [tensor.tolist()[:6] for tensor in interpreter.outputs] == [[0] * 6, [7] * 5 + [0]]
    launch(interpreter, kernel, 1)
    assert interpreter.launches == {"k": 2}
    assert visits[0] == 6 * 32
    assert interpreter.summary().startswith("sm_90: launches: 2 of k; 1 kernels of")


def test_only_the_programs_that_are_left_are_run(make_kernel):
    interpreter = Interpreter("sm_90", programs=lambda name, programs: programs[1::2])
    assert launch(interpreter, make_kernel(BODY, threads=32), 5).tolist()[:5] == [0, 7, 0, 7, 0]


def test_many_programs_are_run_in_several_turns_with_the_same_result(make_kernel, monkeypatch):
    monkeypatch.setattr("onewarp.benchmarks.ptx.launch.MOST_LANES", 64)
    assert launch(Interpreter("sm_90"), make_kernel(BODY, threads=32), 5).tolist() == [7] * 5 + [0] * 59


def test_the_longest_chain_of_a_launch_is_known_where_it_is_asked_for(make_kernel):
    body = "add.s32 %r2, %r1, 1;\n add.s32 %r3, %r2, 1;\n"
    for chained, longest in ((False, 0), (True, 3)):
        interpreter = Interpreter("sm_90", chained=chained)
        launch(interpreter, make_kernel(body), 1)
        assert interpreter.chain == longest


def test_steps_beyond_the_limit_are_a_fault(make_kernel):
    with pytest.raises(Exception, match="threads have not come to their end in 3 steps"):
        launch(Interpreter("sm_90", most_steps=3), make_kernel(BODY), 1)


def test_afterwards_triton_is_as_before():
    from triton.runtime.jit import JITFunction

    from onewarp.transforms.warp import gpu

    before = JITFunction.run, gpu.IN_HOST_MEMORY
    with Interpreter("sm_90"):
        assert (JITFunction.run, gpu.IN_HOST_MEMORY) != before
    assert (JITFunction.run, gpu.IN_HOST_MEMORY) == before


def test_arguments_beyond_the_kernels_are_scratch_memory_of_which_there_is_none(make_kernel):
    values, _ = bind_arguments(make_kernel("ret;"), [torch.zeros(1), torch.zeros(1), np.int32(3)])
    assert values["k_param_2"] == 3
