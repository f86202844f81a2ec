"""The argument of a command that reads a cache: its folder, or the address of a service that has it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ...errors import UsageError
from ..cache.open_cache import OpenCache
from ..service.access import read_tokens
from ..service.addresses import is_address
from ..service.remote_cache import RemoteCache, open_cache

_TOKEN = click.option(
    "--token-file", type=click.Path(path_type=Path), help="For the address of a service: a file with its token."
)
_ROOTS = click.option(
    "--roots",
    type=click.Path(path_type=Path),
    help="For grpc+tls: a PEM file of the authorities to trust.  [default: those of this machine]",
)


def connection_options(command: Any) -> Any:
    """The options of a command that may connect to a service: `token_file` and `roots`."""
    return _TOKEN(_ROOTS(command))


def connection_settings(source: str | Path, token_file: Path | None, roots: Path | None) -> dict[str, Any]:
    """What these options say of a connection; `UsageError` where there is none to `source`."""
    if not is_address(source) and (token_file or roots):
        name = "token_file" if token_file else "roots"
        raise UsageError(f"{name} must be for the address of a service, but got {source}: leave it out")
    return {"token": None if token_file is None else read_tokens(token_file)[0], "roots": roots}


@contextmanager
def opened(
    source: str | Path, token_file: Path | None = None, roots: Path | None = None, **settings: Any
) -> Iterator[OpenCache]:
    """The cache in a folder or at an address, closed behind the block; `settings` are those of `connect`."""
    cache = open_cache(source, **connection_settings(source, token_file, roots), **settings)
    try:
        yield cache
    finally:
        if isinstance(cache, RemoteCache):
            cache.close()


def cache_argument(command: Callable[..., Any]) -> Any:
    """CACHE, and the options of a connection; `command` is given the opened cache as `cache`."""

    @click.argument("cache")
    @connection_options
    @wraps(command)
    def with_cache(cache: str, token_file: Path | None, roots: Path | None, **options: Any) -> Any:
        with opened(cache, token_file, roots) as stored:
            return command(cache=stored, **options)

    return with_cache


def refuse_address(cache: str, does: str) -> None:
    """Raise `UsageError` for the address of a service, where a command works on a cache's own files."""
    if is_address(cache):
        raise UsageError(f"cache must be a folder, but got the address {cache}: {does}")
