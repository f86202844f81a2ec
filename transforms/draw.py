"""Counter-based draws: every random number is a function of (seed, epoch, sample key, operation, i).

Nothing is stored and no global generator is read, so a sample's augmentation does not depend on its batch-mates,
on the worker, the rank or the order of calls, and can be drawn again alone. The numbers are those of Philox4x32-10
(Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011):

- key: the 64-bit BLAKE2b hash of seed and epoch;
- counter: the sample key's 64-bit hash, the operation's 32-bit hash, and `i // 4`;
- uniform number: the upper 24 bits of word `i % 4`, times 2**-24, exact in float32 and float64.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from operator import index

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .warp import cpu_draws, native

Key = str | bytes | int
"""What names a sample: a path, any bytes, or a row number."""

_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
_WEYL = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


@lru_cache(maxsize=4096)
def _hash(text: bytes, size: int) -> int:
    return int.from_bytes(blake2b(text, digest_size=size).digest(), "little")


def hash_key(key: Key) -> int:
    """The 64-bit hash of a sample key; a row number and its decimal text are the same key.

    >>> hash_key("cats/1.jpg") == hash_key(b"cats/1.jpg"), hash_key(7) == hash_key("7")
    (True, True)
    """
    data = key if isinstance(key, bytes) else str(key).encode()
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def hash_keys(keys: Iterable[Key] | NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The hashes `uint64[N]` of sample keys; an array of uint64 is taken to be hashes already."""
    if isinstance(keys, np.ndarray) and keys.dtype == np.uint64:
        return keys
    return np.array([hash_key(key) for key in keys], np.uint64)


@lru_cache(maxsize=64, typed=True)
def stream_key(seed: int, epoch: int) -> tuple[int, int]:
    """The two 32-bit words of the Philox key of one epoch under one seed, both whole numbers, or `UsageError`."""
    try:
        whole = _hash(f"{index(seed)}:{index(epoch)}".encode(), 8)
    except TypeError:
        raise UsageError(f"seed and epoch must be whole numbers, but got {seed!r} and {epoch!r}") from None
    return whole & 0xFFFFFFFF, whole >> 32


def operation_word(operation: str) -> int:
    """The 32-bit counter word of an operation's name."""
    return _hash(operation.encode(), 4)


def philox(counters: NDArray[np.uint32], key: tuple[int, int]) -> NDArray[np.uint32]:
    """Philox4x32-10 of counters `uint32[M, 4]` under a key of two 32-bit words: `uint32[M, 4]`.

    >>> [hex(word) for word in philox(np.zeros((1, 4), np.uint32), (0, 0))[0].tolist()]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    words = counters.T.astype(np.uint64)  # [4, M]
    even, odd = words[0::2].copy(), words[1::2].copy()  # words 0 and 2, words 1 and 3
    product = np.empty_like(even)
    keys = np.array(key, np.uint64)[:, None]
    for _ in range(10):
        np.multiply(even, _MULTIPLIERS, out=product)
        np.right_shift(product[::-1], _SHIFT, out=even)
        even ^= odd
        even ^= keys
        np.bitwise_and(product[::-1], _LOW, out=odd)
        keys = (keys + _WEYL) & _LOW
    return np.stack([even[0], odd[0], even[1], odd[1]], -1).astype(np.uint32)


@dataclass(frozen=True)
class Draw:
    """The uniform numbers of one operation for a batch: `values` is float64 `[N, count]` in [0, 1)."""

    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def uniform(self, i: int, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """Number `i` of every sample, in `[low, high)`: float64 `[N]`."""
        return low + (high - low) * self.values[:, i]

    def chance(self, i: int, p: float) -> NDArray[np.bool_]:
        """Whether something of probability `p` happens to each sample, by number `i`: bool `[N]`."""
        return self.values[:, i] < p


def draws(seed: int, epoch: int, keys: NDArray[np.uint64], operations: Mapping[str, int]) -> dict[str, Draw]:
    """The numbers of several operations, in one go: `operations` maps a name to how many numbers it takes."""
    blocks = _blocks(tuple(operations.items()))
    n, total = len(keys), len(blocks)
    counters = np.empty((n, total, 4), np.uint32)
    counters[..., :2] = keys.astype("<u8").view(np.uint32).reshape(n, 1, 2)
    counters[..., 2:] = blocks
    generate = cpu_draws.philox if native.extension else philox  # the same numbers, ten times slower
    words = generate(counters.reshape(-1, 4), stream_key(seed, epoch)).reshape(n, total * 4)
    uniform = (words >> np.uint32(8)).astype(np.float64) * 2.0**-24
    result, start = {}, 0
    for name, count in operations.items():
        result[name] = Draw(uniform[:, start : start + count])
        start += 4 * -(-count // 4)
    return result


@lru_cache(maxsize=256)
def _blocks(operations: tuple[tuple[str, int], ...]) -> NDArray[np.uint32]:
    """The last two counter words of all blocks of four numbers, `uint32[blocks, 2]`."""
    rows = [(operation_word(name), i) for name, count in operations for i in range(-(-count // 4))]
    return np.array(rows, np.uint32).reshape(-1, 2)


def draw(seed: int, epoch: int, keys: Iterable[Key] | NDArray[np.uint64], operation: str, count: int) -> Draw:
    """The first `count` numbers of one operation for the samples `keys`.

    >>> draw(1, 0, ["a.jpg"], "Rotate", 2).uniform(1) == draw(1, 0, ["b.jpg", "a.jpg"], "Rotate", 9).uniform(1)[1:]
    array([ True])
    """
    return draws(seed, epoch, hash_keys(keys), {operation: count})[operation]
