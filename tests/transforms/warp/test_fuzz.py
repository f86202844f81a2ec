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

pytestmark = pytest.mark.skipif(COMPILER is None and not os.environ.get("CI"), reason="needs g++")


def test_random_requests_touch_nothing_outside_their_buffers(tmp_path):
    program = tmp_path / "fuzz"
    flags = ["-std=c++17", "-O0", "-g", "-pthread", "-w", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = [str(COMPILER), *flags, f"-I{SOURCES}", str(HERE / "fuzz.cpp"), "-o", str(program)]
    subprocess.run(command, check=True)
    done = subprocess.run([program, "250", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    warps, refused_warps, drawings, refused_drawings = (int(word) for word in done.stdout.split()[1::2])
    assert warps > 200
    assert refused_warps > 20
    assert drawings > 3000
    assert refused_drawings > 500
