"""The pages' examples pass a strict type checker, each page as one module; what they do not define is declared."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import onewarp

ROOT = Path(onewarp.__file__).parent
PAGES = {
    str(path.relative_to(ROOT).with_suffix("")).replace("/", "_"): path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
DECLARED = {
    "docs_chapter": "from pathlib import Path\nPETS: Path",
    "docs_training": "from torch import Tensor, nn\nmodel: nn.Module\ndecoded: Tensor\nmatrix: Tensor\n"
    "sizes: list[tuple[int, int]]",
    "docs_transforms": "import numpy as np\nfrom numpy.typing import NDArray\nfrom torch import Tensor\n"
    "from onewarp.transforms import TensorMask, TensorPoint\n"
    "mask: TensorMask\npoints: TensorPoint\nsizes: NDArray[np.int64]\nkeys: list[str]\nimages: Tensor\nbatch: Tensor",
}
"""What a page's examples use and do not define."""

SETTINGS = """
[mypy]
strict = true
disallow_subclassing_any = false
disallow_untyped_calls = false
ignore_missing_imports = true
[mypy-onewarp.*]
ignore_errors = true
[mypy-fastai.*,lightning.*,transformers.*,accelerate.*,torchvision.*,albumentations.*]
follow_imports = skip
"""

TYPES = """
import os
from pathlib import Path
from typing import assert_type

import onewarp as ow
from torch import Tensor

for x, y in ow.Loader("a.cache"):
    assert_type((x, y), tuple[Tensor, Tensor])
for x, y, keys in ow.Loader[Tensor, Tensor, list[str]]("a.cache", keys=True):
    assert_type(keys, list[str])
assert_type(ow.Loader("a.cache").peek().to("cpu"), ow.Batch[Tensor, Tensor])
dls = ow.DataLoaders.of_cache("a.cache")
assert_type(ow.vision_learner(dls, "resnet18").dls, ow.DataLoaders)
learner: ow.Learner = ow.vision_learner(dls, "resnet18")
assert_type(ow.decode("a.jpg") * 2, ow.TensorImage)

def halves(items: list[Path]) -> tuple[list[int], list[int]]:
    return [0], [1]

blocks = (ow.ImageBlock, ow.CategoryBlock)
block = ow.DataBlock(blocks, ow.get_image_files, halves, get_y=ow.parent_label)
assert_type(block, ow.DataBlock[str | os.PathLike[str]])
assert_type(block.dataloaders("photos", bs=4, threads=2, tail="drop", device="cpu"), ow.DataLoaders)
ow.DataBlock(blocks, splitter=ow.RandomSplitter()).dataloaders(["a.jpg", Path("b.jpg")])
ow.DataBlock(blocks, get_items=lambda count: list(range(count))).dataloaders(7)
dls.train.with_settings(batch_size=3, augment=False)
ow.presize("photos", "a.cache", 64, encoding="png", label=lambda path: path.name)

def one_block() -> ow.DataBlock:
    return block
"""

WRONG = {
    "import onewarp as ow; ow.Rezize": "attr-defined",
    "import onewarp as ow; ow.Resize(sise=3)": "call-arg",
    "import onewarp as ow; from torch import nn; ow.Learner([1, 2], nn.ReLU())": "type-var",
    "import onewarp as ow\nfor x, y, keys in ow.Loader('a.cache'): pass": "misc",
    "import onewarp as ow; ow.Loader(7)": "arg-type",
    "import onewarp as ow; ow.Loader('a.cache', tail='drpo')": "arg-type",
    "import onewarp as ow; ow.Loader('a.cache').with_settings(batchsize=3)": "call-arg",
    "import onewarp as ow; ow.DataBlock(splitter='oops')": "arg-type",
    "import onewarp as ow; ow.DataBlock(splitter=ow.RandomSplitter)": "arg-type",
    "import onewarp as ow; ow.DataBlock(get_y=17)": "arg-type",
    "import onewarp as ow; ow.DataBlock(get_items=ow.get_image_files).dataloaders(7)": "arg-type",
    "import onewarp as ow; ow.DataBlock().dataloaders('photos', thread=3)": "call-arg",
    "import onewarp as ow; ow.DataLoaders.of_cache('a.cache', bath=4)": "call-arg",
    "import onewarp as ow; ow.presize(7, 'a.cache')": "arg-type",
    "import onewarp as ow; ow.presize('photos', 'a.cache', encoding='gif')": "arg-type",
}
"""Programs that the checker must refuse, and by which of its rules: it sees the package's types."""


@pytest.fixture(scope="module")
def findings(tmp_path_factory, request):
    """What mypy says of all pages and programs in one run: the lines by module."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("types")
    (folder / "above").mkdir()
    (folder / "above" / "onewarp").symlink_to(ROOT)
    (folder / "mypy.ini").write_text(SETTINGS)
    programs = {name: "\n".join([DECLARED.get(name, ""), *examples(path)]) for name, path in PAGES.items()}
    programs |= {"types_of_ours": TYPES} | {f"wrong_{i}": text for i, text in enumerate(WRONG)}
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(text)
    cache = request.config.cache.mkdir("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", cache, "--no-error-summary", *(f"{n}.py" for n in programs)],
        cwd=folder,
        env=os.environ | {"MYPYPATH": str(folder / "above")},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stderr
    lines = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert all(line.split(".py")[0] in programs for line in lines), done.stdout
    return {name: [line for line in lines if line.startswith(f"{name}.py")] for name in programs}


def examples(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", [name for name, path in PAGES.items() if examples(path)])
def test_a_page_passes(name, findings):
    assert findings[name] == []


def test_our_types_are_what_they_should_be(findings):
    assert findings["types_of_ours"] == []


@pytest.mark.parametrize("number", range(len(WRONG)), ids=list(WRONG.values()))
def test_what_is_wrong_is_refused(number, findings):
    assert any(f"[{list(WRONG.values())[number]}]" in line for line in findings[f"wrong_{number}"])
