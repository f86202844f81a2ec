"""Small pictures in folders, and a memory of hashes that is the test's own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def own_memory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of files elsewhere on this machine says nothing here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("xdg")))


@pytest.fixture
def draw() -> Callable[..., None]:
    """draw(path, seed, size): a smooth picture as a file."""

    def write(path: Path, seed: int = 0, size: tuple[int, int] = (24, 32), **options: object) -> None:
        height, width = size
        coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path, **options)

    return write


@pytest.fixture
def pictures(tmp_path: Path, draw: Callable[..., None]) -> Path:
    """A folder of 12 pictures, `cat/0.png` … `dog/11.png`, no two of them alike, of three sizes."""
    for i in range(12):
        draw(tmp_path / "pictures" / ("cat", "dog")[i % 2] / f"{i}.png", i, (24 + 4 * (i % 3), 32))
    return tmp_path / "pictures"


@pytest.fixture
def mounted() -> Callable[[str, str], str]:
    """mounted(command, program): what a Python program prints behind a mount on /mnt, in a name space of its own."""

    def run(command: str, program: str) -> str:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", f'{command} && "{sys.executable}" -c "$PROGRAM"'],
            env={**os.environ, "PROGRAM": program},
            capture_output=True,
            text=True,
        )
        if "unshare" in done.stderr or "mount" in done.stderr:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def files_in() -> Callable[[Path], dict[str, bytes]]:
    """files_in(folder): the bytes of each file in a folder by its name."""
    return lambda folder: {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
