"""Rows of a server: what it sends is held against what was asked for, and what it cannot do is told at once."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import flight

from onewarp.errors import CacheError, DamagedRowError, ServiceError, UsageError
from onewarp.pipeline import Cache, Loader, connect
from onewarp.pipeline.loading.cache_rows import CacheRows
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.server import Server, Service
from onewarp.transforms import Flip, Resize, Rotate, fuse


class Lying(Server):
    """A server of ours whose answers to `do_get` a function changes: `lie(schema, batches)`; `facts` changes what it
    says of a cache."""

    lie = None
    facts = None

    def do_get(self, context, ticket):
        asked = json.loads(ticket.ticket)
        if self.lie is None or asked["send"] == "index":
            return super().do_get(context, ticket)
        with flight.connect(f"grpc://127.0.0.1:{self.inner}") as honest:
            reader = honest.do_get(ticket)
            schema, batches = self.lie(reader.schema, [chunk.data for chunk in reader])
        return flight.GeneratorStream(schema, iter(batches))

    def get_flight_info(self, context, descriptor):
        info = super().get_flight_info(context, descriptor)
        if self.facts is None:
            return info
        said = self.facts(json.loads(info.app_metadata))
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        return flight.FlightInfo(info.schema, descriptor, info.endpoints, 1, 1, app_metadata=data)


@pytest.fixture
def lying(cache, serve):
    """lying(encoding): a server that lies, which is honest yet; `address` is its cache."""
    servers = []

    def start(encoding="raw"):
        folder = cache(encoding)
        honest = serve({"cache": folder})
        server = Lying(Service(ServedCaches({"cache": folder})), "grpc://127.0.0.1:0")
        server.inner = honest.server.port
        server.address, server.folder = f"grpc://127.0.0.1:{server.port}/cache", folder
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop(grace=1)


def rebuild(name, make):
    """A lie: the column `name` becomes what `make` makes of it."""

    def lie(schema, batches):
        place = schema.get_field_index(name)
        changed = [batch.set_column(place, name, make(batch.column(name))) for batch in batches]
        return changed[0].schema, changed

    return lie


def hollow(column):
    """A binary_view array of the same length whose views point outside of its buffers."""
    views = np.zeros(len(column), np.dtype([("length", "<i4"), ("rest", "V4"), ("buffer", "<i4"), ("offset", "<i4")]))
    views["length"], views["offset"] = 1 << 20, 1 << 30
    return pa.Array.from_buffers(pa.binary_view(), len(column), [None, pa.py_buffer(views), pa.py_buffer(b"x" * 64)])


LIES = {
    "fewer rows": lambda schema, batches: (schema, [batch.slice(1) for batch in batches]),
    "no row": lambda schema, batches: (schema, []),
    "more rows": lambda schema, batches: (schema, batches * 3),
    "rows without end": lambda schema, batches: (schema, (batches[0] for _ in range(10**9))),
    "other columns": lambda schema, batches: (
        schema.remove(len(schema) - 1),
        [batch.drop_columns([schema.names[-1]]) for batch in batches],
    ),
    "texts": rebuild("image", lambda column: pa.array(["x"] * len(column))),
    "nulls": rebuild("image", lambda column: pa.array([None] * len(column), pa.binary())),
    "too many bytes": rebuild("image", lambda column: pa.array([b"x" * (4 << 20)] * len(column), pa.binary())),
    "views that point elsewhere": rebuild("image", hollow),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_an_answer_that_is_none_is_a_service_error(lying, name):
    server = lying()
    loader = Loader(connect(server.address, timeout=20), None, 4)
    server.lie = LIES[name]
    with pytest.raises(ServiceError):
        next(iter(loader))
    server.lie = None
    assert len(list(loader)) == 3  # as soon as it is honest again


@pytest.mark.parametrize("encoding", ["raw", "jpeg", "png"])
@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: data[:-1] + b"\0" * 9, lambda data: bytes(len(data)), lambda data: b""],
)
def test_other_bytes_are_a_damaged_row_whatever_the_checksums_are_said_to_be(lying, encoding, damage):
    server = lying(encoding)
    server.lie = rebuild("image", lambda column: pa.array([damage(data) for data in column.to_pylist()], pa.binary()))
    for checking in ("first", "never"):
        remote = connect(server.address, timeout=20)
        loader = Loader(remote, None, 4, checking=checking)
        if checking == "never" and encoding == "raw" and len(damage(b"12345")) == 5:
            assert not next(iter(loader))[0].data.any()  # that is what not to check means
            continue
        with pytest.raises(DamagedRowError):
            next(iter(loader))
        with pytest.raises(CacheError):
            remote.pixels(0)


def footer(**changes):
    """A change of the footer in what a server says."""
    return lambda facts: facts | {"footer": facts["footer"] | changes}


def index(**changes):
    """A change of what the footer says of the index."""
    return lambda facts: footer(index=facts["footer"]["index"] | changes)(facts)


FACTS = {
    "no JSON": lambda facts: b"\xff",
    "a list": lambda facts: [facts],
    "nothing": lambda facts: b"",
    "a newer version": lambda facts: facts | {"version": 2},
    "an older version": lambda facts: facts | {"version": 0},
    "no version": lambda facts: facts | {"version": None},
    "no footer": lambda facts: {name: value for name, value in facts.items() if name != "footer"},
    "a footer that is a text": lambda facts: facts | {"footer": "x"},
    "an older format": footer(format=2),
    "other rows": footer(rows=11),
    "another index": index(bytes=5, checksums=[0]),
    "a longer index": index(bytes=99999),
    "other checksums": index(checksums=[0]),
    "a name that is a number": lambda facts: facts | {"name": 3},
    "another fingerprint": lambda facts: facts | {"fingerprint": "x"},
}


@pytest.mark.parametrize("name", FACTS)
def test_a_server_that_says_what_cannot_be_is_refused(lying, name):
    server = lying()
    server.facts = FACTS[name]
    with pytest.raises((ServiceError, CacheError)) as error:
        connect(server.address, timeout=5)
    assert "\n" not in str(error.value)
    if name == "a newer version":
        assert "speaks version 2 of the service, and this client version 1" in str(error.value)
        assert "on the client's side" in str(error.value)
    if name == "an older version":
        assert "on the server's side" in str(error.value)


def test_a_ticket_of_a_newer_version_is_refused_in_one_line(cache, serve):
    served = serve({"cache": cache()})
    with pytest.raises(flight.FlightServerError, match="must be of version 1, but is of 2: the client is newer"):
        flight.connect(served.address).do_get(flight.Ticket(b'{"version": 2}')).read_all()


def test_a_replica_that_would_weaken_the_connection_is_refused(cache, serve):
    for advertised in (["http://127.0.0.1:1"], ["grpc://"]):
        with pytest.raises(ServiceError, match=f"names '{advertised[0]}' as a replica"):
            serve({"cache": cache()}, advertised=advertised).connect()


# Augmented by the server ---------------------------------------------------------------------------------------------


class Own(Rotate):
    """A transform of the test's own."""


