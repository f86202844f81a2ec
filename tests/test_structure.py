"""The house as its imports tell it: floors, and no circle between files or between folders.

Imports inside functions count too. The `__init__.py` of a folder is its face: it may import from all of it, and is a
place of its own here.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import onewarp

ROOT = Path(onewarp.__path__[0])
FLOORS = ("transforms", "pipeline", "trainers", "benchmarks")
PIPELINE = ("composition", "dataset", "order", "cache", "presizing", "loading", "datablock", "service", "commands")
"""The floors within `pipeline/`, from the bottom."""


def files() -> dict[str, Path]:
    """Every file of the package by its dotted name; a face ends in `__init__`."""
    paths = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    paths += [ROOT / name for name in ("cli.py", "errors.py", "lazy.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


FILES = files()


def imported(name: str) -> Iterator[str]:
    """The files that a file imports."""
    folder = name.split(".")[:-1]
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] in ("onewarp", *FLOORS) for alias in node.names), name
        if not isinstance(node, ast.ImportFrom) or name.startswith("benchmarks.peers.one_version"):
            continue
        assert node.level or (node.module or "").split(".")[0] not in ("onewarp", *FLOORS), f"{name} imports absolutely"
        if node.level:
            base = folder[: len(folder) - (node.level - 1)] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                if alias.name == "_cpu":  # compiled
                    continue
                yield next(
                    file
                    for file in (".".join([*base, alias.name]), ".".join(base), ".".join([*base, "__init__"]))
                    if file in FILES or not base
                )


GRAPH = {name: {file for file in imported(name) if file in FILES and file != name} for name in FILES}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Ways from a place back to it, one for each set of places that reach one another."""
    found: list[list[str]] = []
    done: set[str] = set()

    def follow(place: str, way: list[str]) -> None:
        if place in way:
            found.append([*way[way.index(place) :], place])
        elif place not in done:
            for other in sorted(graph[place]):
                follow(other, [*way, place])
            done.add(place)

    for place in sorted(graph):
        follow(place, [])
    return found


def folder_of(name: str) -> str:
    """The folder of a file; a face is a place of its own."""
    return name if name.endswith(".__init__") else name.rpartition(".")[0]


def test_no_two_files_import_each_other_by_whatever_way():
    assert circles(GRAPH) == []


def test_no_two_folders_import_each_other_by_whatever_way():
    folders: dict[str, set[str]] = {folder_of(name): set() for name in FILES}
    for name, others in GRAPH.items():
        folders[folder_of(name)] |= {folder_of(other) for other in others} - {folder_of(name)}
    assert circles(folders) == []


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"]]


@pytest.mark.parametrize("floors", [FLOORS, tuple(f"pipeline.{name}" for name in PIPELINE)], ids=["house", "pipeline"])
def test_no_import_runs_upward(floors):
    def floor(name: str) -> int:
        return next((i for i, prefix in enumerate(floors) if name.startswith(f"{prefix}.")), -1)

    for name, others in GRAPH.items():
        for other in others:
            assert floor(name) == -1 or floor(other) <= floor(name), f"{name} imports {other}"


def test_the_warp_imports_nothing_above_it():
    for name, others in GRAPH.items():
        if name.startswith("transforms.warp."):
            assert all(other == "errors" or other.startswith("transforms.warp.") for other in others), name


def test_the_folders_are_those_of_the_page():
    found = {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    assert found == set(PIPELINE)
    page = (ROOT / "docs" / "architecture.md").read_text()
    for path in ROOT.glob("*/**/__init__.py"):
        folder = path.parent.relative_to(ROOT).as_posix()
        if folder.split("/")[0] in FLOORS:
            assert f"`{folder}/`" in page, f"docs/architecture.md says nothing of {folder}/"
    for path in re.findall(r"`(\w+/[\w/]*(?:/|\.(?:py|cpp|h|md|toml|json)))`", page):
        assert (ROOT / path).exists(), f"docs/architecture.md names {path}, which is not there"


ELSEWHERE = {
    "transforms/warp/gpu_draws.py": "tests/transforms/warp/triton/test_draws.py runs it in a process of its own",
    "transforms/warp/gpu_kernel.py": "tests/transforms/warp/triton/test_warp.py and test_ways.py do",
    "transforms/warp/gpu_tiles.py": "tests/transforms/warp/triton/test_tiles.py does",
}
"""Files without a test file of their name, and why."""


def test_every_file_has_a_test_file_of_its_name():
    tests = ROOT / "tests"
    missing = set()
    for path in FILES.values():
        place = path.relative_to(ROOT)
        name = f"test_{path.stem.lstrip('_')}.py"
        if path.stem not in ("__init__", "__main__") and not (tests / place.parent / name).exists():
            missing.add(place.as_posix())
    assert missing == set(ELSEWHERE)
    assert len(ELSEWHERE) <= 15
