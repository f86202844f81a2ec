"""What Prometheus and probes are told of a server."""

import socket
import sys
import threading
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import prometheus_client
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_metrics

from onewarp.errors import MissingDependencyError, ResourceError, UsageError
from onewarp.pipeline.service import metrics_server
from onewarp.pipeline.service.metrics_server import serve_metrics
from onewarp.pipeline.service.monitoring import Monitoring


@pytest.fixture
def monitoring():
    counted = Monitoring()
    with counted.request("get", "stored") as tally:
        tally.add(rows=64, nbytes=1 << 20)
    with suppress(ValueError), counted.request("get", "stored"):
        raise ValueError
    counted.hold(4096)
    return counted


@pytest.fixture
def url(monitoring):
    with serve_metrics(monitoring, "127.0.0.1:0") as url:
        yield url


def get(url, **headers):
    try:
        with urlopen(Request(url, headers=headers), timeout=30) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except HTTPError as error:
        return error.code, error.read().decode(), error.headers


@pytest.mark.parametrize(
    ("accept", "parse"), [("", plain_metrics), ("application/openmetrics-text; version=1.0.0", open_metrics)]
)
def test_prometheus_reads_the_counters(monitoring, url, accept, parse):
    with monitoring.request("exchange"):
        status, text, headers = get(f"{url}/metrics", Accept=accept)
    assert status == 200
    assert headers["Content-Type"].split(";")[0] == (accept.split(";")[0] or "text/plain")
    found = {(s.name, *sorted(s.labels.items())): s.value for family in parse(text) for s in family.samples}
    stored = (("kind", "get"), ("sent", "stored"))
    assert found["onewarp_rows_total", *stored] == 64
    assert found["onewarp_bytes_total", *stored] == 1 << 20
    assert found["onewarp_request_seconds_count", *stored] == 2
    assert found["onewarp_request_seconds_bucket", stored[0], ("le", "+Inf"), stored[1]] == 2
    assert found["onewarp_errors_total", ("error", "ValueError"), *stored] == 1
    assert found["onewarp_requests_in_flight", ("kind", "exchange")] == 1
    assert found["onewarp_bytes_held",] == 4096
    assert found["process_resident_memory_bytes",] > 0


def test_it_is_ready_while_it_accepts_requests_and_alive_all_along(monitoring, url):
    def states():
        return get(f"{url}/readyz")[0], get(f"{url}/healthz")[0], get(f"{url}/metrics")[0]

    assert states() == (503, 200, 200)
    monitoring.accept()
    assert states() == (200, 200, 200)
    monitoring.drain()
    assert states() == (503, 200, 200)
    assert get(f"{url}/readyz")[1] == "accepts no requests\n"


def test_nothing_else_is_there(url):
    assert get(f"{url}/etc/passwd")[:2] == (404, "there are /metrics, /healthz and /readyz\n")
    with pytest.raises(HTTPError, match="501"):
        urlopen(Request(f"{url}/metrics", method="POST", data=b"x"), timeout=30)
    with urlopen(Request(f"{url}/healthz", method="HEAD"), timeout=30) as answer:
        assert (answer.status, answer.read(), answer.headers["Server"]) == (200, b"", "onewarp")


def test_no_thread_is_left_even_of_clients_that_say_nothing(monitoring):
    before = set(threading.enumerate())
    with serve_metrics(monitoring, "127.0.0.1:0") as url:
        port = int(url.rsplit(":", 1)[1])
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        silent[0].sendall(b"GET /metr")
        assert get(f"{url}/healthz")[0] == 200
    assert set(threading.enumerate()) <= before  # threads of other tests' servers may end meanwhile
    for connection in silent:
        connection.close()
    with serve_metrics(monitoring, f"127.0.0.1:{port}") as again:  # the port is free
        assert again == url


def test_more_connections_than_there_may_be_are_ended(monitoring, monkeypatch, url):
    monkeypatch.setattr(metrics_server, "_MOST", 2)
    port = int(url.rsplit(":", 1)[1])
    with (
        socket.create_connection(("127.0.0.1", port)),
        socket.create_connection(("127.0.0.1", port)),
        socket.create_connection(("127.0.0.1", port)) as third,
    ):
        third.settimeout(30)
        assert third.recv(1) == b""
    monkeypatch.setattr(metrics_server, "_MOST", 64)
    assert get(f"{url}/healthz")[0] == 200


def test_the_registry_of_the_process_is_left_alone(url):
    assert get(f"{url}/metrics")[0] == 200
    assert not [family.name for family in prometheus_client.REGISTRY.collect() if family.name.startswith("onewarp")]


@pytest.mark.parametrize(
    "address",
    ["", "9090", "localhost", "127.0.0.1:", ":9090", "127.0.0.1:99999", "a:b:1", "127.0.0.1:1/x", "u@127.0.0.1:1"],
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(UsageError, match=r"metrics must be HOST:PORT, as 127\.0\.0\.1:9090, but got "):
        serve_metrics(Monitoring(), address).__enter__()


def test_an_address_in_use_is_one_line(url):
    address = url.removeprefix("http://")
    with pytest.raises(ResourceError, match=rf"^metrics cannot be served at {address}: Address already in use"):
        serve_metrics(Monitoring(), address).__enter__()


def test_an_address_of_version_6_is_served(monitoring):
    try:
        with serve_metrics(monitoring, "[::1]:0") as url:
            assert url.startswith("http://[::1]:")
            assert get(f"{url}/healthz")[0] == 200
    except ResourceError as error:
        pytest.skip(f"this machine has no IPv6: {error}")


def test_a_missing_library_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingDependencyError, match="pip install prometheus-client"):
        serve_metrics(Monitoring(), "127.0.0.1:0").__enter__()
