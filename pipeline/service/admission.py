"""How much of a server one client may take: requests in flight, and bytes that wait for it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from urllib.parse import unquote

from .limits import Limits


class BusyError(Exception):
    """A request that is refused for now: the server has too much to do, or stops."""


class Admission:
    """Counts requests and bytes by client, which is the address that a connection comes from."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._requests = Counter[str]()
        self._bytes = Counter[str]()
        self._peers = Counter[str]()
        self._change = Condition()
        self._is_open = True

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
        limits = self._limits
        if not self._is_open:
            raise BusyError("the server is stopping: ask another one")
        if self._requests.total() >= limits.requests:
            raise BusyError(f"the server has {limits.requests} requests in flight, which is its limit: ask again")
        if self._requests[client] >= limits.client_requests:
            raise BusyError(
                f"{limits.client_requests} requests of this client are in flight, which is the limit: ask again"
            )
        if self._bytes[client] > limits.client_bytes:
            raise BusyError(f"{limits.client_bytes} bytes wait for this client, which is the limit: read them first")

    @contextmanager
    def hold(self, peer: str, nbytes: int) -> Iterator[None]:
        """Bytes that are held for the client at `peer`, for as long as the block lasts."""
        client = client_of(peer)
        with self._change:
            self._bytes[client] += nbytes
        try:
            yield
        finally:
            with self._change:
                self._bytes[client] -= nbytes
                self._bytes += Counter()

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
