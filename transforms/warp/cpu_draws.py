"""Random numbers, and all parameters of a batch by a table of operations, in C++: what `gpu_draws.py` is on a GPU."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from ...errors import WarpError
from . import native

_SHAPES = {"logit": (3, 4), "hue": (), "table": (256,), "colour": (3, 4), "erase": (4,)}
"""Of a sample, by stage."""


def philox(counters: NDArray[np.uint32], key: tuple[int, int]) -> NDArray[np.uint32]:
    """Philox4x32-10 of counters `uint32[M, 4]` under a key of two 32-bit words: `uint32[M, 4]`.

    >>> [hex(word) for word in philox(np.zeros((1, 4), np.uint32), (0, 0))[0].tolist()]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    rows = np.ascontiguousarray(counters, np.uint32)
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise WarpError(f"counters must be [M, 4], but got {list(rows.shape)}")
    words = np.empty_like(rows)
    native.extension.philox(rows, *key, words)
    return words


def draw(
    integers: NDArray[np.int32],
    floats: NDArray[np.float64],
    sizes: NDArray[np.float64],
    keys: NDArray[np.uint64],
    stream: tuple[int, int],
    size: tuple[int, int] | None,
    segments: int,
    stages: Collection[str],
) -> dict[str, NDArray[np.float64]]:
    """All parameters of a batch by a table (see `opcodes.py`): `matrix` `[N, 3, 3]`, and of `logit`, `hue`, `table`,
    `colour` and `erase` the stages that are asked for, with a row for each of the `segments` in front.

    `sizes` is `[N, 2]`, `keys` `[N]`, `stream` the key of an epoch's numbers; the result is of `size`, or as images.
    """
    count = len(keys)
    made = {name: np.empty((segments, count, *_SHAPES[name])) for name in stages}
    made["matrix"] = np.empty((count, 3, 3))
    native.extension.draw(integers, floats, sizes, keys, stream, size or (0, 0), **made)
    return made
