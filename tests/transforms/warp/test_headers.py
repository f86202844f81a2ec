"""The C++ headers: each can be opened, and compiled, alone; all of them are in the build's list."""

import os
import shutil
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import onewarp

ROOT = Path(onewarp.__file__).parent
FOLDER = ROOT / "transforms" / "warp"
HEADERS = sorted(path.name for path in FOLDER.glob("*.h"))
COMPILER = shutil.which("g++")


def test_the_build_depends_on_every_header():
    (extension,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
    assert extension["depends"] == [f"transforms/warp/{name}" for name in HEADERS]


def test_a_header_says_by_its_name_how_it_is_included():
    """Once, and says so; or, with `-inl`, once for each instruction set, by a guard of its name."""
    for name in HEADERS:
        text = (FOLDER / name).read_text()
        guard = "ONEWARP_" + name.removeprefix("cpu_").replace("-", "_").replace(".", "_").upper()
        assert ("#pragma once" in text) != (f"#if defined({guard}) == defined(ONEWARP_TOGGLE)" in text), name
        assert ("#pragma once" in text) == (not name.endswith("-inl.h")), name


@pytest.mark.skipif(COMPILER is None and not os.environ.get("CI"), reason="needs g++")
def test_each_header_compiles_alone():
    command = [str(COMPILER), "-std=c++17", "-fsyntax-only", "-Wall", "-Wno-pragma-once-outside-header"]

    def says(name):
        words = [*command, "-include", str(FOLDER / name), "-x", "c++", os.devnull]
        return subprocess.run(words, capture_output=True, text=True).stderr

    with ThreadPoolExecutor() as pool:
        for name, text in zip(HEADERS, pool.map(says, HEADERS), strict=True):
            assert text == "", name
