"""Servers in this process, over caches of small pictures."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onewarp.pipeline import connect, presize
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.server import Server, Service


@pytest.fixture
def serve() -> Iterator[Callable[..., SimpleNamespace]]:
    """serve(name=folder, ..., **settings of Service): a server, as `address`, `service` and `connect(name, ...)`."""
    servers: list[Server] = []

    def start(folders: dict[str, Path], location: str = "grpc://127.0.0.1:0", **settings: Any) -> SimpleNamespace:
        tls = {name: settings.pop(name) for name in ("certificate", "client_ca") if name in settings}
        service = Service(ServedCaches(folders, settings.pop("growing", frozenset())), **settings)
        server = Server(service, location, **tls)
        servers.append(server)
        scheme = location.partition("://")[0]
        address = f"{scheme}://127.0.0.1:{server.port}"

        def connect_to(name: str = "", **options: Any) -> Any:
            return connect(f"{address}/{name}", **{"timeout": 20, **options})

        return SimpleNamespace(address=address, service=service, server=server, connect=connect_to)

    yield start
    for server in servers:
        if server._service is not None:
            server.stop(grace=5)


@pytest.fixture
def cache(pictures: Path, tmp_path: Path) -> Callable[..., Path]:
    """cache(encoding): the folder of a cache of the twelve pictures, with labels and splits."""

    def make(encoding: str = "jpeg", **settings: Any) -> Path:
        folder = tmp_path / f"{encoding}.cache"
        options = {"label": "parent", "split": "random:0.25:1", "encoding": encoding, **settings}
        presize(pictures, folder, 24, **options)
        return folder

    return make
