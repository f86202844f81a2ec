"""Servers that have the same caches: each call goes to one of them, and to another where that one does not answer."""

import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.flight as flight

from ... import errors
from ...errors import DamagedRowError, OnewarpError, ServiceError
from .freed_memory import keep_freed_memory

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0  # seconds for which a server that did not answer is left out
_FIRST_BUSY, _LONGEST_BUSY = 0.02, 0.5  # and one that has too much to do, or stops
_PROBE = 1.0  # seconds in which a server that was left out must say that it is there
_FORKED = (
    "the connection was made before this process was forked, which Arrow Flight does not survive: call connect in the "
    "process that reads, or start processes by 'spawn' or 'forkserver'"
)
_MISMATCHES = {
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted: give the PEM file of its authority as roots",
    "certificate verify failed": "its certificate is not trusted: give the PEM file of its authority as roots",
    "wrong version number": "it does not encrypt: its address begins with grpc://",
    "handshake failed": "no encrypted connection can be made",
    "Socket closed": "it ends connections at once: it may encrypt (grpc+tls://), or want a certificate of the client's",
    "Failed parsing HTTP/2": "it speaks another protocol than Arrow Flight",
}
"""What gRPC says where two sides do not fit each other, which no waiting mends, and what that means."""


@dataclass(frozen=True)
class Credentials:
    """What a client shows, and whom it trusts: PEM texts and a token, none of which is ever printed."""

    token: str | None = field(default=None, repr=False)
    roots: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)


@dataclass(eq=False)
class Replica:
    """One server: its connection, made when it is first needed, and how it has answered."""

    location: str
    client: Any = None
    in_flight: int = 0
    pause: float = 0.0
    left_out_until: float = 0.0
    is_doubtful: bool = False  # it did not answer: a short call must find it before it is given work again


