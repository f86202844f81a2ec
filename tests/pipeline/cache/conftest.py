"""Files of given contents, as the parts of a cache."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


@pytest.fixture
def contents() -> list[bytes]:
    """What stands in files of several lengths, an empty one among them."""
    return [os.urandom(n) for n in (10, 4096, 0, 10_000, 1)]


@pytest.fixture
def write_files(tmp_path: Path) -> Callable[[Sequence[bytes]], list[Path]]:
    """write_files(contents): the paths `0.bin`, `1.bin`, … of files with these contents."""

    def write(contents: Sequence[bytes]) -> list[Path]:
        paths = [tmp_path / f"{i}.bin" for i in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        return paths

    return write
