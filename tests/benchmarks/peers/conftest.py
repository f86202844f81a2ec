"""So many drawn photos in two folders that loaders give a whole batch of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.pipeline import get_image_files


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """130 photos of 8 pixels, each of one colour: red is its number, and green its class."""
    from onewarp.benchmarks.peers.loading import Photos

    folder = tmp_path_factory.mktemp("photos")
    rows = np.zeros((130, 8, 8, 3), np.uint8)
    for number in range(130):
        rows[number] = number, number % 2, 7
        path = folder / "ab"[number % 2] / f"{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rows[number]).save(path)
    paths = sorted(get_image_files(folder), key=lambda path: path.stem)
    return Photos(folder, paths, [number % 2 for number in range(130)], rows)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Peers run on one thread, as most of them set by themselves; afterwards there are as many as before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
