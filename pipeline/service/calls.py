"""Which calls a server has, from their headers to their end: how many at most, and how long until there is a request.

A stream of `do_put` or `do_exchange` waits in a thread of the server for its descriptor, and no handler knows of it
yet. Who sends none would keep that thread for ever.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import ref

import pyarrow.flight as flight

from .admission import Admission, BusyError
from .server_errors import to_flight_error
from .time_limit import Wait, drop_connections

_STREAMS = (flight.FlightMethod.DO_PUT, flight.FlightMethod.DO_EXCHANGE)


class Call(flight.ServerMiddleware):  # type: ignore[misc]  # pyarrow has no types
    """A call; it lives as long as the server is busy with it."""

    wait: Wait | None = None

    def hand_over(self) -> None:
        """Say that the call has come to its handler."""
        if self.wait is not None:
            self.wait.end()
            self.wait = None


class Calls(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """The calls of a server that listens to `port`; `start_call` refuses those that are too many."""

    def __init__(self, admission: Admission, seconds: float) -> None:
        super().__init__()
        self._admission, self._seconds = admission, seconds
        self.port = 0

    def start_call(self, info: Any, headers: Mapping[str, Sequence[Any]]) -> Call:
        """The call, which is watched until it comes to its handler."""
        call = Call()
        if info.method == flight.FlightMethod.DO_ACTION:  # it is there as a whole, and may ask for the health
            return call
        try:
            self._admission.begin(call)
        except BusyError as error:
            raise to_flight_error(error) from None
        if info.method in _STREAMS:
            self._watch(ref(call))
        return call

    def _watch(self, call: "ref[Call]") -> None:
        """After some seconds, as long as the call has no request, drop the connections that have none."""
        waiting = call()
        if waiting is not None:
            waiting.wait = Wait(self._seconds, lambda: self._drop(call))

    def _drop(self, call: "ref[Call]") -> None:
        waiting = call()
        if waiting is not None and waiting.wait is not None:
            drop_connections(self.port, self._admission.peers)
            self._watch(call)
