"""Which row comes when: the order of an epoch, as a function of position.

No order is stored. Row number = f(seed, epoch, position), in constant time, so that resuming, ranks and workers are
arithmetic on one integer, and the order is the same for every world size. An order answers `at(positions, seed,
epoch)` with `Picks`: the row numbers, and how often each row was picked before in the epoch. The second number goes
into the draws, so that a row picked twice is augmented in two ways.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError
from ...transforms.draw import draw
from .permutation import Rows, check_positions, permute

_PROBES = 1024  # positions whose rows tell one function of positions from another


class Picks(NamedTuple):
    """Rows `int64[M]`, and how often each was picked earlier in the same epoch, `int64[M]`."""

    rows: Rows
    repeats: Rows


@runtime_checkable
class Order(Protocol):
    """The order of an epoch's rows; `size` is None where it never ends."""

    @property
    def size(self) -> int | None: ...  # noqa: D102

    def at(self, positions: Rows, seed: int, epoch: int) -> Picks: ...  # noqa: D102


@dataclass(frozen=True)
class Sequential:
    """Rows 0..size-1 in their own order."""

    size: int

    def at(self, positions: Rows, seed: int, epoch: int) -> Picks:
        """The positions themselves, in every epoch."""
        rows = check_positions(positions, self.size)
        return Picks(rows, np.zeros_like(rows))


@dataclass(frozen=True)
class Shuffled:
    """Rows 0..size-1, each once, in another order in every epoch.

    >>> Shuffled(5).at(np.arange(5), seed=0, epoch=0).rows.tolist()
    [4, 3, 0, 2, 1]
    """

    size: int

    def at(self, positions: Rows, seed: int, epoch: int) -> Picks:
        """The rows at these positions of the epoch's permutation."""
        rows = permute(positions, self.size, seed, epoch)
        return Picks(rows, np.zeros_like(rows))


class ListOrder:
    """The caller's own finite list of rows, delivered as it stands.

    >>> ListOrder([4, 4, 2]).at(np.array([0, 1]), seed=0, epoch=0)
    Picks(rows=array([4, 4]), repeats=array([0, 1]))
    """

    def __init__(self, rows: ArrayLike) -> None:
        self._rows = _as_rows(rows)

    def __repr__(self) -> str:
        return f"ListOrder({self.size} rows)"

    @property
    def size(self) -> int:
        """How many rows an epoch has."""
        return len(self._rows)

    @cached_property
    def _repeats(self) -> Rows:
        by_row = np.argsort(self._rows, kind="stable")
        ordered = self._rows[by_row]
        starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
        run = np.repeat(starts, np.diff(starts, append=len(ordered)))
        repeats = np.empty_like(self._rows)
        repeats[by_row] = np.arange(len(ordered)) - run
        return repeats

    def at(self, positions: Rows, seed: int, epoch: int) -> Picks:
        """The rows at these positions of the list, in every epoch."""
        where = check_positions(positions, self.size)
        return Picks(self._rows[where], self._repeats[where])

    def all_rows(self) -> Rows:
        """Every row number in the list, `int64[size]`."""
        return self._rows

    @cached_property
    def digest(self) -> str:
        """A hash of the listed rows."""
        return _digest(self._rows)


class Subset:
    """Some of the rows, each once, in another order in every epoch (as they stand with `shuffle=False`).

    >>> sorted(Subset([7, 3, 5]).at(np.arange(3), seed=0, epoch=0).rows.tolist())
    [3, 5, 7]
    """

    def __init__(self, rows: ArrayLike, *, shuffle: bool = True) -> None:
        self._list = ListOrder(rows)
        self._order = Shuffled(self.size) if shuffle else Sequential(self.size)

    def __repr__(self) -> str:
        return f"Subset({self.size} rows, {self._order})"

    @property
    def size(self) -> int:
        """How many rows an epoch has."""
        return self._list.size

    def at(self, positions: Rows, seed: int, epoch: int) -> Picks:
        """The rows at these positions of the permuted list."""
        return self._list.at(self._order.at(positions, seed, epoch).rows, seed, epoch)

    def all_rows(self) -> Rows:
        """Every row number in the list, `int64[size]`."""
        return self._list.all_rows()

    @property
    def digest(self) -> str:
        """A hash of the listed rows."""
        return self._list.digest


