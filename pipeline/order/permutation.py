"""A pseudo-random permutation of any number of rows, with random access: a Feistel network that walks its cycles."""

import math
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError

Rows = NDArray[np.int64]

_ROUNDS = 8  # one digest of BLAKE2b
_SMALL = 256  # up to here a sort is as quick
_U32 = np.uint64(32)
_U29 = np.uint64(29)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@lru_cache(maxsize=256)
def _round_keys(seed: int, epoch: int) -> tuple[np.uint64, ...]:
    digest = blake2b(f"{seed}:{epoch}".encode(), digest_size=8 * _ROUNDS, person=b"onewarp order").digest()
    return tuple(np.frombuffer(digest, "<u8"))


def _mix(values: NDArray[np.uint64], key: np.uint64, modulus: int) -> NDArray[np.uint64]:
    """Hash `values` under `key` into 0..modulus-1: the finaliser of SplitMix64, then its upper half scaled down."""
    mixed = (values ^ key) * _MIX[0]
    mixed ^= mixed >> _U29
    mixed *= _MIX[1]
    mixed ^= mixed >> _U32
    mixed *= _MIX[0]
    scaled: NDArray[np.uint64] = ((mixed >> _U32) * np.uint64(modulus)) >> _U32
    return scaled


def _hashes(n: int, keys: Sequence[np.uint64]) -> NDArray[np.uint64]:
    return _mix(_mix(np.arange(n, dtype=np.uint64), keys[0], 2**32), keys[1], 2**32)


def permute(positions: ArrayLike, n: int, seed: int, epoch: int) -> Rows:
    """Rows `int64` at `positions` of the pseudo-random permutation of 0..n-1 that belongs to (seed, epoch).

    A Feistel network of eight rounds on pairs (left, right) of a rectangle that just holds n, each round adding to
    one side, modulo its length, a hash of the other; what falls outside n walks on along its cycle (Black and
    Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). Up to 256 rows, where a Feistel network cannot
    reach every permutation alike, the rows are sorted by a hash. Raises UsageError for a position outside 0..n-1.

    >>> sorted(permute(range(10), 10, seed=1, epoch=0).tolist()) == list(range(10))
    True
    >>> permute([3], 10**15, seed=1, epoch=0) == permute([1, 2, 3], 10**15, seed=1, epoch=0)[2:]
    array([ True])
    """
    flat = check_positions(positions, n)
    keys = _round_keys(seed, epoch)
    if n <= _SMALL:
        by_hash: Rows = np.argsort(_hashes(n, keys[:2]), kind="stable")
        return by_hash[flat]
    height = math.isqrt(n - 1) + 1
    width = -(-n // height)
    rows = _feistel(flat.astype(np.uint64), height, width, keys)
    astray = np.flatnonzero(rows >= n)
    while len(astray):
        rows[astray] = _feistel(rows[astray], height, width, keys)
        astray = astray[rows[astray] >= n]
    return rows.astype(np.int64)


def _feistel(values: NDArray[np.uint64], height: int, width: int, keys: Sequence[np.uint64]) -> NDArray[np.uint64]:
    left, right = values // np.uint64(width), values % np.uint64(width)
    for number, key in enumerate(keys):
        if number % 2 == 0:
            left = _add(left, _mix(right, key, height), height)
        else:
            right = _add(right, _mix(left, key, width), width)
    return left * np.uint64(width) + right


def _add(a: NDArray[np.uint64], b: NDArray[np.uint64], modulus: int) -> NDArray[np.uint64]:
    total = a + b
    reduced: NDArray[np.uint64] = np.minimum(total, total - np.uint64(modulus))  # below zero wraps around and loses
    return reduced


def check_positions(positions: ArrayLike, n: int) -> Rows:
    """Positions as `int64[M]`; raises UsageError for one outside 0..n-1."""
    flat = np.atleast_1d(np.asarray(positions, np.int64))
    if len(flat) and not (flat.min() >= 0 and flat.max() < n):
        raise UsageError(f"A position must be in 0..{n - 1}, but got {flat.min()}..{flat.max()}")
    return flat
