"""A server as a process: where it listens, when it says that it answers, how it ends."""

import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from threading import Event
from types import FrameType
from urllib.parse import urlsplit

from ...errors import ServiceError, UsageError
from .freed_memory import keep_freed_memory
from .metrics_server import serve_metrics
from .server import Server, Service

PARENT = "ONEWARP_SUPERVISOR"
"""The environment variable with the process whose end is the end of this one, too."""

_SCHEMES = ("grpc", "grpc+tcp", "grpc+tls")


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
        return _parse(self.address)[1]

    @property
    def port(self) -> int:
        """The port, 0 for any that is free."""
        return _parse(self.address)[2]

    @property
    def location(self) -> str:
        """The address with the scheme of TLS where there is a certificate."""
        return self.on(self.port)

    def on(self, port: int) -> str:
        """The address on another port."""
        scheme = "grpc+tls" if self.certificate else "grpc"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{port}"

    def refuse_open(self, has_token: bool) -> None:
        """Raise `UsageError` for an address that others reach, unless it is encrypted and callers are known."""
        scheme = _parse(self.address)[0]
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

    def read_certificate(self) -> tuple[bytes, bytes] | None:
        """The certificate and its key; `ServiceError` where they do not belong together."""
        if self.certificate is None:
            return None
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self.certificate)
        except ssl.SSLError as error:
            mismatch = error.reason == "KEY_VALUES_MISMATCH"
            reason = "the key is that of another certificate" if mismatch else f"they are no PEM files ({error.reason})"
            raise ServiceError(f"{self.certificate[0]} and {self.certificate[1]} cannot be used: {reason}") from None
        except OSError as error:
            raise ServiceError(f"the certificate or its key cannot be read ({error.strerror})") from None
        return self.certificate[0].read_bytes(), self.certificate[1].read_bytes()


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
        while not stopping.wait(1.0) and parent in (0, os.getppid()):
            pass
        server.stop(grace)


def start(service: Service, listening: Listening) -> Server:
    """A server of a service; see `run` for what it raises."""
    keep_freed_memory()
    certificate = listening.read_certificate()
    client_ca = None if listening.client_ca is None else _read(listening.client_ca)
    return Server(service, listening.location, certificate=certificate, client_ca=client_ca)


@contextmanager
def _signals() -> Iterator[Event]:
    """An event that SIGTERM and Ctrl-C set; what handled them before does so again afterwards."""
    stopping = Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ServiceError(f"{path} cannot be read ({error.strerror})") from None


def _parse(address: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address to listen to."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in _SCHEMES or not parts.hostname or port is None or parts.path.strip("/") or parts.query:
        raise UsageError(f"listen must be like grpc://127.0.0.1:8815, but got {address!r}")
    return parts.scheme, parts.hostname, port


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
            raise UsageError(f"caches must have different names, but two are called {name!r}: give name=folder")
        folders[name] = folder
    return folders