class Replicas:
    """Servers at `locations`; `call` asks one of them, and others until `timeout` seconds are over.

    Several threads may call. Raises `ServiceError` where none answers in time, and what a server has refused where
    no other one does what it would not.
    """

    def __init__(self, locations: Sequence[str], credentials: Credentials, timeout: float) -> None:
        self.replicas = [Replica(location) for location in dict.fromkeys(locations)]
        self.timeout = timeout
        self._credentials = credentials
        self._has_answered = False
        self._lock = Lock()
        self._pid = os.getpid()

    @property
    def locations(self) -> list[str]:
        """The addresses of the servers."""
        return [replica.location for replica in self.replicas]

    def call(self, function: Callable[[Any, Any], T], timeout: float | None = None) -> T:
        """What `function` makes of a client and of the options for its call; it may be called more than once.

        A `ServiceError` that it raises says that the answer cannot be used, and another server is asked.
        """
        if os.getpid() != self._pid:
            raise ServiceError(_FORKED)
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        refusals: dict[Replica, OnewarpError] = {}
        reason = ""
        while replica := self._take(deadline, refusals, has_tried=bool(reason)):
            client = None
            try:
                client = self._connect(replica)
                if replica.is_doubtful:
                    self._probe(client, deadline)
                done = function(client, self._options(deadline))
            except ServiceError as error:
                refusals[replica] = error
            except (pa.ArrowException, OSError) as error:
                said = _said_by_server(error)
                reason = _first_line(error) if said is None else str(said["message"])
                if refusal := self._judge(replica, client, error):
                    refusals[replica] = refusal
            else:
                self._has_answered = True
                replica.pause, replica.is_doubtful = 0.0, False
                return done
            finally:
                with self._lock:
                    replica.in_flight -= 1
        if refusals:
            raise next(iter(refusals.values()))
        raise ServiceError(f"no server answers at {', '.join(self.locations)}: {reason}")

    def _take(self, deadline: float, refusals: Collection[Replica], has_tried: bool) -> Replica | None:
        """The server that has least to do of those that are neither left out nor have refused.

        None where time is over before there is one, and where one has refused and no other is at hand; but a call tries
        one at least.
        """
        while True:
            now = time.monotonic()
            with self._lock:
                others = [replica for replica in self.replicas if replica not in refusals]
                ready = [replica for replica in others if replica.left_out_until <= now]
                back = min((replica.left_out_until for replica in others), default=deadline)
                if not ready and not has_tried and not refusals and back >= deadline:
                    ready = others
                if ready and (now < deadline or not has_tried):
                    chosen = min(ready, key=lambda replica: replica.in_flight)
                    chosen.in_flight += 1
                    self.replicas.remove(chosen)
                    self.replicas.append(chosen)  # so that equals take turns
                    if chosen.is_doubtful:
                        chosen.left_out_until = now + _PROBE  # one thread looks whether it is there
                    return chosen
            if refusals or max(back, now) >= deadline:
                return None
            time.sleep(max(0.001, min(back - now, 0.2)))

    def _judge(self, replica: Replica, client: Any, error: Exception) -> OnewarpError | None:
        """What a server has refused; one that does not answer is left out for a while, and None returned.

        Raises what waiting cannot mend.
        """
        said = _said_by_server(error)
        if isinstance(error, flight.FlightUnauthenticatedError | flight.FlightUnauthorizedError):
            has = "no token was given" if self._credentials.token is None else "it does not know this one"
            raise ServiceError(f"{replica.location} wants a token, and {has}") from None
        is_busy = said is not None and said["kind"] == "BusyError"
        if (refused := refusal_in(error)) is not None:
            return refused
        if isinstance(error, pa.ArrowInvalid | pa.ArrowNotImplementedError | pa.ArrowKeyError | pa.ArrowTypeError):
            return ServiceError(f"{replica.location} is no service of onewarp ({_first_line(error)})")
        if not self._has_answered and isinstance(error, flight.FlightUnavailableError):
            for sign, meaning in _MISMATCHES.items():
                if sign in str(error):
                    raise ServiceError(f"{replica.location} cannot be connected to: {meaning}") from None
        with self._lock:
            if replica.client is client:  # else another thread has met the same failure before
                first, longest = (_FIRST_BUSY, _LONGEST_BUSY) if is_busy else (_FIRST_PAUSE, _LONGEST_PAUSE)
                replica.pause = min(max(first, 2 * replica.pause), longest)
                replica.left_out_until = time.monotonic() + replica.pause
            if replica.client is client and not is_busy:
                # A connection that failed waits before it tries again: a new one does not.
                replica.client, replica.is_doubtful = None, True
        return None

    def _connect(self, replica: Replica) -> Any:
        with self._lock:
            if replica.client is None:
                keep_freed_memory()
                shown = self._credentials
                replica.client = flight.FlightClient(
                    replica.location,
                    tls_root_certs=shown.roots,
                    cert_chain=shown.certificate,
                    private_key=shown.key,
                    generic_options=[("grpc.use_local_subchannel_pool", 1)],
                )
            return replica.client

    def _probe(self, client: Any, deadline: float) -> None:
        """Raise what a server raises that is asked whether it is there, or the lack of an answer."""
        left = deadline - time.monotonic()
        options = flight.FlightCallOptions(timeout=max(0.001, min(_PROBE, left)))
        list(client.do_action(flight.Action("health", b""), options))

    def _options(self, deadline: float) -> Any:
        """The deadline and the token of a call; a server that hangs leaves time for another one."""
        left = max(0.001, deadline - time.monotonic())
        return flight.FlightCallOptions(
            timeout=left if len(self.replicas) == 1 else max(left / 2, min(left, 1.0)), headers=self._headers
        )

    @property
    def stream_options(self) -> Any:
        """The options of a call that may last: the token alone."""
        return flight.FlightCallOptions(headers=self._headers)

    @property
    def _headers(self) -> list[tuple[bytes, bytes]]:
        token = self._credentials.token
        return [] if token is None else [(b"authorization", b"Bearer " + token.encode())]

    def close(self) -> None:
        """End all connections."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            for replica in self.replicas:
                if replica.client is not None:
                    replica.client.close()
                replica.client = None


def refusal_in(error: Exception) -> OnewarpError | None:
    """What a server has refused; None where it does not answer, or not now."""
    said = _said_by_server(error)
    if said is None or isinstance(error, flight.FlightUnavailableError | flight.FlightTimedOutError):
        return None
    return _error_of(said)


@contextmanager
def parsing_answer() -> Iterator[None]:
    """Raise `ServiceError` where the block finds an answer to be no such one."""
    try:
        yield
    except flight.FlightError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ServiceError(f"an answer cannot be used ({what[:200]}): the server may be of another version") from error


def _said_by_server(error: Exception) -> dict[str, Any] | None:
    """What a server of ours has said of an error; None where it said nothing."""
    try:
        said = json.loads(getattr(error, "extra_info", b"") or b"")
    except ValueError:
        return None
    return said if isinstance(said, dict) and {"kind", "message"} <= said.keys() else None


def _error_of(said: dict[str, Any]) -> OnewarpError:
    """The error that a server has named."""
    message = str(said["message"])
    if said["kind"] == "DamagedRowError" and isinstance(said.get("row"), int):
        return DamagedRowError(message, said["row"], str(said.get("key")))
    if said["kind"] == "CacheError":
        return errors.CacheError(message)
    return ServiceError(message)


def _first_line(error: Exception) -> str:
    """What happened, without what gRPC says of itself."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.partition(". gRPC client debug context")[0].removeprefix("Flight returned ")[:300]
