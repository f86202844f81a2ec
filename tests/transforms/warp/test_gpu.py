"""The Triton back end without a GPU: interpreted as source and as PTX, and compiled ahead for three generations."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

triton = pytest.importorskip("triton")

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from onewarp.benchmarks.ptx.__main__ import run_mutants, run_tests  # noqa: E402
from onewarp.benchmarks.ptx.verdicts import result  # noqa: E402
from onewarp.errors import WarpError  # noqa: E402
from onewarp.transforms.warp import OutSpec, backends, gpu, warp  # noqa: E402
from onewarp.transforms.warp.gpu_draws import draw_kernel  # noqa: E402
from onewarp.transforms.warp.gpu_kernel import colour_kernel, warp_kernel  # noqa: E402
from onewarp.transforms.warp.gpu_tiles import tiles_kernel  # noqa: E402

HERE = Path(__file__).parent
FLOATS = ("source", "floats", "homography", "affine_maps", "logit", "hue", "table", "colour", "erase")
TYPES = {
    "offsets": "*i64",
    "sizes": "*i32",
    **dict.fromkeys(("tiles", "words", "integers"), "*i32"),
    **dict.fromkeys(("keys", "stream"), "*i64"),
    "target": "*bf16",
    **dict.fromkeys(FLOATS, "*fp32"),
    **dict.fromkeys(("red", "green", "blue"), "fp32"),
}
DENSE = {"offsets": None, "sizes": None, "packed": False}
USUAL = {
    **DENSE,
    "hue": None,
    "table": None,
    "erase": None,
    "erase_columns": 0,
    "padding": 0,
    "wide": False,
    "level": True,
    "diagonal": True,
}
EVERYTHING = {
    "packed": True,
    "erase_columns": 7,
    "padding": 2,
    "wide": False,
    "level": False,
    "diagonal": False,
}
SHAPE = {"chunk": gpu.CHUNK, "patch": gpu.PATCH, "span": gpu.SPAN}


@pytest.mark.parametrize("file", sorted((HERE / "triton").glob("test_*.py")), ids=lambda path: path.stem)
def test_interpreted(file):
    """Triton reads `TRITON_INTERPRET` when it is imported, so these tests have a process of their own."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert "passed" in run.stdout


def test_as_compiled_for_sm_100():
    """The same tests once more, on the PTX that the compiler makes for a GPU."""
    run = run_tests("sm_100", moved=0)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert " tests without a fault" in run.stdout
    assert "blocks that are not reached: none" in run.stdout


def test_as_compiled_for_sm_90_and_changes_of_it_are_noticed():
    """All tests pass on what is compiled; then each of 30 mutants is run through those that do its instruction.

    So few say little of the share: the command `python -m onewarp.benchmarks.ptx mutations` is held to 92 % of 200.
    """
    rows = run_mutants("sm_90", 30, 0)
    figures = result(rows, "sm_90", "", 0)["kernels"]
    assert [(one["name"], one["mutants"]) for one in figures[-1:]] == [("all", 30)]
    assert {one["name"] for one in figures[:-1]} == {"warp_kernel", "tiles_kernel", "draw_kernel", "colour_kernel"}
    assert figures[-1]["share"] >= 0.75


def resources(kernel, constants, capability, warps, folder, data="*u8", **options):
    """Registers a thread takes, and bytes of local memory for what it has no registers for."""
    given = {**TYPES, "data": data}
    types = {name: "constexpr" if name in constants else given.get(name, "i32") for name in kernel.arg_names}
    values = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    compiled = triton.compile(
        ASTSource(fn=kernel, signature=types, constexprs=values),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": warps, "num_stages": 1, "enable_fp_fusion": True, **options},
    )
    file = folder / "kernel.cubin"
    file.write_bytes(compiled.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    usage = subprocess.run([tool, "-res-usage", file], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", usage)}


ahead = pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter compiles nothing")


USED = [(capability, antialias) for capability in (80, 90, 100) for antialias in (True, False)]
RARE = {
    "everything": ({**EVERYTHING, "antialias": True}, gpu.MORE_REGISTERS, "*u8"),
    "two gigabytes": ({**USUAL, "antialias": True, "wide": True, "chunk": gpu.SHORT_CHUNK}, gpu.REGISTERS, "*u8"),
    "floats": ({**USUAL, "antialias": True}, gpu.REGISTERS, "*fp32"),
}


@ahead
@pytest.mark.parametrize(("capability", "antialias"), USED)
def test_the_warp_compiles_for_gpus_without_spilling(capability, antialias, tmp_path):
    constants = {**SHAPE, **USUAL, "antialias": antialias}
    most = gpu.REGISTERS if antialias else gpu.PLAIN_REGISTERS
    used = resources(warp_kernel, constants, capability, gpu.WARPS, tmp_path, maxnreg=most)
    assert used["REG"] <= most
    assert used["STACK"] == used["LOCAL"] == 0


@ahead
@pytest.mark.parametrize("name", RARE)
def test_so_do_its_rarer_kinds(name, tmp_path):
    constants, most, data = RARE[name]
    used = resources(warp_kernel, {**SHAPE, **constants}, 90, gpu.WARPS, tmp_path, data, maxnreg=most)
    assert used["REG"] <= most
    assert used["STACK"] == used["LOCAL"] == 0


@ahead
@pytest.mark.parametrize(
    ("kernel", "constants", "warps"),
    [
        (tiles_kernel, {**DENSE, "block": gpu.TILES_AT_ONCE}, 1),
        (draw_kernel, {"packed": True, "block": gpu.TILES_AT_ONCE}, 1),
        (colour_kernel, {"antialias": True, "erase_columns": 4, "block": gpu.POINTS}, gpu.WARPS),
    ],
    ids=["tiles", "draws", "colour"],
)
def test_the_other_kernels_compile_for_gpus_without_spilling(kernel, constants, warps, tmp_path):
    used = resources(kernel, constants, 90, warps, tmp_path)
    assert used["REG"] <= 255
    assert used["STACK"] == used["LOCAL"] == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_a_gpu_that_nothing_compiles_for_is_said_to_be_of_no_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "an old GPU")
    state = backends()["gpu"]  # the launch fails, as there is no GPU
    assert not state.available
    assert "cannot compile for an old GPU: " in state.detail
    gpu._failure.cache_clear()


@ahead
@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_without_a_gpu_it_says_so():
    state = backends()["gpu"]
    assert not state.available
    assert "torch sees none" in state.detail
    images, same = torch.zeros(1, 4, 4, 3, dtype=torch.uint8), torch.eye(3, 4)[None]
    with pytest.raises(WarpError, match="cannot be used here: triton"):
        warp(images, torch.eye(3)[None], None, same, OutSpec((4, 4)), backend="gpu")
    with pytest.raises(WarpError, match="needs its images on a GPU"):
        gpu.warp(images, torch.eye(3)[None], None, same, OutSpec((4, 4)))
