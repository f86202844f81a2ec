"""What a client streams is right in itself, or refused by name: whatever was done to its bytes."""

import random
import socket
from contextlib import suppress
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.benchmarks.faults.mutation import change_bytes, change_numbers
from onewarp.errors import UsageError
from onewarp.pipeline.service.record_stream import RecordStream

BATCH = pa.record_batch(
    {
        "key": ["a", "b", None],
        "image": pa.array([b"x" * 100, b"", b"y"], pa.binary_view()),
        "label": [["cat"], None, []],
        "size": [1, 2, 3],
    }
)


class Reader:
    """Reads Arrow's stream in bytes, as the reader of a Flight server reads messages."""

    def __init__(self, data):
        self._data = data

    @property
    def schema(self):
        return self._reader.schema

    @property
    def _reader(self):
        if isinstance(self._data, bytes):
            self._data = pa.ipc.open_stream(self._data)
        return self._data

    def read_chunk(self):
        return SimpleNamespace(data=self._reader.read_next_batch())


def stream_of(data):
    return RecordStream(Reader(data), "ipv4:127.0.0.1:9", 60)


def stored(compression=None):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, BATCH.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_batch(BATCH)
        writer.write_batch(BATCH.slice(1))
    return sink.getvalue().to_pybytes()


def test_a_schema_and_batches_come_as_they_were_sent():
    stream = stream_of(stored())
    assert stream.schema() == BATCH.schema
    assert (stream.next(), stream.next(), stream.next()) == (BATCH, BATCH.slice(1), None)


@given(seed=st.integers(0, 1 << 30), times=st.integers(1, 3), compression=st.sampled_from([None, "lz4", "zstd"]))
def test_a_stream_of_which_bytes_were_changed_is_right_in_itself_or_refused(seed, times, compression):
    draws = random.Random(seed)
    data = stored(compression)
    for _ in range(times):
        data = draws.choice((change_bytes, change_numbers))(data, draws)
    stream = stream_of(data)
    with suppress(UsageError):
        stream.schema()
        while (batch := stream.next()) is not None:
            batch.validate(full=True)
            assert len(repr(batch.to_pylist())) >= 2  # every value can be looked at


def test_what_is_no_stream_is_refused():
    for data in (b"", b"no Arrow", stored()[:20]):
        with pytest.raises(UsageError, match="must begin with an Arrow schema"):
            stream_of(data).schema()


def test_a_name_that_is_not_utf_8_is_refused():
    data = stored().replace(b"\x05\0\0\0image", b"\x05\0\0\0\xffmage")
    with pytest.raises(UsageError, match="must have names of UTF-8"):
        stream_of(data).schema()


def test_a_message_without_a_batch_is_refused():
    reader = SimpleNamespace(read_chunk=lambda: SimpleNamespace(data=None))
    with pytest.raises(UsageError, match="a message without one"):
        RecordStream(reader, "ipv4:127.0.0.1:9", 60).next()


def test_who_sends_nothing_is_dropped():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as ours:
        theirs = listener.accept()[0]

        def read_chunk():
            ours.recv(1)  # ends when the connection is dropped
            raise StopIteration

        stream = RecordStream(SimpleNamespace(read_chunk=read_chunk), f"ipv4:127.0.0.1:{ours.getpeername()[1]}", 0.1)
        with theirs, pytest.raises(TimeoutError, match=r"sent nothing for 0\.1 s, and its connection was dropped"):
            stream.next()