class Weighted:
    """Rows drawn with replacement, `size` an epoch, each as often as its weight asks for.

    The epoch is cut into `size` equal strata of the weights' running sum, one draw in each, in shuffled order: every
    row's expected count is exactly size x weight / sum, and the counts stay closer to it than independent draws
    would. `weights` are `float[n]`, not negative. Raises UsageError where they are not, or are all zero.

    >>> picks = Weighted([1, 0, 3], size=400).at(np.arange(400), seed=0, epoch=0)
    >>> np.bincount(picks.rows).tolist(), sorted(picks.repeats[picks.rows == 0].tolist()) == list(range(100))
    ([100, 0, 300], True)
    """

    def __init__(self, weights: ArrayLike, size: int | None = None) -> None:
        values = np.asarray(weights, np.float64).reshape(-1)
        if not len(values) or not np.isfinite(values).all() or (values < 0).any() or not values.sum() > 0:
            raise UsageError(f"weights must be finite, not negative and not all zero, but got {values}")
        self.size: int = len(values) if size is None else size
        if self.size < 1:
            raise UsageError(f"size must be at least 1, but got {size}")
        total = np.cumsum(values)
        self._ends = total * (self.size / total[-1])  # row i owns [ends[i-1], ends[i]) of [0, size)
        self._last = int(np.flatnonzero(values)[-1])

    def __repr__(self) -> str:
        return f"Weighted({len(self._ends)} rows, size={self.size})"

    @property
    def rows(self) -> int:
        """How many rows have a weight."""
        return len(self._ends)

    @cached_property
    def digest(self) -> str:
        """A hash of the weights and the size."""
        return _digest(self._ends)

    def _points(self, strata: Rows, seed: int, epoch: int) -> NDArray[np.float64]:
        return strata + draw(seed, epoch, strata.astype(np.uint64), "order", 1).uniform(0)

    def _rows(self, points: NDArray[np.float64]) -> Rows:
        return np.minimum(np.searchsorted(self._ends, points, side="right"), self._last).astype(np.int64)

    def at(self, positions: Rows, seed: int, epoch: int) -> Picks:
        """One draw in the stratum of each position."""
        strata = permute(positions, self.size, seed, epoch)
        rows = self._rows(self._points(strata, seed, epoch))
        # A row's draws are its whole strata, and maybe that in which it starts: count from the first that hit it.
        starts = np.where(rows > 0, self._ends[rows - 1], 0.0)
        first = np.minimum(starts.astype(np.int64), self.size - 1)
        missed = self._rows(self._points(first, seed, epoch)) != rows
        return Picks(rows, strata - first - missed)


def balanced(labels: ArrayLike, size: int | None = None) -> Weighted:
    """Rows drawn so that every class comes equally often; `labels` are `int[n]`.

    >>> order = balanced([0, 0, 0, 1], size=100)
    >>> rows = order.at(np.arange(100), seed=0, epoch=0).rows
    >>> int((rows == 3).sum())
    50
    """
    _, classes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    return Weighted(1.0 / counts[classes], size)


@dataclass(frozen=True)
class FunctionOrder:
    """The caller's own function of positions `int64[M]` to rows `int64[M]`; endless unless it has a size.

    How often a row came before cannot be known here, so the position itself takes the place of that number.
    """

    function: Callable[[Rows], ArrayLike]
    size: int | None = None

    def at(self, positions: Rows, seed: int, epoch: int) -> Picks:
        """The rows that the function gives for these positions."""
        rows = _as_rows(self.function(positions))
        return Picks(rows, np.asarray(positions, np.int64))


class Stream:
    """The caller's own iterable of rows, endless or not: read in order, from its beginning in every epoch.

    An iterator that cannot begin again goes on where it stands.
    """

    size = None

    def __init__(self, rows: Iterable[int]) -> None:
        self._source = rows

    def __repr__(self) -> str:
        return f"Stream({type(self._source).__name__})"

    def chunks(self, length: int, *, skip: int = 0) -> Iterator[Picks]:
        """Consecutive picks of at most `length` rows, without the first `skip`, which count as picked."""
        counts: dict[int, int] = {}
        rows: list[int] = []
        repeats: list[int] = []
        for number, item in enumerate(self._source):
            row = int(item)
            repeat = counts.get(row, 0)
            counts[row] = repeat + 1
            if number < skip:
                continue
            rows.append(row)
            repeats.append(repeat)
            if len(rows) == length:
                yield Picks(np.array(rows, np.int64), np.array(repeats, np.int64))
                rows, repeats = [], []
        if sum(counts.values()) < skip:
            raise UsageError(
                f"{self!r} ended after {sum(counts.values())} rows, but {skip} of it were delivered before"
            )
        if rows:
            yield Picks(np.array(rows, np.int64), np.array(repeats, np.int64))


