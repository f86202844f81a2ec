"""One module loads the extension; all who use it ask there, and have another way without it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import onewarp
from onewarp.pipeline.cache.mapping import MappedFiles
from onewarp.pipeline.cache.recipe import decoder_build
from onewarp.transforms import Brightness, Flip, Resize, Rotate, fuse
from onewarp.transforms.decoding.picture import Picture
from onewarp.transforms.decoding.resizing import Sizing, resize
from onewarp.transforms.draw import draw
from onewarp.transforms.warp import OutSpec, backends, native, validity, warp, warp_mask
from onewarp.transforms.warp.buffers import copy_all

ROOT = Path(onewarp.__file__).parent
FOLDERS = ("transforms", "pipeline", "trainers", "benchmarks")
WITHOUT = """
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.endswith("._cpu"):
            raise ImportError("no compiler was found")

sys.meta_path.insert(0, Refusal())
from onewarp.transforms.warp import backends
print(backends()["cpu"].available, backends()["cpu"].detail)
"""

if native.extension is None:
    if os.environ.get("CI"):
        pytest.fail(f"CI must have the C++ extension: {native.absence}")
    pytest.skip(native.absence, allow_module_level=True)

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
TURN = torch.tensor([[[0.8, -0.3, 9.0], [0.3, 0.8, -2.0], [0, 0, 1.0]]])


def numbers():
    return draw(1, 2, ["a", "b"], "Rotate", 5).values


def plan():
    fused = fuse([Resize(16), Flip(), Rotate(p=1.0), Brightness(p=1.0)])
    decided = fused.plan(np.array([(30, 40), (33, 20)]), ["a", "b"], 1, 2, "train")
    (step,) = decided.steps
    return np.concatenate([step.matrix.ravel(), *(step.colour[stage].ravel() for stage in sorted(step.colour))])


def enlarged():
    return resize(Picture(PIXELS, PIXELS.shape[:2], 6), Sizing(70, enlarge=True))[0]


def warped():
    images = torch.from_numpy(PIXELS)[None]
    return warp(images, TURN, None, torch.eye(3, 4)[None], OutSpec((16, 20), dtype=torch.uint8)).numpy()


def labels():
    return warp_mask(torch.from_numpy(PIXELS[None, :, :, 0]), TURN, OutSpec((16, 20), padding="zeros"), 3).numpy()


def shown():
    return validity(torch.from_numpy(PIXELS)[None], TURN, OutSpec((16, 20))).numpy()


def copied():
    sources = [np.arange(9 << 20, dtype=np.uint8), np.full(9 << 20, 7, np.uint8)]  # more than caches hold
    targets = [np.zeros_like(source) for source in sources]
    copy_all(targets, sources)
    return np.concatenate(targets)


def mapped():
    files = MappedFiles([Path(__file__)])
    files.confirm()
    return files.get(0, 0, Path(__file__).stat().st_size).copy()


@pytest.mark.parametrize(
    ("use", "tolerance"),
    [(numbers, 0), (plan, 1e-13), (enlarged, 1), (warped, 1), (labels, 0), (shown, 0), (copied, 0), (mapped, 0)],
)
def test_all_who_use_the_extension_have_another_way_without_it(monkeypatch, use, tolerance):
    expected = use()
    assert expected.any()
    monkeypatch.setattr(native, "extension", None)
    found = use()
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert np.abs(found.astype(float) - expected.astype(float)).max() <= tolerance


def test_what_decodes_names_who_enlarges(monkeypatch):
    assert decoder_build()["enlarging"] == "onewarp"
    monkeypatch.setattr(native, "extension", None)
    assert decoder_build()["enlarging"] == "torch"


def test_an_extension_that_cannot_be_imported_is_said_with_the_reason():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.stdout == "False the C++ extension was not built (no compiler was found)\n", done.stderr
    assert backends()["cpu"].available
    assert native.absence == ""


def test_an_extension_of_other_sources_is_not_used():
    stale = "import sys, types; sys.modules['onewarp.transforms.warp._cpu'] = types.ModuleType('_cpu')\n"
    code = stale + WITHOUT.partition("sys.meta_path.insert(0, Refusal())\n")[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    reason = "the C++ extension was built from other sources: install onewarp again"
    assert done.stdout == f"False {reason}\n", done.stderr


def test_one_file_imports_the_extension():
    importers = {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and "_cpu" in [node.module, *(alias.name for alias in node.names)]
    }
    assert importers == {"transforms/warp/native.py"}
