"""Calls that are written as bytes are what a server of Flight understands, and what pyarrow's own client would send."""

import socket
import threading

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import flight

from onewarp.benchmarks.faults import grpc_bytes

BATCH = pa.record_batch({"number": [1, 2, 3], "text": ["a", None, "c" * 20000]})


class Listener(flight.FlightServerBase):
    """Keeps what it is told."""

    def do_put(self, context, descriptor, reader, writer):
        self.came = descriptor.command, reader.read_all(), context.get_middleware("headers").headers

    def do_action(self, context, action):
        return [action.type.encode(), action.body.to_pybytes()]


class Headers(flight.ServerMiddleware):
    """Keeps the headers of a call."""

    def __init__(self, headers):
        self.headers = headers


class HeadersFactory(flight.ServerMiddlewareFactory):
    """Keeps the headers of each call."""

    def start_call(self, info, headers):
        return Headers(headers)


@pytest.fixture
def server():
    with Listener("grpc://127.0.0.1:0", middleware={"headers": HeadersFactory()}) as server:
        yield server


def test_a_stream_of_record_batches_arrives(server):
    data = grpc_bytes.begin() + grpc_bytes.call("DoPut", token=b"x" * 300, more=b"1")
    data += grpc_bytes.message(grpc_bytes.flight_data(*grpc_bytes.arrow_message(BATCH.schema), command=b"{}"))
    data += grpc_bytes.message(grpc_bytes.flight_data(*grpc_bytes.arrow_message(BATCH)), last=True)
    answer, ended = grpc_bytes.answer_to(server.port, data, 60)
    assert ended
    assert b"grpc-status\x010" in answer
    command, table, headers = server.came
    assert command == b"{}"
    assert table == pa.Table.from_batches([BATCH])
    assert headers["authorization"] == ["Bearer " + "x" * 300]
    assert headers["more"] == ["1"]


def test_an_action_is_answered(server):
    data = grpc_bytes.fields([(1, b"health"), (2, b"body")])
    data = grpc_bytes.begin() + grpc_bytes.call("DoAction") + grpc_bytes.message(data, last=True)
    answer, ended = grpc_bytes.answer_to(server.port, data, 60)
    assert ended
    data = b"".join(found[3] for found in grpc_bytes.frames(answer) if found[0] == grpc_bytes.Frame.DATA)
    results = [grpc_bytes.fields([(1, result)]) for result in (b"health", b"body")]
    assert data == b"".join(b"\0\0\0\0" + bytes([len(result)]) + result for result in results)


def test_who_does_not_answer_and_who_leaves_are_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert grpc_bytes.answer_to(port, b"", 0.05) == (b"", False)
        listener.accept()[0].close()
        accepting = threading.Thread(target=lambda: listener.accept()[0].close())
        accepting.start()
        assert grpc_bytes.answer_to(port, b"", 60) == (b"", True)
        accepting.join()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 255), st.integers(0, 99), st.binary(max_size=40))))
def test_frames_are_read_as_they_are_written_and_half_a_frame_is_none(them):
    data = b"".join(grpc_bytes.frame(*one) for one in them)
    assert list(grpc_bytes.frames(data)) == them
    assert list(grpc_bytes.frames(data[:-1])) == them[:-1]
