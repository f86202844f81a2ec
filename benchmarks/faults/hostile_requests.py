"""Requests that a service should not get: tickets, tokens, actions, descriptors, schemas, batches, frames and bytes.

Each begins with a request that is right, of which something is changed. All of it follows from a seed.
"""

import json
import random
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import pyarrow as pa
from PIL import Image

from ...pipeline.service.recipes import recipe_json
from ...pipeline.service.tickets import Augment, Ticket
from ...transforms import Resize, aug_transforms, fuse
from . import grpc_bytes
from .grpc_bytes import END_STREAM, Frame
from .mutation import change_bytes, change_json, change_numbers, to_bytes


class Request(NamedTuple):
    """Bytes for a server's port; `is_call` says that they are a whole call, which has to be answered."""

    kind: str
    data: bytes
    is_call: bool = True


@dataclass(frozen=True)
class Target:
    """What a stranger knows of a server: a token, a cache of so many rows, the name of one that grows."""

    token: bytes
    cache: str
    fingerprint: str
    rows: int
    growing: str


def draw(target: Target, seed: int, number: int) -> Request:
    """The request of a number."""
    draws = random.Random(f"{seed} {number}")
    kind = list(KINDS)[number % len(KINDS)]
    return KINDS[kind](kind, target, draws)


def picture(draws: random.Random) -> bytes:
    """A small picture as a file."""
    file = BytesIO()
    image = Image.frombytes("RGB", (20, 30), draws.randbytes(1800))
    image.save(file, draws.choice(("JPEG", "PNG", "WEBP", "GIF", "BMP")))
    return file.getvalue()


def recipe() -> str:
    """A recipe that a server may be asked for."""
    return recipe_json(fuse([*aug_transforms(size=16), Resize(16)]))


def ticket(target: Target, draws: random.Random) -> dict[str, Any]:
    """A ticket that is right."""
    send = draws.choice(("stored", "pixels", "augmented", "index"))
    rows = tuple(draws.randrange(target.rows) for _ in range(5)) if draws.random() < 0.5 else range(target.rows)
    right = Ticket(
        target.cache,
        target.fingerprint,
        send,  # type: ignore[arg-type]
        rows,
        binary=draws.choice(("view", "plain")),
        compression=draws.choice(("none", "lz4", "zstd")),
        augment=Augment(recipe(), 3, 1) if send == "augmented" else None,
    )
    values: dict[str, Any] = json.loads(right.to_json())
    return values


def unary(target: Target, method: str, value: bytes, token: bytes | None = None) -> bytes:
    """A whole call with one message."""
    head = grpc_bytes.begin() + grpc_bytes.call(method, token=target.token if token is None else token)
    return head + grpc_bytes.message(value, last=True)


def get(target: Target, data: bytes) -> bytes:
    """`do_get` with the bytes of a ticket."""
    return unary(target, "DoGet", grpc_bytes.fields([(1, data)]))


def act(target: Target, name: bytes, body: bytes) -> bytes:
    """`do_action`."""
    return unary(target, "DoAction", grpc_bytes.fields([(1, name), (2, body)]))


def stream(target: Target, method: str, messages: list[bytes]) -> bytes:
    """A whole call with several messages."""
    sent = [grpc_bytes.message(one, last=one is messages[-1]) for one in messages]
    return grpc_bytes.begin() + grpc_bytes.call(method, token=target.token) + b"".join(sent)


def right_requests(target: Target) -> list[Request]:
    """Requests of which nothing is changed: each has to be answered."""
    draws = random.Random(0)
    bodies = {b"stats": {}, b"explain": {"version": 1, "recipe": recipe()}, b"missing": _missing(target)}
    calls = [get(target, to_bytes(ticket(target, draws))) for _ in range(20)]
    calls += [act(target, name, to_bytes(body)) for name, body in bodies.items()]
    for _ in range(8):
        method, command, batch = _put_or_exchange(target, draws)
        calls.append(stream(target, method, _messages_of(command, batch)))
    return [Request("nothing is changed", data) for data in calls]


