"""How much of a server its clients may take: calls, requests in flight of one client, and bytes that wait for it.

A *call* is whatever a thread of the server is busy with, from its headers on; a *request* is a call that was handed to
its handler, which knows the client.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from typing import NamedTuple
from urllib.parse import unquote
from weakref import WeakSet

from .limits import Limits


class BusyError(Exception):
    """A request that is refused for now: the server has too much to do, or stops."""


class Room(NamedTuple):
    """The bytes that a client may have on a server: `take` waits for room and raises where there is none."""

    take: Callable[[int], object]
    give_back: Callable[[int], object]

    @contextmanager
    def hold(self, nbytes: int) -> Iterator[None]:
        """Take bytes for as long as the block lasts."""
        self.take(nbytes)
        try:
            yield
        finally:
            self.give_back(nbytes)


class Admission:
    """Counts requests and bytes by client, which is the address that a connection comes from."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._requests = Counter[str]()
        self._bytes = Counter[str]()
        self._peers = Counter[str]()
        self._calls = WeakSet[object]()
        self._change = Condition()
        self._is_open = True

    def begin(self, call: object) -> None:
        """Count a call for as long as the object lives. Raises `BusyError` where there are too many of them."""
        with self._change:
            self._refuse_closed()
            if len(self._calls) >= self._limits.requests:
                raise BusyError(f"the server has {self._limits.requests} calls, which is its limit: ask again")
            self._calls.add(call)

    @contextmanager
    def enter(self, peer: str) -> Iterator[None]:
        """A request of the client at `peer`, for as long as the block lasts. Raises `BusyError`."""
        client = client_of(peer)
        with self._change:
            self._refuse(client)
            self._requests[client] += 1
            self._peers[peer] += 1
        try:
            yield
        finally:
            with self._change:
                self._requests[client] -= 1
                self._peers[peer] -= 1
                self._requests += Counter()  # forgets clients that have nothing in flight
                self._peers += Counter()
                self._change.notify_all()

    def _refuse(self, client: str) -> None:
        self._refuse_closed()
        most = self._limits.client_requests
        if self._requests[client] >= most:
            raise BusyError(f"{most} requests of this client are in flight, which is the limit: ask again")

    def _refuse_closed(self) -> None:
        if not self._is_open:
            raise BusyError("the server is stopping: ask another one")

    def take(self, peer: str, nbytes: int, *, wait: bool = True) -> bool:
        """Hold bytes for the client at `peer`, until `give_back`; whether there is room for them.

        Without room it waits for the client to read what is held for it. Raises `BusyError` where it does not. What is
        more than a client may have is held alone.
        """
        client, most = client_of(peer), self._limits.client_bytes

        def has_room() -> bool:
            held = self._bytes[client]
            return not held or held + nbytes <= most

        with self._change:
            if not self._change.wait_for(has_room, self._limits.stall_seconds if wait else 0):
                if wait:
                    raise BusyError(f"{most} bytes wait for this client, which is the limit: read them first")
                return False
            self._bytes[client] += nbytes
            return True

    def give_back(self, peer: str, nbytes: int) -> None:
        """Hold so many bytes less for the client at `peer`."""
        with self._change:
            self._bytes[client_of(peer)] -= nbytes
            self._bytes += Counter()
            self._change.notify_all()

    def bytes_held(self, peer: str) -> int:
        """How many bytes are held for the client at `peer`."""
        return self._bytes[client_of(peer)]

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._requests.total()

    @property
    def peers(self) -> list[str]:
        """The connections that have requests in flight, as gRPC names them."""
        with self._change:
            return list(self._peers)

    def close(self) -> None:
        """Refuse whatever comes from now on."""
        with self._change:
            self._is_open = False
            self._change.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is in flight; whether that came within `seconds`."""
        with self._change:
            return self._change.wait_for(lambda: not self._requests.total(), seconds)


def client_of(peer: str) -> str:
    """The address of a client, without the port of its connection.

    >>> client_of("ipv4:10.0.0.7:51514"), client_of("ipv6:%5B::1%5D:8815")
    ('ipv4:10.0.0.7', 'ipv6:[::1]')
    """
    return unquote(peer).rpartition(":")[0] or peer
