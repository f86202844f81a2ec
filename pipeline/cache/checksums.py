"""A checksum, which finds accidental changes of bytes, and a digest, which names content."""

import zlib
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

Bytes = Any
"""Bytes, or whatever lies in memory as they do (an array, a view)."""

BLOCK = 1 << 20
"""Bytes of a file that have a checksum of their own; a power of two."""


def checksum(data: Bytes) -> int:
    """The CRC-32 (zlib's) of bytes: of other bytes it is another one, but for one accident in four thousand million.

    >>> checksum(b"123456789") == 0xCBF43926
    True
    """
    return zlib.crc32(data)


def checksum_fault(data: Bytes, expected: int, mask: str | None = None) -> str | None:
    """What is wrong with a row's bytes, those of its pixels or of a `mask`, by their checksum; None where it fits."""
    actual = checksum(data)
    if actual == expected:
        return None
    name = "its checksum" if mask is None else f"the checksum of its {mask}"
    return f"{name} is {actual:08x}, but {expected:08x} was written"


def block_checksums(data: Bytes) -> list[int]:
    """The checksum of each block of a file's bytes."""
    view = memoryview(data).cast("B")
    return [checksum(view[start : start + BLOCK]) for start in range(0, len(view), BLOCK)]


def digest(pieces: Iterable[Bytes]) -> str:
    """A name for bytes that are given in pieces: 16 hexadecimal digits of their BLAKE2b hash."""
    hashed = blake2b(digest_size=8)
    for piece in pieces:
        hashed.update(piece)
    return hashed.hexdigest()
