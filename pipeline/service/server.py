"""The server: calls of Arrow Flight, each checked, counted, bounded and handed to the file that answers it.

It holds no session: what a request says is all that an answer depends on, so that any replica answers any request.
"""

import json
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from threading import Thread
from time import monotonic
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.flight as flight

from ...errors import ServiceError, UsageError
from ...transforms.warp.threads import cores, share
from .access import AccessFactory
from .admission import Admission, Room
from .calls import Calls
from .limits import Limits
from .monitoring import Kind, Monitoring, Tally
from .recipes import explain_recipe
from .row_batches import UnmadeBatch, answer
from .served_caches import ServedCache, ServedCaches
from .server_errors import UnformattedError, to_flight_error
from .tickets import MOST_RECIPE, REUSE, Fields, Ticket
from .time_limit import drop_connections, time_limit

_AHEAD = 2  # record batches of one request that are made while another one is sent, where making them takes work
_OBJECTS = 32  # bytes of Python's objects for a byte of JSON, at most: an empty list is two bytes there


class Exchange(Protocol):
    """What answers `do_exchange`."""

    def __call__(self, context: Any, command: bytes, reader: Any, writer: Any, tally: Tally, room: Room) -> None:
        """Answer one exchange; `command` is the descriptor's, and `room` what the client may have held."""


class Intake(Protocol):
    """What takes photos into caches that grow."""

    def put(self, context: Any, command: bytes, reader: Any, writer: Any, tally: Tally, room: Room) -> None:
        """Take one stream of photos; `command` is the descriptor's, and `room` what the client may have held."""

    @property
    def actions(self) -> Mapping[str, tuple[str, Callable[[bytes], Iterator[bytes]]]]:
        """Actions by name: what it does, and a function from the body to the results."""

    def close(self, seconds: float) -> bool:
        """Wait for what goes on without its client, as long as that; whether it has ended."""


