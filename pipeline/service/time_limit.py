"""How a wait for a client ends: after some seconds its connection is dropped.

A handler of Arrow Flight that waits for its client cannot be cancelled, and it must not return while a thread of its
own still reads: the stream would be freed under that thread, which ends the process. So the socket of the client's
connection is shut down. Whatever waits for it then returns at once, in whichever thread.
"""

import errno
import os
import socket
import stat
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv6Address, ip_address
from threading import Condition, Thread
from time import monotonic
from urllib.parse import unquote, urlsplit


def drop_connection(peer: str) -> bool:
    """Shut the connection from `peer` down, as gRPC names it (`ipv4:10.0.0.7:51514`); whether there was one.

    All calls of that connection end.
    """
    end = _end(peer)
    found = False
    for connection in _connections():
        if _end_of(connection) == end:
            with suppress(OSError):  # it may be closed meanwhile
                connection.shutdown(socket.SHUT_RDWR)
            found = True
    return found


def drop_connections(port: int, but: Collection[str] = ()) -> None:
    """Shut all connections to a port of this process down, but those from the peers `but`."""
    ends = {_end(peer) for peer in but}
    for connection in _connections():
        with suppress(OSError):  # it is closed meanwhile, or listens
            there = _end_of(connection)
            if there is not None and there not in ends and connection.getsockname()[1] == port:
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def time_limit(peer: str, seconds: float, what: str) -> Iterator[None]:
    """Drop the connection from `peer` if the block takes longer than `seconds`.

    Raises `TimeoutError` then, with `what` the client did not do, whatever the block raised or returned.
    """
    wait = Wait(seconds, lambda: drop_connection(peer))
    try:
        yield
    finally:
        wait.end()
        if wait.is_over and not isinstance(sys.exception(), GeneratorExit):  # nobody would hear it
            raise TimeoutError(f"the client {what} for {seconds:g} s, and its connection was dropped")


class Wait:
    """A wait that begins when it is made, until its `end`; after `seconds` a thread calls `give_up`, once."""

    def __init__(self, seconds: float, give_up: Callable[[], object]) -> None:
        self.deadline, self.give_up, self.is_over = monotonic() + seconds, give_up, False
        _WATCH.begin(self)

    def end(self) -> None:
        """What was waited for has come, or is waited for no more."""
        _WATCH.end(self)


class _Watch:
    """One thread that gives up all waits whose time is over."""

    def __init__(self) -> None:
        self._waits = set[Wait]()
        self._change = Condition()
        self._wake = 0.0  # when the thread looks again
        self._pid = -1  # of the process in which the thread runs

    def begin(self, wait: Wait) -> None:
        with self._change:
            self._waits.add(wait)
            if self._pid != os.getpid():
                self._pid = os.getpid()
                Thread(target=self._run, name="onewarp-time-limit", daemon=True).start()
            elif wait.deadline < self._wake:
                self._change.notify()

    def end(self, wait: Wait) -> None:
        with self._change:
            self._waits.discard(wait)

    def _run(self) -> None:
        while True:
            with self._change:
                now = monotonic()
                over = [wait for wait in self._waits if wait.deadline <= now]
                for wait in over:
                    wait.is_over = True
                self._waits.difference_update(over)
                if not over:
                    self._wake = min((wait.deadline for wait in self._waits), default=now + _IDLE)
                    self._change.wait(self._wake - now)
            for wait in over:
                try:
                    wait.give_up()
                except OSError:  # no file can be opened now: the next second there may be one
                    self._again(wait)

    def _again(self, wait: Wait) -> None:
        with self._change:
            wait.deadline = monotonic() + _PAUSE
            self._waits.add(wait)


_IDLE = 3600.0  # seconds between two looks of a thread that has nothing to watch
_PAUSE = 1.0  # seconds until a connection that could not be dropped is tried again
_WATCH = _Watch()


def _connections() -> Iterator[socket.socket]:
    """A handle of its own on each socket of this process; `OSError` where no file can be opened."""
    for name in os.listdir("/dev/fd"):
        try:
            handle = os.dup(int(name))
        except OSError as error:
            if error.errno == errno.EBADF:  # closed meanwhile
                continue
            raise
        if not stat.S_ISSOCK(os.fstat(handle).st_mode):
            os.close(handle)
            continue
        with socket.socket(fileno=handle) as connection:
            yield connection


def _end_of(connection: socket.socket) -> tuple[str, int] | None:
    """The address and the port of a connection's other end."""
    with suppress(OSError):  # it listens, or is not connected any more
        address = connection.getpeername()
        return (_plain(address[0]), address[1]) if isinstance(address, tuple) else None
    return None


def _end(peer: str) -> tuple[str, int]:
    """The address and the port of gRPC's name of a peer."""
    place = urlsplit("//" + unquote(peer).partition(":")[2])
    return _plain(place.hostname or ""), place.port or 0


def _plain(address: str) -> str:
    """An address in one spelling; of IPv4 within IPv6 the former."""
    try:
        there = ip_address(address)
    except ValueError:
        return address
    return str(there.ipv4_mapped or there) if isinstance(there, IPv6Address) else str(there)