@pytest.mark.parametrize(
    ("transforms", "reason"),
    [
        ([Resize(8), lambda x: x], "augment='server' cannot be had|transforms that JSON can say"),
        ([Resize(8), Own()], "Own"),
        ([Flip()], "images of one size"),
    ],
)
def test_what_a_server_cannot_do_is_refused_when_the_loader_is_made(cache, serve, transforms, reason):
    remote = serve({"cache": cache()}).connect(augment="server")
    with pytest.raises(UsageError, match=reason):
        Loader(remote, None, 4, transforms)


def test_loaders_of_other_recipes_over_the_same_rows_do_not_get_each_others_images(cache, serve):
    folder = cache()
    rows = serve({"cache": folder}).connect(augment="server").to_rows()
    recipes = [[Resize(8), Rotate(p=1.0)], [Resize(8), Flip(p=1.0)]]
    remote = [Loader(rows, None, 2, recipe, shuffle=False) for recipe in recipes]
    local = [Loader(CacheRows(Cache.open(folder)), None, 2, recipe, shuffle=False) for recipe in recipes]
    for batches in zip(*remote, *local, strict=True):
        assert torch.equal(batches[0][0], batches[2][0])
        assert torch.equal(batches[1][0], batches[3][0])


TENSOR_LIES = {
    "another type": lambda x: pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.int8(), (3, 8, 8)), pa.array([[0] * 192] * len(x), pa.list_(pa.int8(), 192))
    ),
    "another shape": lambda x: pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), (3, 4, 16)), x.storage
    ),
    "another order": lambda x: pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), (3, 8, 8), permutation=[0, 2, 1]), x.storage
    ),
    "numbers alone": lambda x: pa.array(range(len(x))),
    "nulls": lambda x: pa.ExtensionArray.from_storage(x.type, pa.array([None] * len(x), pa.list_(pa.float32(), 192))),
}


