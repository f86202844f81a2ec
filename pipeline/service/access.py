"""Who may call: a token in the header of every call, compared in constant time and never shown.

A call without it ends at its headers, before anything else of it is read. Actions alone go on to their handler: only
there it is known whether one is `health`, which needs no token.
"""

import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.flight as flight

from ...errors import UsageError

_LEAST, _MOST = 8, 4096  # letters of a token


class Access(flight.ServerMiddleware):  # type: ignore[misc]  # pyarrow has no types
    """Whether a call brought a token that is known."""

    def __init__(self, is_allowed: bool) -> None:
        super().__init__()
        self._is_allowed = is_allowed

    def check(self) -> None:
        """Raise `FlightUnauthenticatedError` unless it did."""
        if not self._is_allowed:
            raise flight.FlightUnauthenticatedError("a token is needed: the header 'authorization: Bearer TOKEN'")


class AccessFactory(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Looks at the header `authorization: Bearer TOKEN` of each call; without tokens everybody may call.

    `start_call` raises `FlightUnauthenticatedError`.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__()
        self._tokens = [token.encode() for token in tokens]

    def start_call(self, info: Any, headers: Mapping[str, Sequence[Any]]) -> Access:
        """What the call may do."""
        access = Access(not self._tokens or any(map(self._is_known, headers.get("authorization", ()))))
        if info.method != flight.FlightMethod.DO_ACTION:
            access.check()
        return access

    def _is_known(self, header: object) -> bool:
        scheme, _, token = str(header).partition(" ")
        # All are compared, so that the time does not tell which one was near.
        known = [hmac.compare_digest(token.encode(errors="replace"), other) for other in self._tokens]
        return scheme.lower() == "bearer" and any(known)

    def __repr__(self) -> str:
        return f"AccessFactory({len(self._tokens)} tokens)"


def read_tokens(path: Path) -> list[str]:
    """The tokens in a file, one a line; `UsageError` where there is none, or one that could be guessed."""
    try:
        lines = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"token_file must be a file of tokens, but {path} cannot be read ({reason})") from None
    if not lines or not all(_LEAST <= len(line) <= _MOST and line.isascii() and line.isprintable() for line in lines):
        raise UsageError(
            f"token_file must hold tokens of {_LEAST} or more letters of ASCII, one a line: {path} does not"
        )
    return lines
