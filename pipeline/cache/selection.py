"""The rows of a split, an eighth of a byte each: a bit per row, and counts that find the i-th set bit."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_BLOCK = 512  # bits between two counts


class Selection:
    """Some of many rows, in order: `selection[indices]` are the row numbers, `selection.index(row)` the way back.

    A list of row numbers takes 8 bytes a row; this takes 1/8 and, with the counts, 1/4 of a byte for every row,
    selected or not, so that the splits of a billion rows fit beside a training process.

    >>> selection = Selection([np.array([True, False]), np.array([True, True])])
    >>> len(selection), selection[np.array([2, 0])], selection.index(3)
    (3, array([3, 0]), 2)
    """

    def __init__(self, masks: Iterable[NDArray[np.bool_]]) -> None:
        packed = [np.packbits(piece) for piece in _full_blocks(masks)]
        self._bits = np.concatenate([np.empty(0, np.uint8), *packed]).reshape(-1, _BLOCK // 8)
        self._ends = np.cumsum(np.bitwise_count(self._bits).sum(1, dtype=np.int64))

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        blocks = np.searchsorted(self._ends, indices, side="right")
        bits = np.unpackbits(self._bits[blocks], axis=1).astype(bool)  # [M, 512]
        before = np.where(blocks > 0, self._ends[blocks - 1], 0)
        reached = bits.cumsum(1) == (indices - before + 1)[:, None]
        rows: NDArray[np.int64] = blocks * _BLOCK + np.argmax(reached, 1)
        return rows

    def rows(self) -> NDArray[np.int64]:
        """All selected row numbers, in order."""
        return np.flatnonzero(np.unpackbits(self._bits))

    def index(self, row: int) -> int:
        """How many selected rows come before `row`."""
        block, bit = divmod(row, _BLOCK)
        before = int(self._ends[block - 1]) if block else 0
        return before + int(np.unpackbits(self._bits[block])[:bit].sum())


def _full_blocks(pieces: Iterable[NDArray[np.bool_]]) -> Iterable[NDArray[np.bool_]]:
    """The same bits in pieces of whole blocks, the last filled up with zeros."""
    pending = np.empty(0, bool)
    for piece in pieces:
        pending = np.concatenate([pending, piece])
        whole = len(pending) // _BLOCK * _BLOCK
        yield pending[:whole]
        pending = pending[whole:]
    yield np.concatenate([pending, np.zeros(-len(pending) % _BLOCK, bool)])