@pytest.mark.parametrize("name", TENSOR_LIES)
def test_tensors_that_are_none_are_a_service_error(lying, name):
    server = lying()
    loader = Loader(connect(server.address, augment="server", timeout=20), None, 4, [Resize(8), Flip()])
    expected = next(iter(loader))[0]
    server.lie = rebuild("x", TENSOR_LIES[name])
    with pytest.raises(ServiceError, match="an answer cannot be used"):
        next(iter(loader))
    server.lie = None
    loader.set_epoch(0)
    assert torch.equal(next(iter(loader))[0], expected)


def test_rows_are_asked_for_in_parts_that_come_in_time(cache, serve, monkeypatch):
    from onewarp.pipeline.service import remote_rows

    folder = cache("raw")
    remote, asked = serve({"cache": folder}).connect(), []
    call = remote.replicas.call
    monkeypatch.setattr(remote.replicas, "call", lambda function: asked.append(1) or call(function))
    rows = np.arange(12)
    whole = remote.fetcher.fetch(rows, [])[None]
    for name, value, parts in (("_LONGEST", 5, 3), ("_LARGEST", 1, 12)):
        asked.clear()
        with monkeypatch.context() as patch:
            patch.setattr(remote_rows, name, value)
            assert [a.tobytes() for a in remote.fetcher.fetch(rows, [])[None]] == [a.tobytes() for a in whole]
        assert len(asked) == parts


def test_rows_of_a_remote_cache_can_be_pickled(cache, serve):
    rows = serve({"cache": cache()}).connect(augment="server").to_rows("never", ["label"])
    again = pickle.loads(pickle.dumps(rows))
    assert again.fingerprint == rows.fingerprint
    assert again.keys(np.arange(3)) == rows.keys(np.arange(3))
    assert list(again.targets(np.arange(3))) == ["label"]


def test_the_clock_of_a_remote_loader_runs(cache, serve):
    for augment in ("client", "server"):
        loader = Loader(serve({"cache": cache()}).connect(augment=augment), None, 4, [Resize(8)], threads=1)
        assert len(list(loader)) == 3
        stats = loader.stats()
        assert (stats.samples, stats.batches) == (12, 3)
        assert stats.reading > 0
        assert stats.work <= stats.seconds * 1.01


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
@pytest.mark.parametrize("channels_last", [False, True])
def test_images_come_in_the_type_and_layout_of_the_recipe(cache, serve, dtype, channels_last):
    folder = cache()
    fused = fuse([Resize(8), Rotate(p=1.0)], dtype=dtype, channels_last=channels_last)
    remote = Loader(serve({"cache": folder}).connect(augment="server"), None, 4, fused)
    for (x, _), (y, _) in zip(remote, Loader(folder, None, 4, fused), strict=True):
        assert (x.dtype, x.stride()) == (y.dtype, y.stride())
        assert torch.equal(x, y)
