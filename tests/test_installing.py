"""From the sources to an installed package: without a compiler, with one, and beside a checkout."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

import onewarp

ROOT = Path(onewarp.__file__).parent
NO_COMPILER = {"CC": "/nonexistent", "CXX": "/nonexistent"}
BUILD = "import sys, setuptools.build_meta as b; print(b.build_sdist(sys.argv[1]))"


def call(*words, cwd, code=0, **environment):
    """What a command says on stdout and stderr; it must end with `code`."""
    calm = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(w) for w in words], cwd=cwd, env=calm | environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    pytest.importorskip("setuptools", minversion="77")
    checkout = tmp_path_factory.mktemp("sources") / "onewarp"
    kept = shutil.ignore_patterns(".*", "__pycache__", "*.so", "*.egg-info", "build", "dist", "demo", "shared")
    shutil.copytree(ROOT, checkout, ignore=kept)
    call(sys.executable, "-c", BUILD, "dist", cwd=checkout)
    (archive,) = (checkout / "dist").iterdir()
    return archive


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """An environment without onewarp that finds what onewarp needs where this one has it, and a cache for pip."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "env", symlinks=True, with_pip=False)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    beside = [path for path in sys.path if path.endswith("site-packages")]
    (site / "beside.pth").write_text("\n".join(beside))
    return folder


def pip(fresh, *words, **environment):
    settings = {"PIP_CACHE_DIR": str(fresh / "cache"), "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    python = fresh / "env" / "bin" / "python"
    return call(sys.executable, "-m", "pip", "--python", python, *words, cwd=fresh, **settings, **environment)


def test_the_sources_are_whole(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"docs/chapter.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "constraints.txt", "setup.py"} <= names
    stubs = [ROOT, *(ROOT / name for name in ("pipeline", "trainers", "trainers/adapters", "transforms"))]
    assert {str((folder / "__init__.pyi").relative_to(ROOT)) for folder in stubs} <= names
    assert {f"transforms/warp/{path.name}" for path in (ROOT / "transforms/warp").glob("cpu*.*")} <= names
    for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert link in names


def test_without_a_compiler_the_wheel_is_pure_and_the_advice_of_doctor_brings_the_kernel(sdist, fresh):
    pip(fresh, "install", "--no-deps", sdist, **NO_COMPILER)
    (wheel,) = (fresh / "cache").rglob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    doctor = fresh / "env" / "bin" / "onewarp", "doctor"
    told = call(*doctor, cwd=fresh, code=1)
    (line,) = (line for line in told.splitlines() if line.startswith("BAD"))
    assert "warp cpu" in line
    if shutil.which("g++") is None:
        pytest.skip("needs a C++ compiler: g++ is not installed")
    advice = shlex.split(line.partition("then: pip ")[2])
    assert str(sdist) in advice
    quick = fresh / "quick"  # the kernel is built here, not timed
    quick.write_text('#!/bin/sh\nexec g++ "$@" -O0\n')
    quick.chmod(0o755)
    pip(fresh, *advice, CC=str(quick), CXX=str(quick))
    assert re.search(r"^ok  warp cpu", call(*doctor, cwd=fresh), re.MULTILINE)
    (metadata,) = (fresh / "env").glob("lib/python*/site-packages/onewarp-*.dist-info/WHEEL")
    assert re.search(r"^Tag: cp311-abi3-", metadata.read_text(), re.MULTILINE)


def test_a_checkout_that_hides_the_installed_package_is_named(fresh, sdist, tmp_path):
    (site,) = (fresh / "env").glob("lib/python*/site-packages")
    assert (site / "onewarp").is_dir()
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (checkout,) = tmp_path.iterdir()
    checkout = checkout.rename(tmp_path / "onewarp")
    python = fresh / "env" / "bin" / "python"
    told = call(python, "-c", "import onewarp", cwd=tmp_path)
    assert f"imported from the checkout {checkout}, which hides the one that is installed in {site / 'onewarp'}" in told
    assert call(python, "-c", "import onewarp", cwd=fresh) == ""