# What may be changed ------------------------------------------------------------------------------------------------


def _tickets(kind: str, target: Target, draws: random.Random) -> Request:
    return Request(kind, get(target, change_bytes(to_bytes(ticket(target, draws)), draws)))


def _values_of_tickets(kind: str, target: Target, draws: random.Random) -> Request:
    return Request(kind, get(target, to_bytes(change_json(ticket(target, draws), draws))))


def _recipes(kind: str, target: Target, draws: random.Random) -> Request:
    text = recipe()
    changed = json.dumps(change_json(json.loads(text), draws)) if draws.random() < 0.8 else text[: draws.randrange(90)]
    if draws.random() < 0.3:
        return Request(kind, act(target, b"explain", to_bytes({"version": 1, "recipe": changed})))
    if draws.random() < 0.3:
        return Request(kind, exchange(target, to_bytes({"version": 1, "recipe": changed}), [picture(draws)]))
    values = {**ticket(target, draws), "send": "augmented", "rows": [0, 1]}
    return Request(kind, get(target, to_bytes({**values, "augment": {"recipe": changed}})))


def _tokens(kind: str, target: Target, draws: random.Random) -> Request:
    token = target.token
    while token == target.token:
        token = change_bytes(target.token, draws) if draws.random() < 0.9 else target.token * 1000
    method = draws.choice(("DoGet", "DoAction", "ListFlights", "GetFlightInfo", "DoPut", "DoExchange", "ListActions"))
    return Request(kind, unary(target, method, draws.randbytes(draws.randrange(20)), token))


def _actions(kind: str, target: Target, draws: random.Random) -> Request:
    bodies: dict[bytes, dict[str, Any]] = {
        b"stats": {},
        b"health": {},
        b"explain": {"version": 1, "recipe": recipe()},
        b"missing": _missing(target),
        b"commit": {"version": 1, "cache": target.growing, "verify": False, "more": 1},
    }
    name = draws.choice(list(bodies))
    body = to_bytes(change_json(bodies[name], draws)) if draws.random() < 0.7 else draws.randbytes(draws.randrange(99))
    return Request(kind, act(target, name if draws.random() < 0.8 else change_bytes(name, draws), body))


def _missing(target: Target) -> dict[str, Any]:
    return {"version": 1, "cache": target.growing, "photos": [["cat/0.png", "0" * 64, 5, None, None]]}


def _descriptors(kind: str, target: Target, draws: random.Random) -> Request:
    name = draws.choice((target.cache, target.growing, "/etc/passwd", "")).encode()
    right = grpc_bytes.fields([(1, draws.choice((0, 1, 2, 9))), (2, name), (3, name), (3, b"x" * draws.randrange(3))])
    value = change_bytes(right, draws)
    method = draws.choice(("GetFlightInfo", "GetSchema", "PollFlightInfo", "DoPut", "DoExchange"))
    if method in ("DoPut", "DoExchange"):
        value = grpc_bytes.fields([(1, value), (2, grpc_bytes.arrow_message(_PHOTOS)[0])])
    return Request(kind, unary(target, method, value))


_PHOTOS = pa.schema([("key", pa.string()), ("image", pa.binary())])
_KINDS = (
    pa.null(),
    pa.bool_(),
    pa.int8(),
    pa.uint64(),
    pa.float16(),
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.binary_view(),
    pa.binary(3),
    pa.decimal128(38, 3),
    pa.timestamp("ns", "Europe/Berlin"),
    pa.duration("s"),
    pa.month_day_nano_interval(),
    pa.dictionary(pa.int8(), pa.binary()),
    pa.run_end_encoded(pa.int32(), pa.binary()),
    pa.fixed_shape_tensor(pa.float32(), (2, 3)),
    pa.uuid(),
)


