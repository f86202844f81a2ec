"""All bytes of a part but its pixels and masks, by whose digest the part is named.

Among them are the checksums of the pixels and masks, so that a name answers for every byte of a part.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...errors import CacheError
from .checksums import digest

_AT_ONCE = 1 << 20


def frame_digest(file: BinaryIO, rows: pa.Table, prefixes: list[str]) -> str:
    """The digest of a part's frame; `rows` say where its pixels and masks lie.

    `prefixes` are what stands before `offset` and `length` in the names of these columns, '' for the pixels.
    """
    begins = [rows.column(f"{prefix}offset").to_numpy() for prefix in prefixes]
    lengths = [rows.column(f"{prefix}length").to_numpy() for prefix in prefixes]
    return digest_around(file, np.concatenate(begins), np.concatenate(lengths))


def digest_around(file: BinaryIO, begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> str:
    """The digest of all bytes of a file but those of some ranges, which must not overlap."""
    return digest(_around(file, begins, lengths))


def _around(file: BinaryIO, begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[bytes]:
    size = os.fstat(file.fileno()).st_size
    order = np.lexsort((lengths, begins))  # what is empty comes before what begins where it does
    starts = np.concatenate([[0], (begins + lengths)[order]])
    ends = np.concatenate([begins[order], [size]])
    if (ends < starts).any() or starts[-1] > size:
        raise CacheError(f"{Path(file.name).name} is no part of a cache: its rows overlap, or lie outside of it")
    for i in np.flatnonzero(ends > starts).tolist():
        for start in range(int(starts[i]), int(ends[i]), _AT_ONCE):
            yield os.pread(file.fileno(), min(_AT_ONCE, int(ends[i]) - start), start)
