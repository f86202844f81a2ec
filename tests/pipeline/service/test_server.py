"""A server whose clients are slow, stop, or vanish: it holds little for them, lets all of it go, and ends when told."""

import gc
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import weakref
from contextlib import suppress

import pyarrow as pa
import pytest
import trustme
from pyarrow import flight

from onewarp.benchmarks.faults import grpc_bytes
from onewarp.benchmarks.faults.served_process import ServedProcess
from onewarp.errors import ServiceError
from onewarp.pipeline.service.limits import Limits
from onewarp.pipeline.service.recipes import recipe_json
from onewarp.pipeline.service.tickets import Augment, Ticket
from onewarp.transforms import Resize, fuse

MANY = tuple([*range(12)] * 2000)
"""Rows of more megabytes than a connection takes before they are read."""


@pytest.fixture
def served(cache, serve):
    """start(**limits): a server of a raw cache."""
    folder = cache("raw")

    def start(**limits):
        return serve({"cache": folder}, limits=Limits(**limits))

    return start


def ticket_of(served, rows=MANY, **changes):
    fingerprint = served.service.caches.current("cache").fingerprint
    if changes.get("send") == "augmented":
        changes["augment"] = Augment(recipe_json(fuse([Resize(64)])))
    return flight.Ticket(Ticket("cache", fingerprint, rows=rows, **{"batch_bytes": 1 << 18, **changes}).to_json())


def wait_until(condition):
    """Wait until something holds; a test that waits for ever is ended from outside."""
    while not condition():
        threading.Event().wait(0.01)


def is_idle(served):
    admission = served.service.admission
    state = served.service.monitoring.snapshot()
    return not (admission.in_flight or admission.peers or len(admission._calls) or state["in_flight"])


def errors_of(served, kind="get"):
    """The kinds of errors that requests ended with."""
    requests = served.service.monitoring.snapshot()["requests"]
    return {name for entry in requests if entry["kind"] == kind for name in entry["errors"]}


@pytest.mark.parametrize("send", ["stored", "pixels", "augmented"])
def test_a_reader_that_stops_is_dropped_and_all_is_let_go(served, send):
    server = served(stall_seconds=1)
    with flight.connect(server.address) as client:
        reader = client.do_get(ticket_of(server, send=send))
        reader.read_chunk()
        assert server.service.admission.in_flight == 1
        wait_until(lambda: is_idle(server))
        assert server.service.monitoring.snapshot()["bytes_held"] == 0
        with pytest.raises(flight.FlightUnavailableError):
            reader.read_all()
    with flight.connect(server.address) as client:
        assert client.do_get(ticket_of(server, range(12))).read_all().num_rows == 12


