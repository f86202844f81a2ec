"""What a client is told where a request fails: one line, without a path and without a traceback."""

import json
import logging
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from ...errors import CacheError, DamagedRowError, OnewarpError, UsageError
from .admission import BusyError

_PATH = re.compile(r"(?<![\w.)\]/])/[\w.-][^\s:,;'\"]*")  # an absolute path; keys are relative
_log = logging.getLogger("onewarp.service")


class UnformattedError(Exception):
    """What `get_schema` raises: pyarrow knows no error of Flight there, and sends the traceback of any other one.

    It sends the name of the class alone where an exception cannot be formatted, and so this one cannot.
    """

    @property
    def __cause__(self) -> BaseException | None:  # type: ignore[override]
        raise RuntimeError("not to be formatted")


def to_flight_error(error: BaseException, folders: Sequence[str] = ()) -> Any:
    """The error that a client gets for one of the server; `folders` are paths that must not be told.

    Its `extra_info` is JSON with `kind` and `message`, and `row` and `key` for a damaged row. What was not foreseen is
    written to the server's log, and the client is told that it is there. Of an error that is none of Flight's, pyarrow
    would send the traceback.
    """
    if isinstance(error, flight.FlightError):
        return error
    if isinstance(error, pa.ArrowCancelled):
        return flight.FlightCancelledError("the call was cancelled", _extra(error, "the call was cancelled"))
    if isinstance(error, BusyError):
        return flight.FlightUnavailableError(str(error), _extra(error, str(error)))
    if isinstance(error, TimeoutError):
        return flight.FlightTimedOutError(str(error), _extra(error, str(error)))
    if isinstance(error, DamagedRowError):
        message = _without(str(error), folders)
        return flight.FlightServerError(message, _extra(error, message, row=error.row, key=error.key))
    if isinstance(error, UsageError | CacheError | OnewarpError):
        message = _without(str(error), folders)
        return flight.FlightServerError(message, _extra(error, message))
    if isinstance(error, MemoryError):
        return flight.FlightUnavailableError("the server has no memory left for this", _extra(error, "no memory"))
    _log.error("a request failed", exc_info=error)
    message = "the server failed, and its log says why"
    return flight.FlightInternalError(message, _extra(error, message))


def _without(message: str, folders: Sequence[str]) -> str:
    """A message with the name of a folder in the place of its path, and in one line."""
    for folder in sorted(folders, key=len, reverse=True):
        message = message.replace(folder, folder.rpartition("/")[2])
    return " ".join(_PATH.sub("(a path)", message).split())


def _extra(error: BaseException, message: str, **more: object) -> bytes:
    return json.dumps({"kind": type(error).__name__, "message": message, **more}).encode()
