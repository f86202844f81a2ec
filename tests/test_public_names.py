"""The public names are there, sorted, and nothing imports upward."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import onewarp.pipeline
import onewarp.trainers
import onewarp.transforms

ROOT = Path(onewarp.__file__).parent
FLOORS = {"transforms": 1, "pipeline": 2, "trainers": 3, "benchmarks": 4, "cli": 4}


@pytest.mark.parametrize("package", [onewarp.transforms, onewarp.pipeline, onewarp.trainers])
def test_all_is_sorted_and_there(package):
    assert package.__all__ == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


def modules():
    return [p for floor in FLOORS for p in (ROOT / floor).rglob("*.py")] + [ROOT / "cli.py"]


def imports(path):
    """What a file imports of ours, as module names beside the root."""
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (".".join((*base, name)) for name in names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            named = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(str(n).split(".")[0] in ("onewarp", *FLOORS) for n in named), f"{path}: import relatively"


def test_no_import_runs_upward():
    for path in modules():
        mine = FLOORS[path.relative_to(ROOT).parts[0].removesuffix(".py")]
        for name in imports(path):
            assert FLOORS.get(name.split(".")[0], 0) <= mine, f"{path} imports {name}"


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
        "setup.py",
    ]


def test_nothing_is_importable_at_the_top_level_by_accident(tmp_path):
    code = "import importlib.util as u; print([n for n in ('pipeline','transforms','trainers') if u.find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
