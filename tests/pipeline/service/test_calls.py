"""Streams that never become requests: they end, they are counted, and a server stops in spite of them."""

import socket

import pytest
from pyarrow import flight

from onewarp.benchmarks.faults import grpc_bytes
from onewarp.pipeline.service.limits import Limits

TOKEN = "a-first-token"


@pytest.fixture
def served(cache, serve):
    """start(stall_seconds): a server with a token that lets few calls in."""
    folder = cache("raw")

    def start(seconds=1):
        return serve({"cache": folder}, limits=Limits(requests=4, stall_seconds=seconds), tokens=[TOKEN])

    return start


def open_stream(served, method, token=TOKEN):
    """A connection that has sent the headers of a call, and then nothing."""
    connection = socket.create_connection(("127.0.0.1", served.server.port))
    connection.settimeout(60)
    connection.sendall(grpc_bytes.begin() + grpc_bytes.call(method, token=token.encode()))
    return connection


def read_to_end(connection):
    data = b""
    while part := connection.recv(1 << 16):
        data += part
    return data


@pytest.mark.parametrize("method", ["DoPut", "DoExchange"])
def test_a_stream_without_a_descriptor_is_dropped(served, method):
    server = served()
    with open_stream(server, method) as connection:
        read_to_end(connection)
    with open_stream(server, method) as connection:
        read_to_end(connection)
    assert server.connect("cache", token=TOKEN).row(0).key


def test_a_connection_that_has_a_request_is_not_dropped(served):
    server = served()
    admission = server.service.admission
    with open_stream(server, "DoExchange") as busy:
        peer = f"ipv4:127.0.0.1:{busy.getsockname()[1]}"
        with admission.enter(peer):
            with open_stream(server, "DoExchange") as idle:
                read_to_end(idle)
            busy.settimeout(0.01)
            with pytest.raises(TimeoutError):
                read_to_end(busy)
        busy.settimeout(60)
        read_to_end(busy)


@pytest.mark.parametrize("method", ["DoPut", "DoExchange"])
def test_without_a_token_a_stream_ends_at_its_headers(served, method):
    server = served(seconds=3600)
    data = grpc_bytes.begin() + grpc_bytes.call(method, token=b"a-third-token")
    answer, ended = grpc_bytes.answer_to(server.server.port, data, 60)
    assert ended
    assert b"a token is needed" in answer


def refusal(client, options):
    """Why a call is refused; empty where it is not."""
    try:
        list(client.list_flights(b"", options))
    except flight.FlightUnavailableError as error:
        return str(error)
    return ""


def test_streams_that_wait_are_counted_and_health_is_answered_beside_them(served):
    server = served(seconds=3600)
    streams = [open_stream(server, "DoExchange") for _ in range(4)]
    options = flight.FlightCallOptions(timeout=60, headers=[(b"authorization", b"Bearer " + TOKEN.encode())])
    with flight.connect(server.address) as client:
        while not (reason := refusal(client, options)):  # a stream has yet to come to the server
            pass
        assert "4 calls, which is its limit" in reason
        assert list(client.do_action("health"))
        for stream in streams:
            stream.close()
        while refusal(client, options):  # the server has yet to hear of it
            pass


def test_a_server_stops_in_spite_of_streams_that_wait(served):
    server = served(seconds=3600)
    with open_stream(server, "DoPut") as first, open_stream(server, "DoExchange") as second:
        with flight.connect(server.address) as client:
            list(client.do_action("health"))  # the streams, which came before, have begun
        assert server.server.stop(grace=0)
        assert read_to_end(first) is not None
        assert read_to_end(second) is not None