@dataclass
class Service:
    """What a server serves, and how; `tokens` are those of its callers, none where everybody may call.

    `advertised` are the addresses that flight info names, one endpoint for each.
    """

    caches: ServedCaches
    limits: Limits = field(default_factory=Limits)
    tokens: Sequence[str] = field(default=(), repr=False)
    advertised: Sequence[str] = ()
    exchange: Exchange | None = None
    intake: Intake | None = None
    monitoring: Monitoring = field(default_factory=Monitoring)

    def __post_init__(self) -> None:
        self.admission = Admission(self.limits)
        self.pool = ThreadPoolExecutor(cores(), "onewarp-service", initializer=share, initargs=(1,))

    @property
    def _folders(self) -> list[str]:
        return [str(folder) for folder in self.caches.folders.values()]

    def error(self, error: BaseException) -> Any:
        """The error for the client."""
        return to_flight_error(error, self._folders)

    @contextmanager
    def request(self, context: Any, kind: Kind, sent: str = "", body: bytes = b"") -> Iterator[Any]:
        """One call: authorized, admitted, counted, and its errors as a client may see them.

        While it lasts, what the JSON of its `body` may take as Python's objects is held for the client.
        """
        peer = context.peer()
        context.get_middleware("calls").hand_over()
        try:
            with self.monitoring.request(kind, sent) as tally:
                context.get_middleware("access").check()
                with self.admission.enter(peer), self._hold(peer, _OBJECTS * len(body)):
                    yield tally
        except Exception as error:
            raise self.error(error) from None

    @contextmanager
    def _hold(self, peer: str, nbytes: int) -> Iterator[None]:
        self._take(peer, nbytes)
        try:
            yield
        finally:
            self._give_back(peer, nbytes)

    def _take(self, peer: str, nbytes: int, wait: bool = True) -> bool:
        has_room = self.admission.take(peer, nbytes, wait=wait)
        self.monitoring.hold(nbytes if has_room else 0)
        return has_room

    def _give_back(self, peer: str, nbytes: int) -> None:
        self.admission.give_back(peer, nbytes)
        self.monitoring.release(nbytes)

    def room(self, peer: str) -> Room:
        """What is left of the bytes that the client at `peer` may have."""
        return Room(partial(self._take, peer), partial(self._give_back, peer))

    # What is there ---------------------------------------------------------------------------------------------------

    def info(self, served: ServedCache, descriptor: Any) -> Any:
        """What a client learns of a cache: its description, and an endpoint for each replica."""
        count = len(served.cache)
        addresses = list(self.advertised) or [REUSE]
        endpoints = []
        for i in range(len(addresses)):
            rows = range(count * i // len(addresses), count * (i + 1) // len(addresses))
            ticket = Ticket(served.name, served.fingerprint, rows=rows)
            endpoints.append(flight.FlightEndpoint(ticket.to_json(), [*addresses[i:], *addresses[:i]]))
        nbytes = sum(pc.sum(chunk).as_py() for chunk in served.cache.small["length"].to_arrow().chunks)
        schema, _ = answer(Ticket(served.name, served.fingerprint, rows=range(0)), served, self.limits)
        return flight.FlightInfo(
            schema, descriptor, endpoints, count, nbytes, ordered=True, app_metadata=served.description
        )

    # What is sent ----------------------------------------------------------------------------------------------------

    def stream(self, context: Any, data: bytes) -> Any:
        """The stream of a ticket."""
        peer = context.peer()
        try:
            with self.admission.enter(peer), self._hold(peer, _OBJECTS * len(data)):
                ticket = Ticket.from_json(data, self.limits)
                served = self.caches.get(ticket.cache, ticket.fingerprint)
                schema, batches = answer(ticket, served, self.limits)
        except Exception as error:
            with suppress(Exception), self.monitoring.request("get", "refused"):
                raise
            raise self.error(error) from None
        options = pa.ipc.IpcWriteOptions(compression=None if ticket.compression == "none" else ticket.compression)
        return flight.GeneratorStream(schema, self._batches(context, ticket.send, batches), options=options)

    def _batches(self, context: Any, sent: str, batches: Iterator[UnmadeBatch]) -> Iterator[Any]:
        """The record batches of an answer; each waits at most so long to be read, and all of them together."""
        peer, limits = context.peer(), self.limits
        end = monotonic() + limits.seconds
        ahead = 0 if sent in ("index", "stored") else _AHEAD
        with self.request(context, "get", sent) as tally, closing(self._make(peer, batches, ahead)) as made:
            for batch in made:
                tally.add(rows=batch.num_rows, nbytes=batch.nbytes)
                with time_limit(peer, limits.stall_seconds, "did not read"):
                    yield batch
                if monotonic() > end:
                    raise TimeoutError(f"the request took longer than {limits.seconds} s: ask for fewer rows")

    def _make(self, peer: str, batches: Iterator[UnmadeBatch], ahead: int) -> Generator[Any]:
        """Record batches in order, and meanwhile so many of those ahead; each is held until the next is asked for.

        Those ahead are made where there is room for them: who holds nothing waits for room, and nobody else does.
        """
        pending = deque[tuple[int, Future[Any]]]()
        submit = self.pool.submit if ahead else _make_here
        following = next(batches, None)
        try:
            while pending or following:
                while following and len(pending) <= ahead and self._take(peer, following.nbytes, wait=not pending):
                    pending.append((following.nbytes, submit(following.make)))
                    following = next(batches, None)
                yield pending[0][1].result()
                self._give_back(peer, pending.popleft()[0])
        finally:
            for nbytes, future in pending:
                future.cancel()
                self._give_back(peer, nbytes)

    # What is done ----------------------------------------------------------------------------------------------------

    @property
    def actions(self) -> dict[str, tuple[str, Callable[[bytes], Iterator[bytes]]]]:
        """By name: what an action does, and a function from its body to its results."""
        own: dict[str, tuple[str, Callable[[bytes], Iterator[bytes]]]] = {
            "health": ("Whether the server answers; needs no token.", self._health),
            "stats": ("Counts of requests, rows, bytes, seconds and errors.", self._stats),
            "explain": ('How a recipe is done: {"version": 1, "recipe": JSON}.', self._explain),
        }
        return own if self.intake is None else {**own, **self.intake.actions}

    def _health(self, body: bytes) -> Iterator[bytes]:
        state = "ready" if self.monitoring.accepts else "stopping"
        yield json.dumps({"version": 1, "state": state, "onewarp": version("onewarp")}).encode()

    def _stats(self, body: bytes) -> Iterator[bytes]:
        yield json.dumps({"version": 1, **self.monitoring.snapshot()}).encode()

    def _explain(self, body: bytes) -> Iterator[bytes]:
        fields = Fields.parse(body, "the action", self.limits.request_bytes)
        fields.version(1)
        recipe = fields.text("recipe", MOST_RECIPE)
        fields.end()
        yield json.dumps({"version": 1, **explain_recipe(recipe)}).encode()


class Server(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """A Flight server that answers by a `Service`, from when it is made until `stop`.

    pyarrow never frees a server (apache/arrow#50684): what it serves is let go by `stop`. Raises `ServiceError` where
    the address cannot be listened to.
    """

    def __init__(
        self,
        service: Service,
        location: str,
        *,
        certificate: tuple[bytes, bytes] | None = None,
        client_ca: bytes | None = None,
    ) -> None:
        self._service: Service | None = service
        calls = Calls(service.admission, service.limits.stall_seconds)
        try:
            super().__init__(
                location,
                tls_certificates=None if certificate is None else [certificate],
                verify_client=client_ca is not None,
                root_certificates=client_ca,
                middleware={"access": AccessFactory(service.tokens), "calls": calls},
            )
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ServiceError(f"{location} must be a free address of this machine, but is not ({reason})") from None
        calls.port = self.port
        service.monitoring.accept()

    def _open(self) -> Service:
        if self._service is None:
            raise flight.FlightUnavailableError("the server is stopping: ask another one")
        return self._service

    def stop(self, grace: float = 30.0) -> bool:
        """Refuse new requests, let those in flight end within `grace` seconds, and drop what is left.

        Returns whether all of them ended by themselves.
        """
        service = self._open()
        service.monitoring.drain()
        service.admission.close()
        end = monotonic() + grace
        ended = service.admission.wait(grace)
        if service.intake is not None:  # a commit goes on without its client
            ended = service.intake.close(max(0.0, end - monotonic())) and ended
        ending = Thread(target=self.shutdown, name="onewarp-shutdown", daemon=True)
        ending.start()  # it waits for calls, and a call may wait for a client: connections are dropped meanwhile
        while ending.is_alive():
            ending.join(0.2)
            drop_connections(self.port)
        service.pool.shutdown(cancel_futures=True)
        self._service = None
        return ended

    # The calls of Flight ---------------------------------------------------------------------------------------------

    def list_flights(self, context: Any, criteria: bytes) -> Iterator[Any]:
        """The caches, those whose name begins with the criteria."""
        service = self._open()
        with service.request(context, "list"):
            names = [name for name in service.caches.names if name.encode().startswith(criteria)]
            served = [service.caches.current(name) for name in names if service.caches.has_rows(name)]
            return iter([service.info(one, flight.FlightDescriptor.for_path(one.name)) for one in served])

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        """What a cache is, and where its rows are; the descriptor is a path of one name."""
        service = self._open()
        with service.request(context, "info"):
            return service.info(service.caches.current(_name_in(descriptor)), descriptor)

    def get_schema(self, context: Any, descriptor: Any) -> Any:
        """The schema of a cache's rows as they are kept."""
        try:
            return flight.SchemaResult(self.get_flight_info(context, descriptor).schema)
        except flight.FlightError as error:
            raise UnformattedError(str(error)) from None

    def do_get(self, context: Any, ticket: Any) -> Any:
        """The rows that a ticket asks for."""
        return self._open().stream(context, ticket.ticket)

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Encoded images in, tensors and predictions out."""
        service, command = self._open(), descriptor.command or b""
        with service.request(context, "exchange", body=command) as tally:
            if service.exchange is None:
                raise UsageError("the server takes no images")
            service.exchange(context, command, reader, writer, tally, service.room(context.peer()))

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Encoded photos into a cache that grows."""
        service, command = self._open(), descriptor.command or b""
        with service.request(context, "put", body=command) as tally:
            if service.intake is None:
                raise UsageError("the server has no cache that may grow: it was started without --writable")
            service.intake.put(context, command, reader, writer, tally, service.room(context.peer()))

    def list_actions(self, context: Any) -> list[tuple[str, str]]:
        """The actions, and what they do."""
        service = self._open()
        with service.request(context, "list", "actions"):
            return [(name, says) for name, (says, _) in service.actions.items()]

    def do_action(self, context: Any, action: Any) -> Iterator[Any]:
        """An action's results: JSON."""
        service, name = self._open(), _name_of(action)
        body = action.body.to_pybytes() if action.body else b""
        if name == "health":  # asked by those that have no token, also of a server that stops
            return map(flight.Result, service._health(b""))
        return self._do(service, context, name, body)

    def _do(self, service: Service, context: Any, name: str, body: bytes) -> Iterator[Any]:
        known = service.actions.get(name)
        with service.request(context, "action", name if known else "unknown", body):
            if known is None:
                raise UsageError(f"the server has no action {name[:64]!r}: it has {', '.join(service.actions)}")
            for result in known[1](body):
                with time_limit(context.peer(), service.limits.stall_seconds, "did not read"):
                    yield flight.Result(result)


def _make_here(make: Callable[[], Any]) -> Future[Any]:
    """What is made already, in this thread."""
    future = Future[Any]()
    future.set_result(make())
    return future


def _name_of(action: Any) -> str:
    """The name of an action; none has the empty one."""
    try:
        name: str = action.type
    except UnicodeDecodeError:
        return ""
    return name


def _name_in(descriptor: Any) -> str:
    path = descriptor.path if descriptor.descriptor_type == flight.DescriptorType.PATH else None
    if not path or len(path) != 1:
        raise UsageError("the descriptor must be a path of one name, that of a cache")
    try:
        name: str = path[0].decode()
    except UnicodeDecodeError:
        raise UsageError("the name of a cache must be text") from None
    return name