def _kind(draws: random.Random, depth: int = 0) -> pa.DataType:
    """A type of Arrow's, which may be nested."""
    if depth > 3 or draws.random() < 0.6:
        return draws.choice(_KINDS)
    inner = pa.field("x", _kind(draws, depth + 1))
    match draws.randrange(6):
        case 0:
            return pa.list_(inner)
        case 1:
            return pa.struct([inner, pa.field("y", _kind(draws, depth + 1))])
        case 2:
            return pa.sparse_union([inner])
        case 3:
            return pa.dense_union([inner])
        case 4:
            return pa.map_(pa.string(), inner)
        case _:
            return pa.list_view(inner)


def _put_or_exchange(target: Target, draws: random.Random) -> tuple[str, bytes, pa.RecordBatch]:
    """A method with a command and a batch that are right."""
    images = pa.array([picture(draws) for _ in range(draws.randrange(1, 4))], draws.choice(_KINDS[8:11]))
    if draws.random() < 0.5:
        keys = pa.array([f"cat/{draws.randrange(50)}.png" for _ in images])
        command = to_bytes({"version": 1, "cache": target.growing})
        return "DoPut", command, pa.record_batch({"key": keys, "image": images})
    return "DoExchange", to_bytes({"version": 1, "recipe": recipe()}), pa.record_batch({"image": images})


def _messages_of(command: bytes, batch: pa.RecordBatch) -> list[bytes]:
    """A schema with a command, and a record batch."""
    schema = grpc_bytes.flight_data(*grpc_bytes.arrow_message(batch.schema), command=command)
    return [schema, grpc_bytes.flight_data(*grpc_bytes.arrow_message(batch))]


def exchange(target: Target, command: bytes, images: list[bytes]) -> bytes:
    """`do_exchange` of some images."""
    batch = pa.record_batch({"image": pa.array(images, pa.binary())})
    return stream(target, "DoExchange", _messages_of(command, batch))


def _commands(kind: str, target: Target, draws: random.Random) -> Request:
    method, command, batch = _put_or_exchange(target, draws)
    changed = (
        to_bytes(change_json(json.loads(command), draws)) if draws.random() < 0.7 else change_bytes(command, draws)
    )
    return Request(kind, stream(target, method, _messages_of(changed, batch)))


def _schemas(kind: str, target: Target, draws: random.Random) -> Request:
    method, command, right = _put_or_exchange(target, draws)
    names = draws.choice((right.schema.names, ["image"], ["key", "image"], ["id", "image"], ["image", "image"], ["x"]))
    schema = pa.schema([pa.field(name, _kind(draws)) for name in names], {"x": "y" * draws.choice((0, 9))})
    count = draws.randrange(3)
    with suppress(pa.ArrowInvalid):  # pyarrow cannot make nulls of all types
        right = pa.RecordBatch.from_arrays([pa.nulls(count, field.type) for field in schema], schema=schema)
    header, body = grpc_bytes.arrow_message(schema)
    if draws.random() < 0.5:
        header = change_numbers(header, draws) if draws.random() < 0.5 else change_bytes(header, draws)
    messages = [grpc_bytes.flight_data(header, body, command), grpc_bytes.flight_data(*grpc_bytes.arrow_message(right))]
    return Request(kind, stream(target, method, messages))


def _batches(kind: str, target: Target, draws: random.Random) -> Request:
    method, command, batch = _put_or_exchange(target, draws)
    schema = grpc_bytes.flight_data(*grpc_bytes.arrow_message(batch.schema), command=command)
    header, body = grpc_bytes.arrow_message(batch, draws.choice((None, None, "lz4", "zstd")))
    match draws.randrange(4):
        case 0:
            header = change_numbers(header, draws)
        case 1:
            body = change_numbers(body, draws)
        case 2:
            body = change_bytes(body, draws)
        case _:
            header = change_bytes(header, draws)
    return Request(kind, stream(target, method, [schema, grpc_bytes.flight_data(header, body)]))


def _images(kind: str, target: Target, draws: random.Random) -> Request:
    images = [change_bytes(picture(draws), draws) for _ in range(3)]
    return Request(kind, exchange(target, to_bytes({"version": 1, "recipe": recipe()}), images))


