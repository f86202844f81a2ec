"""The warp, the plans and the draws need torch, triton and numpy, and nothing else that onewarp depends on."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import onewarp

WARP = Path(onewarp.__file__).parent / "transforms" / "warp"

# No distribution can be imported but these three and what they need themselves.
ALONE = """
import importlib.metadata as metadata
import re
import sys

def needed(name, found):
    name = re.sub("[-_.]+", "-", name).lower()
    if name not in found:
        try:
            words = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            return found
        found.add(name)
        for word in words:
            if "extra ==" not in word:
                needed(re.match("[A-Za-z0-9._-]+", word).group(), found)
    return found

here = set().union(*(needed(name, set()) for name in ("torch", "triton", "numpy")))
refused = {
    module
    for module, names in metadata.packages_distributions().items()
    if module != "onewarp" and not here & {re.sub("[-_.]+", "-", name).lower() for name in names}
}
assert {"PIL", "plum", "kornia", "simplejpeg", "pyarrow", "click"} <= refused

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"{name} is refused here", name=name)

sys.meta_path.insert(0, Refusal())
"""

PLANNED_AND_WARPED = """
import torch

from onewarp.transforms.augment import aug_transforms, fuse
from onewarp.transforms.colour import Hue, Normalize, RandomErasing, Solarize
from onewarp.transforms.draw import draw
from onewarp.transforms.geometry import Resize
from onewarp.transforms.policies import rand_augment
from onewarp.transforms.types import TensorImage
from onewarp.transforms.warp import OutSpec, backends, validity, warp, warp_mask

images = torch.randint(0, 256, (3, 40, 50, 3), dtype=torch.uint8)
for transforms in (
    [Resize(48), *aug_transforms(size=32), Hue(), Solarize(), RandomErasing(), Normalize([0.5] * 3, [0.2] * 3)],
    [Resize(32), *rand_augment()],
):
    fused = fuse(transforms)
    for split in ("train", "valid"):
        assert fused(images, split=split, keys=["a", "b", "c"], epoch=1).shape == (3, 3, 32, 32)
    fused.plan([(40, 50)], ["a"], 1, 2, "train")
assert len(draw(0, 0, ["a"], "Rotate", 4)) == 1
same = torch.eye(3)[None].repeat(3, 1, 1)
for name in ("cpu", "reference"):
    if backends()[name].available:
        warp(images, same, None, torch.eye(3, 4).repeat(3, 1, 1), OutSpec((8, 8)), backend=name)
warp_mask(images[..., 0], same, OutSpec((8, 8)))
validity(images, same, OutSpec((8, 8)))
"""

DRAWN_BY_TRITON = """
import torch

from onewarp.transforms.augment import fuse
from onewarp.transforms.colour import Brightness
from onewarp.transforms.geometry import Resize, Rotate
from onewarp.transforms.gpu_planner import GpuPlanner

augment = GpuPlanner.of(fuse([Resize(8), Rotate(), Brightness()]), "cpu", "train")
assert augment(torch.zeros(2, 9, 9, 3, dtype=torch.uint8), keys=["a", "b"]).shape == (2, 3, 8, 8)
"""


def run(code, **environment):
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_warp_imports_nothing_of_ours_but_itself_and_the_errors():
    for path in WARP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level > 1:
                assert (node.level, node.module) == (3, "errors"), f"{path.name}, line {node.lineno}"


def test_importing_the_warp_loads_nothing_that_it_does_not_need():
    code = "import sys, onewarp.transforms.warp as w; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    loaded = set(run(code).split())
    assert not loaded & {"plum", "PIL", "simplejpeg", "kornia", "pyarrow", "click", "dask"}


def test_plans_draws_and_warps_run_with_torch_triton_and_numpy_alone():
    run(ALONE + PLANNED_AND_WARPED)


def test_triton_draws_and_warps_with_torch_triton_and_numpy_alone():
    """In Triton's interpreter, which needs no GPU."""
    run(ALONE + DRAWN_BY_TRITON, TRITON_INTERPRET="1")


def test_what_measures_a_gpu_says_which_parts_need_more():
    code = "from onewarp.benchmarks import gpu, on_gpu; print(on_gpu.lack('warp'), on_gpu.lack('tests'), sep='\\n')"
    warp, tests = run(ALONE + code).splitlines()
    assert warp == "None"
    assert "not installed" in tests or "refused" in tests