Indices = Order | Stream | ArrayLike | Iterable[int] | Callable[[Rows], ArrayLike]
"""What a loader takes for an order: row numbers in a list, an array or an iterable, or a function of positions."""


def as_order(indices: Indices | None, n: int, *, shuffle: bool) -> Order | Stream:
    """The order that `indices` means, over `n` rows: None is all of them; an `Order` is itself; a list or an array,
    a function of positions, or any iterable is delivered as it stands.

    Raises UsageError where it names other rows than these; what a function or an iterable names is known, and so
    refused, only when it is asked for.

    >>> as_order(None, 3, shuffle=False), as_order([2, 1], 3, shuffle=True)
    (Sequential(size=3), ListOrder(2 rows))
    """
    order = _as_order(indices, n, shuffle=shuffle)
    if isinstance(order, Weighted) and order.rows != n:
        raise UsageError(f"weights must be one for each of the {n} rows, but got {order.rows}")
    if isinstance(order, Shuffled | Sequential) and order.size > n:
        raise UsageError(f"indices must be in 0..{n - 1}, but {order} goes beyond")
    if isinstance(order, ListOrder | Subset) and order.size:
        check_rows(order.all_rows(), n)
    return order


def check_rows(rows: Rows, n: int, where: str = "the rows") -> Rows:
    """The same row numbers; raises UsageError unless all of them are in 0..n-1 of `where`."""
    if len(rows) and not (rows.min() >= 0 and rows.max() < n):
        raise UsageError(f"indices must be in 0..{n - 1} for {where}, but got {rows.min()}..{rows.max()}")
    return rows


def name_of(order: Order | Stream, seed: int) -> str:
    """The name of an order in a loader's state: its kind, and a hash of the rows or weights that it was made of.

    Of a caller's own order, or function, it is a hash of the rows at 1,024 positions; of an iterable, which can be
    read only once, the type alone.

    >>> name_of(ListOrder([2, 1]), 0) == name_of(ListOrder([2, 1]), 0) != name_of(ListOrder([1, 2]), 0)
    True
    """
    if isinstance(order, Sequential | Shuffled | Stream):
        return repr(order)
    if isinstance(order, ListOrder):
        return f"Given({order.size} rows) {order.digest}"  # the name in states since 0.1.0
    if isinstance(order, Subset | Weighted):
        return f"{order!r} {order.digest}"
    size = _PROBES if order.size is None else order.size
    positions = np.unique(np.linspace(0, max(size - 1, 0), _PROBES).astype(np.int64))[:size]
    kind = "Computed" if isinstance(order, FunctionOrder) else type(order).__name__  # as in states since 0.1.0
    return f"{kind}(size={order.size}) {_digest(order.at(positions, seed, 0).rows)}"


def _digest(values: NDArray[np.generic]) -> str:
    return blake2b(np.ascontiguousarray(values).tobytes(), digest_size=8).hexdigest()


def _as_order(indices: Any, n: int, *, shuffle: bool) -> Order | Stream:
    if indices is None:
        return Shuffled(n) if shuffle else Sequential(n)
    if isinstance(indices, Stream | Order):
        return indices
    if isinstance(indices, Sequence | np.ndarray) or hasattr(indices, "__array__"):
        return ListOrder(indices)
    if callable(indices):
        return FunctionOrder(indices)
    if isinstance(indices, Iterable):
        return Stream(indices)
    raise UsageError(
        "indices must be row numbers (a list, an array, an iterable, a function of positions) or an Order, "
        f"but got {type(indices).__name__}"
    )


def _as_rows(rows: ArrayLike) -> Rows:
    array = np.asarray(rows)
    if array.size and array.dtype.kind not in "iu":
        raise UsageError(f"Row numbers must be integers, but got {array.dtype}")
    return np.atleast_1d(array).astype(np.int64)
