"""Real photos as squares in memory: what every contender of a benchmark is given."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...pipeline.dataset.items import get_image_files
from ...transforms.decoding.decode import decode_pixels
from ...transforms.decoding.resizing import Sizing, resize

PETS = Path(__file__).resolve().parents[3] / "shared" / "data" / "pets" / "images"
"""Where photos are looked for if no folder is named: `shared/` beside the repository."""

PHONE = PETS.parents[1] / "phone"
"""The same for photos of a phone."""


def photo_files(folder: Path) -> list[Path]:
    """The photos of a folder. Raises `UsageError` where there are none."""
    files = get_image_files(folder) if folder.is_dir() else []
    if not files:
        raise UsageError(f"photos must lie in a folder, but {folder} has none; name one that has with --photos")
    return files


def squares(folder: Path, count: int, side: int) -> NDArray[np.uint8]:
    """`uint8[count, side, side, 3]`: the middle of photos of `folder`, evenly chosen; fewer photos come again.

    Raises `UsageError` where there are none.
    """
    files = photo_files(folder)
    chosen = files[:: max(1, len(files) // count)][:count]
    sizing = Sizing(side, "crop", enlarge=True)
    rows = np.stack([np.asarray(resize(decode_pixels(path, side), sizing)[0]) for path in chosen])
    return np.ascontiguousarray(rows[np.arange(count) % len(rows)])


def padded(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same rows in memory that is aligned to pages, as a mapped cache is."""
    buffer = np.zeros(rows.size + 4096, np.uint8)
    start = -buffer.ctypes.data % 4096
    there: NDArray[Any] = buffer[start : start + rows.size].reshape(rows.shape)
    there[:] = rows
    return there
