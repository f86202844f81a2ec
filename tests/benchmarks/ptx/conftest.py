"""One instruction, or some lines of PTX, run by themselves."""

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import Interpreter
from onewarp.benchmarks.ptx.parse import Kernel, parse

MODULE = """.version 8.4
.target sm_90a
.address_size 64
{globals}
.visible .entry k(
	.param .u64 .ptr .global .align 1 k_param_0,
	.param .u64 .ptr .global .align 1 k_param_1,
	.param .u32 k_param_2
)
.reqntid {threads}
{{
	.reg .pred %p<9>;
	.reg .b16 %rs<9>;
	.reg .b32 %r<30>;
	.reg .b64 %rd<30>;
	{declared}
	ld.param.b64 %rd1, [k_param_0];
	ld.param.b64 %rd2, [k_param_1];
	mov.u32 %r1, %tid.x;
	mad.wide.u32 %rd3, %r1, 4, %rd1;
	mad.wide.u32 %rd4, %r1, 4, %rd2;
{body}
	ret;
	// -- End function
}}
"""


def kernel(body: str, threads: int = 64, declared: str = "", variables: str = "") -> Kernel:
    """A kernel whose %rd3 and %rd4 are the addresses of word %r1, the thread's number, of its two arguments."""
    return parse(MODULE.format(body=body, threads=threads, declared=declared, globals=variables))


def run(body: str, first: Any = None, second: Any = None, **options: Any) -> Any:
    """Run a kernel over two arrays of words, by default of 64; returns the second one."""
    arrays = [np.zeros(64, np.uint32) if a is None else np.array(a) for a in (first, second)]
    tensors = [torch.from_numpy(a.view(np.uint8)) for a in arrays]
    moved = options.pop("moved", 0.0)
    grid = options.pop("grid", (1,))
    with Interpreter("sm_90", moved) as interpreter:
        interpreter.launch(kernel(body, **options), [*tensors, 7], grid)
    return arrays[1]


@pytest.fixture(scope="session")
def on_threads() -> Any:
    """`run`."""
    return run


@pytest.fixture(scope="session")
def lines() -> Any:
    """`kernel`."""
    return kernel


@pytest.fixture(scope="session")
def make_kernel() -> Any:
    """`kernel`."""
    return kernel


@pytest.fixture(scope="session")
def compute() -> Any:
    """An instruction of arrays: `compute("add.s32", x, y)` has the type of the first unless `result` names another."""
    from onewarp.benchmarks.ptx.opcodes import compute, operation

    def result(opcode: str, *operands: Any, moved: float = 0.0) -> Any:
        with np.errstate(all="ignore"):
            return compute(operation(opcode), [np.asarray(x) for x in operands], moved)

    return result
