"""Servers that have the same caches: each call goes to one of them, and to another where that one does not answer."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.flight as flight

from ... import errors
from ...errors import DamagedRowError, OnewarpError, ServiceError
from .freed_memory import keep_freed_memory

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0  # seconds for which a server that did not answer is left out
_BUSY_PAUSE = 0.02
_FORKED = (
    "the connection was made before this process was forked, which Arrow Flight does not survive: call connect in the "
    "process that reads, or start processes by 'spawn' or 'forkserver'"
)


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


class Replicas:
    """Servers at `locations`; `call` asks one of them, and others until `timeout` seconds are over.

    Several threads may call. Raises `ServiceError` where none answers in time, and what a server has refused.
    """

    def __init__(self, locations: Sequence[str], credentials: Credentials, timeout: float) -> None:
        self.replicas = [Replica(location) for location in dict.fromkeys(locations)]
        self.timeout = timeout
        self._credentials = credentials
        self._lock = Lock()
        self._pid = os.getpid()

    @property
    def locations(self) -> list[str]:
        """The addresses of the servers."""
        return [replica.location for replica in self.replicas]

    def call(self, function: Callable[[Any, Any], T], timeout: float | None = None) -> T:
        """What `function` makes of a client and of the options for its call; it may be called more than once."""
        if os.getpid() != self._pid:
            raise ServiceError(_FORKED)
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        reason = "none was tried"
        while True:
            replica = self._take(deadline)
            if replica is None:
                raise ServiceError(f"no server answers at {', '.join(self.locations)}: {reason}")
            try:
                done = function(self._connect(replica), self._options(deadline))
            except (pa.ArrowException, OSError) as error:
                reason = self._judge(replica, error)
            else:
                replica.pause = 0.0
                return done
            finally:
                with self._lock:
                    replica.in_flight -= 1

    def _take(self, deadline: float) -> Replica | None:
        """The server that has least to do of those that are not left out; None where time is over before that."""
        while True:
            now = time.monotonic()
            with self._lock:
                ready = [replica for replica in self.replicas if replica.left_out_until <= now]
                if ready and now < deadline:
                    chosen = min(ready, key=lambda replica: replica.in_flight)
                    chosen.in_flight += 1
                    self.replicas.remove(chosen)
                    self.replicas.append(chosen)  # so that equals take turns
                    return chosen
                back = min(replica.left_out_until for replica in self.replicas)
            if max(back, now) >= deadline:
                return None
            time.sleep(max(0.001, min(back - now, 0.2)))

    def _judge(self, replica: Replica, error: Exception) -> str:
        """Leave a server out for a while, and say why; raises what another server would say too."""
        said = _said_by_server(error)
        if isinstance(error, flight.FlightUnauthenticatedError | flight.FlightUnauthorizedError):
            raise ServiceError(
                f"{replica.location} refuses the token, or wants one: give connect(..., token=)"
            ) from None
        if said is not None and said["kind"] == "BusyError":
            replica.left_out_until = time.monotonic() + _BUSY_PAUSE
            return str(said["message"])
        if (refused := refusal_in(error)) is not None:
            raise refused from None
        if isinstance(error, pa.ArrowInvalid | pa.ArrowNotImplementedError | pa.ArrowKeyError | TypeError):
            raise ServiceError(f"{replica.location} is no service of onewarp ({_first_line(error)})") from None
        replica.pause = min(max(_FIRST_PAUSE, 2 * replica.pause), _LONGEST_PAUSE)
        replica.left_out_until = time.monotonic() + replica.pause
        replica.client = None  # a connection that failed waits before it tries again: a new one does not
        return _first_line(error)

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
        with self._lock:
            for replica in self.replicas:
                if replica.client is not None and os.getpid() == self._pid:
                    replica.client.close()
                replica.client = None


def refusal_in(error: Exception) -> OnewarpError | None:
    """What a server has refused, and so would any other; None where it does not answer, or not now."""
    said = _said_by_server(error)
    if said is None or isinstance(error, flight.FlightUnavailableError | flight.FlightTimedOutError):
        return None
    return _error_of(said)


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
