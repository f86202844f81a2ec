"""Small pictures in folders, and a memory of hashes that is the test's own."""

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
