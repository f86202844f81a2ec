"""The C++ headers: each can be opened, and compiled, alone; all of them are in the build's list."""

import os
import re
import shutil
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import onewarp
from onewarp.transforms.warp import buffers, checks, cpu, footprint

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


def constant(header, name):
    """The value of a constant in a header, an expression of numbers."""
    (text,) = re.findall(rf"\b{name} = ([-+*/<\d. e]+)[;,]", (FOLDER / header).read_text())
    return eval(text)


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("cpu_types.h", "kTile", footprint.TILE),
        ("cpu_types.h", "kOneSample", footprint.ONE_SAMPLE),
        ("cpu_types.h", "kSkew", footprint.SKEW),
        ("cpu_types.h", "kSubpixel", footprint.SUBPIXEL),
        ("cpu_types.h", "kMostSubpixels", footprint.MOST),
        ("cpu_types.h", "kCopyTolerance", footprint.WHOLE),
        ("cpu_types.h", "kBlurAtOne", footprint.BLUR_AT_ONE),
        ("cpu_types.h", "kBlurGain", footprint.BLUR_GAIN),
        ("cpu_types.h", "kCurveAtOne", footprint.CURVE_AT_ONE),
        ("cpu_types.h", "kCurveLoss", footprint.CURVE_LOSS),
        ("cpu_warp.h", "kLeastDeterminant", checks.LEAST_DETERMINANT),
        ("cpu_warp.h", "kCacheBytes", buffers._CACHED),
    ],
)
def test_a_constant_has_the_value_that_it_has_in_python(header, name, value):
    assert constant(header, name) == value


def enumeration(header, name):
    """The members of an enumeration in a header, and their numbers."""
    (text,) = re.findall(rf"enum class {name} : int {{(.*?)}};", (FOLDER / header).read_text(), re.DOTALL)
    return {member: int(number) for member, number in re.findall(r"(\w+) = (\d+)", text)}


def test_an_enumeration_has_the_numbers_that_it_has_in_python():
    assert enumeration("cpu_types.h", "Number") == {str(d).removeprefix("torch."): n for d, n in cpu.NUMBERS.items()}
    labels = {str(d).removeprefix("torch."): n for d, n in cpu.LABELS.items() if d.is_signed or d == torch.uint8}
    assert enumeration("cpu_masks.h", "Label") == labels
    assert enumeration("cpu_types.h", "Padding") == {
        "colour" if name == "zeros" else name: n for name, n in cpu.PADDINGS.items()
    }
