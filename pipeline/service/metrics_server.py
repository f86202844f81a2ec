"""A server's counters for Prometheus, and whether it lives and accepts requests, by HTTP on a port of their own."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from socket import AF_INET, AF_INET6, SHUT_RDWR, getaddrinfo, socket
from socketserver import TCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...errors import MissingDependencyError, ResourceError, UsageError
from .monitoring import BOUNDS, Monitoring

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

_SECONDS = 5  # after which a client that says nothing is left
_MOST = 64  # connections at a time


@contextmanager
def serve_metrics(monitoring: Monitoring, address: str) -> Iterator[str]:
    """Answer `/metrics`, `/healthz` and `/readyz` at `address` (`HOST:PORT`, port 0 for any) within the `with` block.

    `/healthz` is 200 while the process lives, `/readyz` 200 while requests are accepted and 503 before and after.
    Gives the URL that it answers at. All threads end with the block.

    Raises MissingDependencyError without prometheus-client, UsageError for another address, and ResourceError where
    nothing can listen at it.
    """
    registry, (host, port) = _registry(monitoring), _host_and_port(address)
    try:
        server = _Server(host, port, partial(_Handler, monitoring, registry))
    except OSError as error:
        raise ResourceError(f"metrics cannot be served at {address}: {error.strerror or error}") from None
    thread = Thread(target=server.serve_forever, args=(0.1,), name="onewarp-metrics")
    thread.start()
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """One thread for each connection, all of which end with the server."""

    daemon_threads, allow_reuse_port = False, False

    def __init__(self, host: str, port: int, handler: Any) -> None:
        self._connections: set[socket] = set()
        self.address_family = AF_INET6 if ":" in host else AF_INET
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        """Bind, without asking the network what this host is called."""
        TCPServer.server_bind(self)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether one connection more is answered."""
        self._connections.add(request)
        return len(self._connections) <= _MOST

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """End all connections, also of clients that neither read nor write, and wait for their threads."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing to say of a client that has left."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _SECONDS

    def __init__(self, monitoring: Monitoring, registry: "CollectorRegistry", *args: Any) -> None:
        self._monitoring, self._registry = monitoring, registry
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer a request."""
        match urlsplit(self.path).path:
            case "/metrics":
                from prometheus_client.exposition import choose_encoder

                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(200, encode(self._registry), content_type)
            case "/healthz":
                self._answer(200, b"alive\n")
            case "/readyz" if self._monitoring.accepts:
                self._answer(200, b"accepts requests\n")
            case "/readyz":
                self._answer(503, b"accepts no requests\n")
            case _:
                self._answer(404, b"there are /metrics, /healthz and /readyz\n")

    do_HEAD = do_GET  # noqa: N815, as http.server names it

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """The name of the server, without versions."""
        return "onewarp"

    def log_message(self, *args: Any) -> None:
        """Nothing: probes come every second."""


def _registry(monitoring: Monitoring) -> "CollectorRegistry":
    """What Prometheus reads: the counters of `monitoring`, and memory and files of this process."""
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector
    except ImportError:
        raise MissingDependencyError(
            "metrics must have prometheus-client, which is not installed: pip install prometheus-client"
        ) from None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(monitoring))
    ProcessCollector(registry=registry)
    return registry


class _Collector:
    """Makes metrics of a server's counters each time that they are asked for."""

    def __init__(self, monitoring: Monitoring) -> None:
        self._monitoring = monitoring

    def describe(self) -> list["Metric"]:
        """Nothing: names are known when they are collected."""
        return []

    def collect(self) -> Iterator["Metric"]:
        """All metrics at this moment."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        state = self._monitoring.state()
        names = ["kind", "sent"]
        rows = CounterMetricFamily("onewarp_rows", "Rows that were sent or received.", labels=names)
        nbytes = CounterMetricFamily("onewarp_bytes", "Bytes of rows that were sent or received.", labels=names)
        seconds = HistogramMetricFamily("onewarp_request_seconds", "Seconds that a request took.", labels=names)
        errors = CounterMetricFamily("onewarp_errors", "Requests that failed.", labels=[*names, "error"])
        for name, totals in state.totals.items():
            rows.add_metric(name, totals.rows)
            nbytes.add_metric(name, totals.nbytes)
            bounds = [*map(str, BOUNDS), "+Inf"]
            buckets = list(zip(bounds, map(float, accumulate(totals.counts)), strict=True))
            seconds.add_metric(name, buckets, totals.seconds)
            for error, count in totals.errors.items():
                errors.add_metric([*name, error], count)
        yield from (rows, nbytes, seconds, errors)
        in_flight = GaugeMetricFamily("onewarp_requests_in_flight", "Requests that have not ended.", labels=["kind"])
        for kind, count in state.in_flight.items():
            in_flight.add_metric([kind], count)
        yield in_flight
        yield GaugeMetricFamily("onewarp_bytes_held", "Bytes that are held for clients.", value=state.bytes_held)
        yield GaugeMetricFamily("onewarp_accepts", "1 while new requests are answered.", value=state.accepts)


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
        if host is None or port is None or parts.path or parts.query or parts.username is not None:
            raise ValueError
        getaddrinfo(host, port)
    except (ValueError, OSError):
        raise UsageError(f"metrics must be HOST:PORT, as 127.0.0.1:9090, but got {address!r}") from None
    return host, port
