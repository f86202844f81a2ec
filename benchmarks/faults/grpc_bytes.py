"""Calls of Arrow Flight as bytes, so that any of them can be changed: HTTP/2 frames, gRPC messages, protobuf fields."""

import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from enum import IntEnum

import pyarrow as pa

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SERVICE = "/arrow.flight.protocol.FlightService/"
END_HEADERS, END_STREAM = 4, 1


class Frame(IntEnum):
    """Kinds of frames (RFC 9113)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def frames(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The whole frames in bytes: kind, flags, stream, payload."""
    while len(data) >= 9:
        length = int.from_bytes(data[:3])
        kind, flags, stream = struct.unpack(">BBI", data[3:9])
        if len(data) < 9 + length:
            return
        yield kind, flags, stream, data[9 : 9 + length]
        data = data[9 + length :]


def begin() -> bytes:
    """What a client says first: with windows so large that no answer has to wait for it."""
    window = 1 << 30
    settings = struct.pack(">HI", 4, window)
    return PREFACE + frame(Frame.SETTINGS, 0, 0, settings) + frame(Frame.WINDOW_UPDATE, 0, 0, struct.pack(">I", window))


def headers(fields: Mapping[str, bytes], stream: int, flags: int = END_HEADERS) -> bytes:
    """A frame of headers, none of them compressed (RFC 7541)."""
    block = b"".join(b"\x10" + _text(name.encode()) + _text(value) for name, value in fields.items())
    return frame(Frame.HEADERS, flags, stream, block)


def call(method: str, stream: int = 1, token: bytes | None = None, **more: bytes) -> bytes:
    """The headers of a call of Flight, as `DoGet`."""
    fields = {
        ":method": b"POST",
        ":scheme": b"http",
        ":path": (SERVICE + method).encode(),
        ":authority": b"localhost",
        "te": b"trailers",
        "content-type": b"application/grpc",
        **({} if token is None else {"authorization": b"Bearer " + token}),
        **more,
    }
    return headers(fields, stream)


def message(data: bytes, stream: int = 1, last: bool = False, length: int | None = None) -> bytes:
    """A message of gRPC in frames of HTTP/2; `length` is what it says of its length."""
    whole = b"\0" + struct.pack(">I", len(data) if length is None else length) + data
    pieces = [whole[begin : begin + 16384] for begin in range(0, len(whole), 16384)]
    ends = [END_STREAM if last and piece is pieces[-1] else 0 for piece in pieces]
    return b"".join(frame(Frame.DATA, end, stream, piece) for piece, end in zip(pieces, ends, strict=True))


def fields(values: Sequence[tuple[int, bytes | int]]) -> bytes:
    """A message of protobuf: its fields by number."""
    out = b""
    for number, value in values:
        kind = 0 if isinstance(value, int) else 2
        out += _varint(number << 3 | kind) + (_varint(value) if isinstance(value, int) else _varint(len(value)) + value)
    return out


def descriptor(command: bytes) -> bytes:
    """A `FlightDescriptor` with a command."""
    return fields([(1, 2), (2, command)])


def flight_data(header: bytes, body: bytes = b"", command: bytes | None = None, metadata: bytes = b"") -> bytes:
    """A `FlightData`: the header of an Arrow message, and its body."""
    first: list[tuple[int, bytes | int]] = [] if command is None else [(1, descriptor(command))]
    more: list[tuple[int, bytes | int]] = [(3, metadata)] if metadata else []
    return fields([*first, (2, header), *more, (1000, body)])


def arrow_message(value: pa.Schema | pa.RecordBatch, compression: str | None = None) -> tuple[bytes, bytes]:
    """The header and the body of a schema, or of a record batch without dictionaries, as a stream of Arrow has them."""
    sink = pa.BufferOutputStream()
    schema = value if isinstance(value, pa.Schema) else value.schema
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        if isinstance(value, pa.RecordBatch):
            writer.write_batch(value)
    messages = list(pa.ipc.MessageReader.open_stream(sink.getvalue()))
    message = messages[0 if value is schema else -1]
    return message.metadata.to_pybytes(), b"" if message.body is None else message.body.to_pybytes()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _text(value: bytes) -> bytes:
    """A text of HPACK, without Huffman's code."""
    if len(value) < 127:
        return bytes([len(value)]) + value
    return b"\x7f" + _varint(len(value) - 127) + value


def answer_to(port: int, data: bytes, seconds: float, stream: int = 1) -> tuple[bytes, bool]:
    """All that a server of this machine says to bytes, and whether it came to an end within `seconds`.

    An answer ends with its last frame, or with its connection.
    """
    out = b""
    with socket.create_connection(("127.0.0.1", port)) as connection, suppress(ConnectionError):
        connection.settimeout(seconds)
        connection.sendall(data)
        while not any(found == stream and flags & END_STREAM for _, flags, found, _ in frames(out)):
            try:
                part = connection.recv(1 << 16)
            except TimeoutError:
                return out, False
            if not part:
                break
            out += part
    return out, True
