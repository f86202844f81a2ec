"""Servers of the same caches on the workers of a dask cluster: one on each, for as long as both sides want it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from distributed import Client, Worker, WorkerPlugin
from distributed.comm.addressing import get_address_host

from ...errors import UsageError
from .access import read_tokens
from .limits import Limits
from .process import Listening, folders_of, start
from .served_caches import ServedCaches
from .server import Server, Service

Folder = str | PathLike[str]


@dataclass(frozen=True)
class Replication:
    """What each worker serves, and how. Files are named as the worker finds them: nothing secret passes the cluster."""

    folders: Mapping[str, Path]
    port: int
    limits: Limits
    token_file: Path | None
    certificate: tuple[Path, Path] | None
    client_ca: Path | None
    grace: float

    def listening(self, host: str) -> Listening:
        """Where the server of a worker at `host` listens."""
        place = f"grpc://{f'[{host}]' if ':' in host else host}:{self.port}"
        return Listening(place, self.certificate, self.client_ca)

    def start(self, host: str) -> Server:
        """The server of a worker at `host`."""
        listening = self.listening(host)
        listening.refuse_open(self.token_file is not None)
        tokens = [] if self.token_file is None else read_tokens(self.token_file)
        return start(Service(ServedCaches(self.folders), self.limits, tokens), listening)


class ServerPlugin(WorkerPlugin):
    """A server that starts with a worker, or when it is registered, and ends with either."""

    def __init__(self, replication: Replication) -> None:
        self.name = f"onewarp-server-{uuid4().hex}"
        self.address = ""
        self._replication = replication
        self._server: Server | None = None

    async def setup(self, worker: Worker) -> None:
        """Start the server, beside what the worker does."""
        host = get_address_host(worker.address)
        self._server = await asyncio.to_thread(self._replication.start, host)
        self.address = self._replication.listening(host).on(self._server.port)

    async def teardown(self, worker: Worker) -> None:
        """Let requests in flight end, then end the server."""
        if self._server is not None:
            await asyncio.to_thread(self._server.stop, self._replication.grace)


class Placement:
    """Servers on the workers of a cluster, until `stop`, the end of the `with` block or that of the cluster."""

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name

    @property
    def addresses(self) -> list[str]:
        """Where the servers answer now: one for each worker, also for one that came later, once its server is there."""
        addresses: dict[str, str] = self._client.run(_address, name=self._name)
        return sorted(filter(None, addresses.values()))

    def stop(self) -> None:
        """End the servers; requests in flight have some seconds to end by themselves."""
        self._client.unregister_worker_plugin(self._name)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def serve_on(
    client: Client,
    caches: Mapping[str, Folder] | Sequence[str],
    *,
    port: int = 0,
    limits: Limits | None = None,
    token_file: Folder | None = None,
    certificate: tuple[Folder, Folder] | None = None,
    client_ca: Folder | None = None,
    grace: float = 5.0,
) -> Placement:
    """Serve caches on each worker of the dask cluster of `client`, also on those that join later.

    `caches` are folders by name, or as for `onewarp serve`; each worker must find them at these paths. A server listens
    at its worker's address, at `port` or at any that is free. Its tokens are in `token_file`, one a line; `certificate`
    are the files of its certificate and key, and with `client_ca` its callers need a certificate of that authority.
    When it ends, requests in flight have `grace` seconds.

        with serve_on(client, ["/data/pets"], token_file=tokens, certificate=(certificate, key)) as placement:
            first, *others = placement.addresses
            cache = connect(f"{first}/pets", token, replicas=others, roots=certificate)

    Raises `UsageError` where the cluster has no worker, or where a server would answer to anyone who reaches it,
    `CacheError` for a cache that a worker cannot open, and `ServiceError` where a server cannot listen.
    No server is left then.
    """
    replication = Replication(
        {name: Path(folder) for name, folder in caches.items()} if isinstance(caches, Mapping) else folders_of(caches),
        port,
        limits or Limits(),
        _path(token_file),
        None if certificate is None else (Path(certificate[0]), Path(certificate[1])),
        _path(client_ca),
        grace,
    )
    if not client.scheduler_info()["workers"]:
        raise UsageError("client must be that of a dask cluster with workers, but it has none")
    plugin = ServerPlugin(replication)
    placement = Placement(client, plugin.name)
    try:
        client.register_plugin(plugin)
    except BaseException:
        placement.stop()
        raise
    return placement


def _address(name: str, dask_worker: Any) -> str:
    plugin = dask_worker.plugins.get(name)
    return "" if plugin is None else str(plugin.address)


def _path(file: Folder | None) -> Path | None:
    return None if file is None else Path(file)
