"""The documentation's commands and links are there."""

import ast
import re
from pathlib import Path

import pytest

import onewarp
from onewarp.cli import COMMANDS

ROOT = Path(onewarp.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)  # code has no links
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_exist(page):
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for command in re.findall(r"^onewarp (\w+)", block, re.MULTILINE):
            assert command in COMMANDS


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_imports_in_examples_work(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for node in ast.parse(block, page.name).body:
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("onewarp"):
                exec(compile(ast.Module([node], []), page.name, "exec"), {})


def test_nothing_promises_a_release_that_there_is_not():
    """The package is on no index: what is written leads to a checkout."""
    promise = re.compile(r"pip install (-\S+ )*['\"]?onewarp")
    folders = [ROOT / name for name in ("transforms", "pipeline", "trainers", "benchmarks")]
    for path in [*PAGES, *ROOT.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.[pm][yd]"))]:
        assert not promise.search(path.read_text(encoding="utf-8")), path
