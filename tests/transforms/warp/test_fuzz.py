"""The extension in C++ under AddressSanitizer, on random requests: a count of them, however busy the machine is."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import onewarp.transforms.warp

HERE = Path(__file__).parent
SOURCES = Path(onewarp.transforms.warp.__file__).parent
COMPILER = shutil.which("g++")

LEAST = {"warp": (100, 50), "masks": (600, 80), "draw": (500, 150), "philox": (500, 60), "copy": (800, 10)}
"""How many requests of each function must have been served, and how many refused, for the test to have seen enough."""

pytestmark = pytest.mark.skipif(COMPILER is None and not os.environ.get("CI"), reason="needs g++")


def test_random_requests_touch_nothing_outside_their_buffers(tmp_path):
    program = tmp_path / "fuzz"
    flags = ["-std=c++17", "-O0", "-g", "-pthread", "-w", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = [str(COMPILER), *flags, f"-I{SOURCES}", str(HERE / "fuzz.cpp"), "-o", str(program)]
    subprocess.run(command, check=True)
    done = subprocess.run([program, "120", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    served = {name: (int(served), int(refused)) for name, served, refused in map(str.split, done.stdout.splitlines())}
    for name, least in LEAST.items():
        assert all(count >= few for count, few in zip(served[name], least, strict=True)), f"{name}: {served[name]}"
