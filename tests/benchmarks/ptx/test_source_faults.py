"""Five faults put into the source of the warp's kernel: each is found on the PTX that the compiler makes of it."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import Fault, Interpreter
from onewarp.transforms.warp import OutSpec, gpu, gpu_kernel
from onewarp.transforms.warp.packed import Packed

SOURCE = Path(gpu_kernel.__file__)
HOMOGRAPHY = torch.tensor([[[0.8, 0.25, 6], [-0.2, 0.9, 12], [0.001, 0.002, 1]]])  # the tile is inside
SAME = torch.eye(3, 4)[None]


def noise(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def picture():
    return gpu.warp(noise(1, 60, 64, 3), HOMOGRAPHY, None, SAME, OutSpec((32, 32)))


def missing():
    """An image that lies outside the data."""
    images = Packed(noise(96), torch.tensor([1 << 40]), torch.tensor([[4, 4]], dtype=torch.int32))
    return gpu.warp(images, torch.eye(3)[None], None, SAME, OutSpec((6, 6)))


def faulty(before: str, after: str, folder: Path):
    """The kernel with a piece of its source replaced."""
    text = SOURCE.read_text()
    assert before in text
    file = folder / "faulty.py"
    file.write_text(text.replace(before, after))
    spec = importlib.util.spec_from_file_location("onewarp.transforms.warp.faulty", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.warp_kernel


@pytest.mark.parametrize(
    ("before", "after", "job"),
    [
        ("third = (w[2] * UNIT + ROUND)", "third = (tl.floor(w[2] * UNIT) + ROUND)", picture),
        ('"dp2a.lo.s32.u32 $0', '"dp2a.hi.s32.u32 $0', picture),
        ("to_unsigned(begin & -4)", "to_unsigned(begin & 4092)", picture),
        ("mask=seen, other=0", "", missing),
        ('"shf.r.wrap.b32 $0', '"shf.l.wrap.b32 $0', picture),
    ],
    ids=[
        "a weight rounded the other way",
        "dp2a.hi for dp2a.lo",
        "an offset that wraps",
        "a mask dropped from a load",
        "shf.l for shf.r",
    ],
)
def test_a_fault_in_the_source_is_found(before, after, job, tmp_path, monkeypatch):
    monkeypatch.setenv("DISABLE_PTXAS_OPT", "1")
    with Interpreter("sm_90"):
        right = job()
        monkeypatch.setattr(gpu, "warp_kernel", faulty(before, after, tmp_path))
        try:
            wrong = job()
        except Fault:
            return
    assert (wrong - right).abs().max() > 0.01 / 255
