"""Clients that have stopped: their connections are dropped, and the server goes on."""

import os
import queue
import socket
import subprocess
import sys
import threading

import pyarrow as pa
import pytest
from pyarrow import flight

from onewarp.pipeline.service.time_limit import drop_connection, time_limit

SCHEMA = pa.schema([("number", pa.int64())])
ROW = pa.RecordBatch.from_arrays([pa.array([1], pa.int64())], schema=SCHEMA)


class Listener(flight.FlightServerBase):
    """Reads in a thread of its own, as a handler does that answers meanwhile."""

    def __init__(self, location: str, seconds: float) -> None:
        super().__init__(location)
        self.seconds, self.errors, self.rows = seconds, queue.Queue(), 0

    def do_exchange(self, context, descriptor, reader, writer):
        def read():
            try:
                while True:
                    with time_limit(context.peer(), self.seconds, "sent nothing"):
                        reader.read_chunk()
                    self.rows += 1
            except (StopIteration, TimeoutError) as error:
                self.errors.put(error)

        thread = threading.Thread(target=read, name="reads a stream")
        thread.start()
        thread.join()
        if not context.is_cancelled():
            writer.begin(SCHEMA)
            writer.write_batch(ROW)


@pytest.fixture(params=["127.0.0.1", "[::1]"])
def address(request):
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((request.param.strip("[]"), 0))
    except OSError:
        pytest.skip(f"this machine has no {request.param}")
    return request.param


def exchange(client):
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(b"{}"))
    writer.begin(SCHEMA)
    writer.write_batch(ROW)
    return writer, reader


def test_a_client_that_stops_sending_is_dropped_and_the_next_one_is_answered(address):
    server = Listener(f"grpc://{address}:0", 0.2)
    with flight.connect(f"grpc://{address}:{server.port}") as client:
        writer, reader = exchange(client)
        with pytest.raises(flight.FlightUnavailableError):
            reader.read_chunk()
        assert "sent nothing for 0.2 s" in str(server.errors.get(timeout=60))
        with pytest.raises(pa.ArrowException):
            writer.close()
    server.seconds = 60
    with flight.connect(f"grpc://{address}:{server.port}") as client:
        writer, reader = exchange(client)
        writer.done_writing()
        assert reader.read_chunk().data == ROW
        writer.close()
    assert server.rows == 2
    server.shutdown()


def test_many_that_stop_at_once_leave_no_thread_and_no_file():
    server = Listener("grpc://127.0.0.1:0", 0.2)

    def stall():
        with flight.connect(f"grpc://127.0.0.1:{server.port}") as client:
            writer, reader = exchange(client)
            with pytest.raises(flight.FlightUnavailableError):
                reader.read_chunk()
            with pytest.raises(pa.ArrowException):
                writer.close()

    stall()
    before = len(os.listdir("/dev/fd"))
    clients = [threading.Thread(target=stall) for _ in range(12)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    server.shutdown()
    assert all(isinstance(server.errors.get(timeout=60), TimeoutError) for _ in range(13))
    assert "reads a stream" not in [thread.name for thread in threading.enumerate()]
    assert len(os.listdir("/dev/fd")) <= before


def test_what_ends_in_time_is_left_alone():
    ours, theirs = socket.socketpair()
    with ours, theirs, time_limit("ipv4:127.0.0.1:9", 60, "waits"):
        ours.send(b"1")
        assert theirs.recv(1) == b"1"


def test_a_peer_without_a_connection_is_none_to_drop():
    assert not drop_connection("ipv4:127.0.0.1:1")
    assert not drop_connection("unix:")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_only_the_connection_of_this_peer_is_dropped(host):
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        first, second = (socket.create_connection(listener.getsockname()[:2]) for _ in range(2))
        with first, second, listener.accept()[0], listener.accept()[0] as other:
            port = first.getsockname()[1]
            assert drop_connection(f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}")
            assert first.recv(1) == b""
            other.send(b"x")
            assert second.recv(1) == b"x"


WITHOUT_FILES = """
import os, resource, socket, threading
from onewarp.pipeline.service.time_limit import time_limit

with socket.create_server(("127.0.0.1", 0)) as listener:
    first, second = (socket.create_connection(listener.getsockname()) for _ in range(2))
    there = [listener.accept()[0] for _ in range(2)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) - 1, hard))
    threading.Timer(0.5, resource.setrlimit, (resource.RLIMIT_NOFILE, (soft, hard))).start()
    for connection in (first, second):
        host, port = connection.getsockname()
        try:
            with time_limit(f"ipv4:{host}:{port}", 0.1, "sent nothing"):
                print(connection.recv(1))
        except TimeoutError as error:
            print(error)
"""


def test_where_no_file_can_be_opened_a_connection_is_dropped_as_soon_as_one_can():
    done = subprocess.run([sys.executable, "-c", WITHOUT_FILES], capture_output=True, text=True, check=False)
    said = "the client sent nothing for 0.1 s, and its connection was dropped"
    assert done.stdout.splitlines() == ["b''", said] * 2, done.stderr