def test_slow_readers_get_all_rows_and_little_is_held_for_them(served):
    server = served(client_bytes=1 << 20)
    admission = server.service.admission
    rows = tuple([*range(12)] * 100)
    held, counts = [], []

    def read_slowly():
        with flight.connect(server.address) as client:
            count = 0
            for chunk in client.do_get(ticket_of(server, rows, send="augmented")):
                count += chunk.data.num_rows
                held.append(sum(admission._bytes.values()))
                threading.Event().wait(0.002)
            counts.append(count)

    readers = [threading.Thread(target=read_slowly) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert counts == [len(rows)] * 8
    assert 0 < max(held) <= 1 << 20
    wait_until(lambda: is_idle(server))


def test_a_client_that_leaves_in_the_middle_ends_its_request(served):
    server = served()
    with flight.connect(server.address) as client:
        for cancel in (True, False):
            reader = client.do_get(ticket_of(server, send="augmented"))
            reader.read_chunk()
            if cancel:
                reader.cancel()
            del reader
            wait_until(lambda: is_idle(server))
    assert errors_of(server) == {"Abandoned"}


_KEPT = 256 << 20  # bytes that the C library keeps for the next answers

CLIENT = """
import sys
from pyarrow import flight

clients, readers = [], []
for ticket in sys.stdin.read().split():
    clients.append(flight.FlightClient(sys.argv[1], generic_options=[("grpc.use_local_subchannel_pool", 1)]))
    options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer " + sys.argv[2].encode())])
    readers.append(clients[-1].do_get(flight.Ticket(bytes.fromhex(ticket)), options))
    readers[-1].read_chunk()
print("read", flush=True)
sys.stdin.read()
import time
time.sleep(3600)
"""


def test_fifty_clients_that_vanish_leave_nothing(cache, tmp_path):
    folder = cache("raw")
    with ServedProcess(tmp_path, [f"cache={folder}"]) as server:
        with flight.connect(server.address) as client:
            info = client.get_flight_info(flight.FlightDescriptor.for_path("cache"), server.options)
            fingerprint = json.loads(info.app_metadata)["fingerprint"]
            tickets = [
                Ticket("cache", fingerprint, send, MANY, binary=binary, batch_bytes=1 << 18).to_json().hex()
                for send in ("stored", "pixels")
                for binary in ("view", "plain")
            ]
            client.do_get(flight.Ticket(bytes.fromhex(tickets[0])), server.options).read_all()
        vanish(server, tickets[:1])
        start = server.holdings()
        vanish(server, [tickets[i % len(tickets)] for i in range(50)])
        end = server.settle(start, _KEPT)
        assert end.is_back(start, _KEPT), (start, end)


def vanish(server, tickets):
    """Read the first rows of tickets by a process that has a connection for each, and kill it."""
    command = [sys.executable, "-c", CLIENT, server.address, server.token]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        client.stdin.write(" ".join(tickets))
        client.stdin.close()
        assert client.stdout.readline() == "read\n"
        assert server.holdings().in_flight == len(tickets)
        client.kill()


def test_sockets_that_are_closed_in_the_middle_of_a_call_leave_no_loop(served):
    server = served()
    data = grpc_bytes.fields([(1, ticket_of(server).ticket)])
    whole = grpc_bytes.begin() + grpc_bytes.call("DoGet") + grpc_bytes.message(data, last=True)
    before = threading.active_count(), len(os.listdir("/dev/fd"))
    for end in range(0, len(whole), len(whole) // 50):
        with socket.create_connection(("127.0.0.1", server.server.port)) as connection:
            connection.sendall(whole[:end])
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", server.server.port)) as connection:
            connection.sendall(whole)
            connection.recv(1 << 16)
    wait_until(lambda: is_idle(server))
    wait_until(lambda: len(os.listdir("/dev/fd")) <= before[1])
    assert threading.active_count() <= before[0] + 8  # the server's pool


def test_a_server_ends_in_spite_of_a_reader_that_has_stopped(served):
    server = served()
    with flight.connect(server.address) as client:
        readers = [client.do_get(ticket_of(server, send=send)) for send in ("stored", "pixels", "augmented")]
        for reader in readers:
            reader.read_chunk()
        assert not server.server.stop(grace=0.05)
        for reader in readers:
            with pytest.raises(flight.FlightUnavailableError):
                reader.read_all()


def test_what_is_in_flight_ends_before_the_server_and_what_comes_is_refused(served):
    server = served()
    with flight.connect(server.address) as client, flight.connect(server.address) as other:
        reader = client.do_get(ticket_of(server))
        reader.read_chunk()
        ended = []
        stopping = threading.Thread(target=lambda: ended.append(server.server.stop(grace=600)))
        stopping.start()
        wait_until(lambda: not server.service.monitoring.accepts and not server.service.admission._is_open)
        assert json.loads(next(iter(other.do_action("health"))).body.to_pybytes())["state"] == "stopping"
        for refused in (
            lambda: list(other.list_flights()),
            lambda: list(other.do_action("stats")),
            lambda: other.do_get(ticket_of(server)).read_all(),
        ):
            with pytest.raises(flight.FlightUnavailableError, match="the server is stopping"):
                refused()
        assert reader.read_all().num_rows > 0
        stopping.join()
    assert ended == [True]


def test_a_stopped_server_lets_go_of_what_it_served(cache, serve):
    folder = cache("raw")
    served = serve({"cache": folder})
    with flight.connect(served.address) as client:
        client.do_get(ticket_of(served, range(12))).read_all()
    generation = served.service.caches.current("cache")
    kept = [weakref.ref(one) for one in (served.service, served.service.caches, generation.cache, generation.rows)]
    kept.append(weakref.ref(generation.cache.small))
    server = served.server
    assert any("cache" in line for line in maps_of(folder))
    del generation, served
    server.stop()
    gc.collect()
    assert [one() for one in kept] == [None] * len(kept)
    assert maps_of(folder) == []


def maps_of(folder):
    """What this process has mapped of a folder."""
    with open("/proc/self/maps") as maps:
        return [line for line in maps if str(folder) in line]


def test_a_server_that_has_stopped_refuses_and_its_port_is_free(served, serve):
    server = served()
    server.server.stop()
    with pytest.raises(flight.FlightUnavailableError):
        server.server.list_flights(None, b"")
    again = serve({}, server.address)
    with flight.connect(again.address) as client:
        assert list(client.list_flights()) == []


def test_an_address_in_use_is_refused(served, serve):
    with pytest.raises(ServiceError, match="must be a free address of this machine"):
        serve({}, served().address)


@pytest.mark.parametrize(
    ("descriptor", "reason"),
    [
        (flight.FlightDescriptor.for_path("none"), "the server has no cache 'none': it has cache"),
        (flight.FlightDescriptor.for_path("cache", "more"), "must be a path of one name"),
        (flight.FlightDescriptor.for_path(), "must be a path of one name"),
        (flight.FlightDescriptor.for_command(b"cache"), "must be a path of one name"),
        (flight.FlightDescriptor.for_path("../cache"), "the server has no cache"),
    ],
)
def test_a_descriptor_of_no_cache_is_refused(served, descriptor, reason):
    with flight.connect(served().address) as client, pytest.raises(flight.FlightServerError, match=reason):
        client.get_flight_info(descriptor)


def test_actions_are_listed_and_others_are_refused(served):
    with flight.connect(served().address) as client:
        assert [action.type for action in client.list_actions()] == ["health", "stats", "explain"]
        recipe = recipe_json(fuse([Resize(8)]))
        (said,) = client.do_action(flight.Action("explain", json.dumps({"version": 1, "recipe": recipe}).encode()))
        assert json.loads(said.body.to_pybytes())["resamplings"] == 1
        for action in ("", "x", "health "):
            with pytest.raises(flight.FlightServerError, match="the server has no action"):
                list(client.do_action(action))
        with pytest.raises(flight.FlightServerError, match="must be JSON"):
            list(client.do_action(flight.Action("explain", b"\xff")))


def test_a_stream_that_the_server_does_not_take_is_refused(served):
    with flight.connect(served().address) as client:
        descriptor = flight.FlightDescriptor.for_command(b"{}")
        writer, reader = client.do_exchange(descriptor)
        with pytest.raises(flight.FlightServerError, match="takes no images"):
            reader.read_chunk()
        with suppress(pa.ArrowException):
            writer.close()
        writer, _ = client.do_put(descriptor, pa.schema([("key", pa.string())]))
        with pytest.raises(flight.FlightServerError, match="has no cache that may grow"):
            writer.close()


def test_flight_info_names_each_replica_with_a_share_of_the_rows(cache, serve):
    replicas = ["grpc://a:1", "grpc://b:2", "grpc://c:3"]
    served = serve({"cache": cache("raw")}, advertised=replicas)
    with flight.connect(served.address) as client:
        info = client.get_flight_info(flight.FlightDescriptor.for_path("cache"))
        (listed,) = client.list_flights(b"ca")
        assert list(client.list_flights(b"x")) == []
        assert (info.total_records, listed.total_records) == (12, 12)
        assert [place.uri.decode() for place in info.endpoints[1].locations] == [
            "grpc://b:2",
            "grpc://c:3",
            "grpc://a:1",
        ]
        tables = [client.do_get(endpoint.ticket).read_all() for endpoint in info.endpoints]
        assert all(table.schema == info.schema for table in tables)
        keys = pa.concat_tables(tables).column("key").to_pylist()
    assert keys == served.service.caches.current("cache").cache.index.column("key").to_pylist()


@pytest.mark.parametrize("binary", ["view", "plain"])
def test_rows_are_the_same_in_every_compression(served, binary):
    server = served()
    with flight.connect(server.address) as client:
        tables = [
            client.do_get(ticket_of(server, (5, 1, 5), binary=binary, compression=compression)).read_all()
            for compression in ("none", "lz4", "zstd")
        ]
    cache = server.service.caches.current("cache").cache
    images = [bytes(cache.bytes_of(row)) for row in (5, 1, 5)]
    assert all(table.column("image").to_pylist() == images for table in tables)


def test_no_path_is_in_what_a_server_says_of_its_caches(served, tmp_path):
    with flight.connect(served().address) as client:
        info = client.get_flight_info(flight.FlightDescriptor.for_path("cache"))
    assert str(tmp_path).encode() not in info.serialize()
    assert b"pictures" not in info.serialize()


def test_what_is_no_tls_at_a_port_of_tls_does_it_no_harm(serve):
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    certificate = issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()
    served = serve({}, "grpc+tls://127.0.0.1:0", certificate=certificate)
    port = served.server.port
    call = grpc_bytes.begin() + grpc_bytes.call("DoAction") + grpc_bytes.message(b"", last=True)
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n", call, b"\x16\x03\x01" + os.urandom(300), b"\x16\x03\x01\xff\xff"):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(data)
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
    with flight.FlightClient(f"grpc+tls://localhost:{port}", tls_root_certs=authority.cert_pem.bytes()) as client:
        assert list(client.do_action("health"))
    with flight.FlightClient(f"grpc://127.0.0.1:{port}") as client, pytest.raises(flight.FlightUnavailableError):
        list(client.do_action("health", flight.FlightCallOptions(timeout=60)))
