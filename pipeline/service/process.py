"""A server as a process: where it listens, when it says that it answers, how it ends."""

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType

import pyarrow as pa

from ...errors import UsageError
from .addresses import Address, location, parse_address
from .certificates import read_authority, read_pair
from .freed_memory import IdleMemory, keep_freed_memory
from .metrics_server import serve_metrics
from .server import Server, Service

PARENT = "ONEWARP_SUPERVISOR"
"""The environment variable with the process whose end is the end of this one, too."""


@dataclass(frozen=True)
class Listening:
    """Where a server listens: `address` like `grpc://127.0.0.1:8815`, and the PEM files of TLS.

    `certificate` is the certificate and its key, `client_ca` the authority whose clients alone may connect.
    """

    address: str = "grpc://127.0.0.1:8815"
    certificate: tuple[Path, Path] | None = None
    client_ca: Path | None = None

    @property
    def host(self) -> str:
        """The host that is listened to."""
        return _parse(self.address).host

    @property
    def port(self) -> int:
        """The port, 0 for any that is free."""
        return _parse(self.address).port

    @property
    def location(self) -> str:
        """The address with the scheme of TLS where there is a certificate."""
        return self.on(self.port)

    def on(self, port: int) -> str:
        """The address on another port."""
        return location("grpc+tls" if self.certificate else "grpc", self.host, port)

    def refuse_open(self, has_token: bool) -> None:
        """Raise `UsageError` for an address that others reach, unless it is encrypted and callers are known."""
        scheme = _parse(self.address).scheme
        if scheme == "grpc+tls" and self.certificate is None:
            raise UsageError("listen must have a certificate for grpc+tls: give --tls CERTIFICATE KEY")
        if self.client_ca is not None and self.certificate is None:
            raise UsageError("client_ca must have a certificate of the server's own: give --tls CERTIFICATE KEY")
        if is_loopback(self.host):
            return
        if self.certificate is None:
            raise UsageError(
                f"listen must be a loopback address unless the connection is encrypted, but got {self.host}: give "
                "--tls CERTIFICATE KEY"
            )
        if not has_token and self.client_ca is None:
            raise UsageError(
                f"listen must be a loopback address unless callers are known, but got {self.host}: give --token-file "
                "or --client-ca"
            )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ip_address(address.partition("%")[0]).is_loopback for address in found)


def run(
    service: Service,
    listening: Listening,
    say: Callable[[str], object],
    *,
    metrics: str | None = None,
    grace: float = 30.0,
) -> None:
    """Serve until SIGTERM or Ctrl-C; then refuse what comes, and let what is in flight end within `grace` seconds.

    `say` is told the address once it answers. A second signal ends at once. Raises `ServiceError` where the address is
    in use.
    """
    listening.refuse_open(bool(service.tokens))
    with ExitStack() as stack, _signals() as stopping:
        if metrics is not None:
            stack.enter_context(serve_metrics(service.monitoring, metrics))
        server = start(service, listening)
        say(f"{listening.on(server.port)} serves {', '.join(service.caches.names) or 'no cache'}")
        parent = int(os.environ.get(PARENT, "0"))
        memory = IdleMemory(service.monitoring, service.caches.release_memory)
        while parent in (0, os.getppid()):
            with suppress(Empty):
                stopping.get(timeout=1.0)
                break
            memory.look()
        server.stop(grace)


def start(service: Service, listening: Listening) -> Server:
    """A server of a service; see `run` for what it raises."""
    keep_freed_memory()
    # At its first array pyarrow looks for pandas, and imports it for seconds: else the first client waits for that.
    pa.array([])
    certificate = None if listening.certificate is None else read_pair(*listening.certificate)
    client_ca = None if listening.client_ca is None else read_authority(listening.client_ca)
    return Server(service, listening.location, certificate=certificate, client_ca=client_ca)


@contextmanager
def _signals() -> Iterator["SimpleQueue[int]"]:
    """A queue that gets SIGTERM and Ctrl-C; what handled them before does so again afterwards.

    A handler may put into a `SimpleQueue` whatever it interrupts: an `Event` may hold its own lock then.
    """
    stopping = SimpleQueue[int]()
    numbers: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if numbers:
            os._exit(128 + number)
        numbers.append(number)
        stopping.put(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parse(address: str) -> Address:
    """The parts of an address to listen to."""
    found = parse_address(address)
    if found is None or found.name is not None:
        raise UsageError(f"listen must be like grpc://127.0.0.1:8815, but got {address!r}")
    return found


def folders_of(caches: Sequence[str]) -> dict[str, Path]:
    """Folders of caches by name: each is a folder, or `name=folder`. Raises `UsageError` where two have one name."""
    folders: dict[str, Path] = {}
    for text in caches:
        name, sign, path = text.partition("=")
        if not sign or "/" in name:
            name, path = "", text
        folder = Path(os.path.abspath(path))
        name = name or folder.name
        if name in folders:
            raise UsageError(f"caches must have different names, but two are called {name!r}: give NAME=FOLDER")
        folders[name] = folder
    return folders
