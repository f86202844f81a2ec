"""The public names are there, and loaded when they are asked for."""

import ast
import importlib
import inspect
import json
import pickle
import pkgutil
import random
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import onewarp as ow
from onewarp.pipeline.composition.spec import registry

ROOT = Path(ow.__file__).parent
FLOORS = ("transforms", "pipeline", "trainers", "benchmarks")
PACKAGES = ["onewarp", "onewarp.pipeline", "onewarp.trainers", "onewarp.trainers.adapters", "onewarp.transforms"]
"""The packages that have public names, and load each when it is asked for."""
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "docs").glob("*.py"))]


def fresh(code):
    """What a program prints in a process of its own, read as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def submodules(package):
    return {m.name for m in pkgutil.iter_modules(importlib.import_module(package).__path__)}


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_what_is_public(package):
    """Both ways: each name of `__all__` is there, and what is there beside the modules is in `__all__`."""
    module = importlib.import_module(package)
    assert module.__all__ == sorted(set(module.__all__)) == dir(module)
    values = {name: getattr(module, name) for name in module.__all__}
    for name, value in values.items():
        if isinstance(value, ModuleType):
            assert value.__name__ == f"{package}.{name}"
        elif inspect.isclass(value) or inspect.isfunction(value):
            assert value.__module__.startswith("onewarp.")
    there = {name for name, value in vars(module).items() if name[0] != "_" and not isinstance(value, ModuleType)}
    assert there <= {*module.__all__}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_name_is_hidden_by_a_submodule(package):
    """Importing a submodule sets it on its package: a function of the same name would come and go with the order."""
    module = importlib.import_module(package)
    taken = {
        name for name in set(module.__all__) & submodules(package) if not isinstance(getattr(module, name), ModuleType)
    }
    assert taken == set()


def test_names_are_the_same_in_whichever_order_modules_are_imported():
    names = [f"onewarp.{p}.{name}" for p in ("pipeline", "transforms") for name in sorted(submodules(f"onewarp.{p}"))]
    random.Random(17).shuffle(names)
    code = f"""
import importlib, json
for name in {names}:
    importlib.import_module(name)
import onewarp as ow
print(json.dumps([repr((p.__name__, n, getattr(p, n))) for p in (ow, ow.pipeline, ow.transforms) for n in p.__all__]))
"""
    packages = (ow, ow.pipeline, ow.transforms)
    plain = re.compile(r" at 0x\w+")
    expected = [repr((p.__name__, n, getattr(p, n))) for p in packages for n in p.__all__]
    assert [plain.sub("", text) for text in fresh(code)] == [plain.sub("", text) for text in expected]


def test_classes_and_functions_go_through_pickle():
    for package in map(importlib.import_module, PACKAGES):
        for name in package.__all__:
            value = getattr(package, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert pickle.loads(pickle.dumps(value)) is value


def test_a_pipeline_is_read_where_nothing_was_imported_yet(tmp_path):
    """JSON names things that register where they are defined: what reads it loads them."""
    block = ow.DataBlock(
        blocks=(ow.ImageBlock, ow.CategoryBlock),
        get_items=ow.get_image_files,
        splitter=ow.RandomSplitter(seed=1),
        get_y=ow.using_attr(ow.RegexLabeller("(.+)_"), "name"),
        item_tfms=ow.Resize(64),
        batch_tfms=[*ow.aug_transforms(size=32), ow.MixUp()],
    )
    (tmp_path / "block.json").write_text(block.to_json())
    read = "import json, onewarp as ow; print(json.dumps(ow.DataBlock.from_json(open({!r}).read()).to_json()))"
    assert fresh(read.format(str(tmp_path / "block.json"))) == block.to_json()


def test_each_name_that_json_may_hold_is_found_though_nothing_was_loaded():
    public = {name: getattr(package, name) for package in (ow.pipeline, ow.transforms) for name in package.__all__}
    names = [name for name, value in public.items() if registry().get(name) is value]
    assert {"ImageBlock", "get_image_files", "RandomSplitter", "Pipeline", "Flip", "Fused"} <= set(names)
    before, after = fresh(f"""
import json
from onewarp.pipeline.composition import spec
before = [name for name in {names} if name in spec.registry()]
print(json.dumps([before, [spec.find(name, spec.registry, '').__name__ for name in {names}]]))
""")
    assert len(before) < len(names) == len(after)
    assert after == names


def test_the_version_is_that_of_the_package():
    import tomllib

    assert ow.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pages_use_exported_names(page):
    """Those of `benchmarks` apart, which a page shows as programs."""
    text = page.read_text(encoding="utf-8")
    blocks = [text] if page.suffix == ".py" else re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for node in (node for block in blocks for node in ast.walk(ast.parse(block))):
        if isinstance(node, ast.ImportFrom) and re.match(r"onewarp(?!\.benchmarks)", str(node.module)):
            exported = importlib.import_module(str(node.module)).__all__
            assert not {alias.name for alias in node.names} - set(exported), f"{page.name}: {node.module}"


def test_the_packages_in_the_configuration_are_the_folders():
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {"onewarp"}
    for floor in ("transforms", "pipeline", "trainers", "benchmarks"):
        for init in (ROOT / floor).rglob("__init__.py"):
            found.add(".".join(("onewarp", *init.parent.relative_to(ROOT).parts)))
    assert set(listed) == found


def test_the_root_is_clean():
    assert sorted(p.name for p in ROOT.glob("*.py")) == [
        "__init__.py",
        "__main__.py",
        "cli.py",
        "errors.py",
        "lazy.py",
        "setup.py",
    ]


def test_nothing_is_importable_at_the_top_level_by_accident(tmp_path):
    code = "import importlib.util as u; print([n for n in ('pipeline','transforms','trainers') if u.find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
