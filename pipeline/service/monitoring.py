"""What a server has done and is doing: counters of its requests, which any thread may count and read."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self, get_args

Kind = Literal["list", "info", "get", "put", "exchange", "action"]
KINDS: tuple[Kind, ...] = get_args(Kind)

BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Seconds up to which requests are counted; the last count is of those that took longer."""

ABANDONED = "Abandoned"
"""The kind of error of a stream that its client has left."""

_MOST_NAMES = 64  # of what requests send: more can only be a client's own words, which must not fill the memory


@dataclass
class Totals:
    """Sums over the requests of one kind; `counts` has one for each of `BOUNDS`, and one for all that took longer."""

    requests: int = 0
    rows: int = 0
    nbytes: int = 0
    seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def copy(self) -> "Totals":
        """These sums, which stay as they are."""
        return Totals(self.requests, self.rows, self.nbytes, self.seconds, self.errors.copy(), self.counts.copy())


@dataclass(frozen=True)
class State:
    """A server at one moment: sums by (kind, what is sent), and what is going on.

    Rows and bytes are counted as they pass, the request itself and its seconds when it has ended.
    """

    totals: dict[tuple[Kind, str], Totals]
    in_flight: dict[Kind, int]
    bytes_held: int
    accepts: bool
    seconds: float


class Monitoring:
    """Counts the requests of one server; threads may share it.

    >>> monitoring = Monitoring()
    >>> with monitoring.request("get", "stored") as tally:
    ...     tally.add(rows=64, nbytes=1 << 20)
    >>> monitoring.snapshot()["requests"][0]["rows"]
    64
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._totals: dict[tuple[Kind, str], Totals] = {}
        self._in_flight = dict.fromkeys(KINDS, 0)
        self._bytes_held = 0
        self._accepts = False
        self._start = monotonic()

    def request(self, kind: Kind, sent: str = "") -> "Tally":
        """Count a request for as long as the `with` block lasts, an exception in it as an error of its class.

        `sent` is what is sent (stored, pixels, augmented) or which action is done. It may become known later
        (`Tally.sent`). A stream's block stands within its generator: left by its client, it is an error `Abandoned`.
        """
        return Tally(self, kind, sent)

    def hold(self, nbytes: int) -> None:
        """Count bytes that are held for a client from now on."""
        with self._lock:
            self._bytes_held += nbytes

    def release(self, nbytes: int) -> None:
        """Count bytes that are no longer held for a client."""
        self.hold(-nbytes)

    def accept(self) -> None:
        """Say that requests are answered from now on."""
        self._accepts = True

    def drain(self) -> None:
        """Say that new requests are refused from now on."""
        self._accepts = False

    @property
    def accepts(self) -> bool:
        """Whether new requests are answered."""
        return self._accepts

    def state(self) -> State:
        """The server at this moment."""
        with self._lock:
            totals = {name: totals.copy() for name, totals in self._totals.items()}
            in_flight, bytes_held = dict(self._in_flight), self._bytes_held
        return State(totals, in_flight, bytes_held, self._accepts, monotonic() - self._start)

    def snapshot(self) -> dict[str, Any]:
        """The server at this moment, as plain values for JSON; see `State`."""
        state = self.state()
        requests = [
            {
                "kind": kind,
                "sent": sent,
                "requests": totals.requests,
                "rows": totals.rows,
                "bytes": totals.nbytes,
                "seconds": round(totals.seconds, 6),
                "errors": dict(sorted(totals.errors.items())),
            }
            for (kind, sent), totals in sorted(state.totals.items())
        ]
        return {
            "requests": requests,
            "in_flight": sum(state.in_flight.values()),
            "bytes_held": state.bytes_held,
            "accepts": state.accepts,
            "seconds": round(state.seconds, 3),
        }

    def _begin(self, kind: Kind) -> None:
        with self._lock:
            self._in_flight[kind] += 1

    def _add(self, kind: Kind, sent: str, rows: int, nbytes: int) -> None:
        with self._lock:
            totals = self._of(kind, sent)
            totals.rows += rows
            totals.nbytes += nbytes

    def _end(self, kind: Kind, sent: str, seconds: float, error: str | None) -> None:
        with self._lock:
            self._in_flight[kind] -= 1
            totals = self._of(kind, sent)
            totals.requests += 1
            totals.seconds += seconds
            totals.counts[bisect_left(BOUNDS, seconds)] += 1
            if error is not None:
                totals.errors[error] += 1

    def _of(self, kind: Kind, sent: str) -> Totals:
        if (kind, sent) not in self._totals and len(self._totals) >= _MOST_NAMES:
            sent = "other"
        return self._totals.setdefault((kind, sent), Totals())


class Tally:
    """One request that is counted: in flight within its `with` block, then ended, well or by an error.

    Rows and bytes are counted at once, so that a long stream is seen while it runs. Not to be shared by threads.
    """

    def __init__(self, monitoring: Monitoring, kind: Kind, sent: str) -> None:
        self.sent = sent
        self._monitoring, self._kind = monitoring, kind

    def add(self, *, rows: int = 0, nbytes: int = 0) -> None:
        """Count rows and bytes that were sent or received."""
        self._monitoring._add(self._kind, self.sent, rows, nbytes)

    def __enter__(self) -> Self:
        self._start = monotonic()
        self._monitoring._begin(self._kind)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        name = None if kind is None else ABANDONED if kind is GeneratorExit else kind.__name__
        self._monitoring._end(self._kind, self.sent, monotonic() - self._start, name)