def _messages(kind: str, target: Target, draws: random.Random) -> Request:
    method, command, batch = _put_or_exchange(target, draws)
    messages = _messages_of(command, batch)
    match draws.randrange(6):
        case 0:
            messages.reverse()
        case 1:
            messages = [messages[0], messages[0], *messages]
        case 2:
            messages.insert(draws.randrange(3), grpc_bytes.flight_data(b"", draws.randbytes(9), metadata=b"x"))
        case 3:
            messages[draws.randrange(2)] = change_bytes(messages[draws.randrange(2)], draws)
        case 4:
            messages = [messages[0]]
        case _:
            compressed = draws.choice((b"\1", b"\2", b"\xff")) + len(messages[0]).to_bytes(4) + messages[0]
            head = grpc_bytes.begin() + grpc_bytes.call(method, token=target.token)
            return Request(kind, head + grpc_bytes.frame(Frame.DATA, END_STREAM, 1, compressed))
    return Request(kind, stream(target, method, messages))


def _lengths(kind: str, target: Target, draws: random.Random) -> Request:
    """A message that says that it is longer, or shorter, than it is."""
    head = grpc_bytes.begin() + grpc_bytes.call(draws.choice(("DoGet", "DoPut", "DoAction")), token=target.token)
    data = grpc_bytes.fields([(1, to_bytes(ticket(target, draws)))])
    length = draws.choice((0, 1, len(data) - 1, len(data) + 1, 1 << 28, (1 << 31) - 1, (1 << 32) - 1))
    return Request(kind, head + grpc_bytes.message(data, last=True, length=length))


def _frames(kind: str, target: Target, draws: random.Random) -> Request:
    right = get(target, to_bytes(ticket(target, draws)))
    start = len(grpc_bytes.PREFACE)
    match draws.randrange(5):
        case 0:
            data = right[: draws.randrange(len(right))]
        case 1:
            data = right[:start] + change_bytes(right[start:], draws)
        case 2:
            odd = [
                grpc_bytes.frame(
                    draws.randrange(12),
                    draws.randrange(256),
                    draws.choice((0, 1, 2, 3, 2**31 - 1)),
                    draws.randbytes(draws.choice((0, 4, 5, 8, 6, 100))),
                )
                for _ in range(draws.randrange(1, 20))
            ]
            data = grpc_bytes.begin() + b"".join(odd)
        case 3:
            resets = [
                grpc_bytes.call("DoGet", number, target.token)
                + grpc_bytes.frame(Frame.RST_STREAM, 0, number, b"\0\0\0\x08")
                for number in range(1, 200, 2)
            ]
            data = grpc_bytes.begin() + b"".join(resets)
        case _:
            more = b"".join(grpc_bytes.frame(Frame.CONTINUATION, 0, 1, draws.randbytes(99)) for _ in range(50))
            data = grpc_bytes.begin() + grpc_bytes.headers({":method": b"POST"}, 1, 0) + more
    return Request(kind, data, is_call=False)


def _bytes(kind: str, target: Target, draws: random.Random) -> Request:
    match draws.randrange(5):
        case 0:
            data = draws.randbytes(draws.randrange(1, 2000))
        case 1:
            data = b"GET /etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n"
        case 2:
            data = _client_hello()
        case 3:
            data = change_bytes(_client_hello(), draws)
        case _:
            data = grpc_bytes.PREFACE[: draws.randrange(24)]
    return Request(kind, data, is_call=False)


def _client_hello() -> bytes:
    """What a client of TLS says first."""
    sent = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return sent.read()


KINDS: dict[str, Callable[[str, Target, random.Random], Request]] = {
    "bytes of a ticket": _tickets,
    "values of a ticket": _values_of_tickets,
    "recipes": _recipes,
    "tokens": _tokens,
    "actions": _actions,
    "descriptors": _descriptors,
    "commands": _commands,
    "schemas": _schemas,
    "record batches": _batches,
    "images": _images,
    "messages of a stream": _messages,
    "lengths of a message": _lengths,
    "frames of HTTP/2": _frames,
    "bytes of no protocol": _bytes,
}
"""What is changed, and how a request with such a change is drawn."""
