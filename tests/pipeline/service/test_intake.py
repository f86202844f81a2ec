"""Photos come in over Arrow Flight, and are kept, refused or asked for again, whatever becomes of the stream."""

import json
from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import flight

from onewarp.errors import UsageError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.presizing.growth import GrowingCache, SpoolLimits
from onewarp.pipeline.presizing.growth_settings import GrowthSettings
from onewarp.pipeline.service.admission import BusyError, Room
from onewarp.pipeline.service.intake import Intake
from onewarp.pipeline.service.limits import Limits

COMMAND = b'{"version":1,"cache":"grown"}'
SCHEMA = pa.schema([("key", pa.string()), ("image", pa.binary())])


def put(client, schema=SCHEMA, command=COMMAND):
    return client.do_put(flight.FlightDescriptor.for_command(command), schema)


def errors_of(served):
    """How many streams of photos have ended by which error."""
    return next(entry["errors"] for entry in served.service.monitoring.snapshot()["requests"] if entry["kind"] == "put")


def batch_of(photos, schema=SCHEMA):
    return pa.record_batch([[photo.key for photo in photos], [photo.data for photo in photos]], schema=schema)


def send(client, batch, command=COMMAND):
    """Send one record batch; its acknowledgement."""
    writer, reader = put(client, batch.schema, command)
    with writer:
        writer.write_batch(batch)
        writer.done_writing()
        return json.loads(reader.read().to_pybytes())


def act(client, name, **fields):
    body = json.dumps({"version": 1, "cache": "grown", **fields}).encode()
    return [json.loads(result.body.to_pybytes()) for result in client.do_action(flight.Action(name, body))]


@pytest.fixture
def growing(serve_growing, grown):
    """A server of the cache `grown`."""
    return serve_growing(grown)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.string_view()])
def test_each_batch_is_acknowledged_and_a_commit_makes_rows(growing, photos, grown, kind, text):
    client = growing.client
    schema = pa.schema([("key", text), ("image", kind)])
    writer, reader = put(client, schema)
    with writer:
        for kept in (5, 12):
            writer.write_batch(batch_of(photos[kept - 7 if kept == 12 else 0 : kept], schema))
            answer = json.loads(reader.read().to_pybytes())
            assert answer == {"version": 1, "kept": kept, "last": photos[kept - 1].key, "refused": []}
            assert len(grown.spool.records()) == kept
    assert not grown.folder.exists()
    assert act(client, "commit")[-1]["summary"]["rows"] == 12
    assert Cache.open(grown.folder)["dog/11.png"].label == "dog"


def test_photos_that_are_refused_are_named_and_the_others_kept(growing, photos, grown):
    client = growing.client
    schema = pa.schema([*SCHEMA, ("label", pa.string())])
    rows = [("../x", b"1", None), ("cat/0.png", photos[0].data, None), ("y" * 5000, b"1", None), ("cat/1", b"", "cat")]
    writer, reader = put(client, schema)
    with writer:
        writer.write_batch(pa.record_batch([*map(list, zip(*rows, strict=True))], schema=schema))
        writer.write_batch(pa.record_batch([["alone.png"], [b"1"], [None]], schema=schema))
        writer.done_writing()
        first, second = (json.loads(reader.read().to_pybytes()) for _ in range(2))
    assert (first["kept"], first["last"]) == (second["kept"], second["last"]) == (1, "cat/0.png")
    assert [(entry["row"], entry["key"][:200]) for entry in first["refused"]] == [
        (0, "../x"),
        (2, "y" * 200),
        (3, "cat/1"),
    ]
    assert [entry["row"] for entry in second["refused"]] == [4]
    assert "send none" in first["refused"][2]["reason"]
    assert grown.spool.records().keys() == {"cat/0.png"}


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([("key", pa.string())]),
        pa.schema([("image", pa.binary())]),
        pa.schema([("key", pa.binary()), ("image", pa.binary())]),
        pa.schema([("key", pa.string()), ("image", pa.string())]),
        pa.schema([*SCHEMA, ("path", pa.string())]),
        pa.schema([*SCHEMA, ("label", pa.float64())]),
        pa.schema([*SCHEMA, ("label", pa.list_(pa.binary()))]),
        pa.schema([*SCHEMA, ("split", pa.int8())]),
        pa.schema([*SCHEMA, ("key", pa.string())]),
    ],
    ids=str,
)
def test_columns_that_are_none_of_a_photo_are_refused_before_a_row(growing, schema):
    client = growing.client
    with pytest.raises(flight.FlightServerError, match=r"must be|but is"), put(client, schema)[0] as writer:
        writer.done_writing()
    assert errors_of(growing) == {"UsageError": 1}


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"pets",
        b"[]",
        b'{"cache":"grown"}',
        b'{"version":2,"cache":"grown"}',
        b'{"version":1}',
        b'{"version":1,"cache":"../grown"}',
        b'{"version":1,"cache":7}',
        b'{"version":1,"cache":"grown","path":"/etc"}',
    ],
)
def test_a_request_that_is_none_is_refused(growing, command, photos, tmp_path):
    client = growing.client
    with pytest.raises(flight.FlightServerError) as error:
        send(client, batch_of(photos), command)
    assert str(tmp_path) not in str(error.value)
    for action in ("missing", "commit"):
        with pytest.raises(flight.FlightServerError):
            list(client.do_action(flight.Action(action, command)))


@pytest.mark.parametrize(
    "photos_asked", [None, {}, [1], [["k"]], [["k", "../x", 1, None, None]], [["k", "a" * 64, "1", 0, 0]]]
)
def test_a_question_for_what_is_missing_that_is_none_is_refused(growing, photos_asked):
    client = growing.client
    with pytest.raises(flight.FlightServerError, match="photos"):
        act(client, "missing", photos=photos_asked)


@pytest.mark.parametrize(
    "bad",
    [
        pa.record_batch([["a", None], [b"1", b"2"]], schema=SCHEMA),
        pa.record_batch([["a", "b"], [b"1", None]], schema=SCHEMA),
        pa.record_batch([["a"] * 4097, [b"1"] * 4097], schema=SCHEMA),
        pa.record_batch([["a", "b"], [b"1" * (5 << 20)] * 2], schema=SCHEMA),
    ],
    ids=["no key", "no image", "rows", "bytes"],
)
def test_a_batch_of_nulls_or_of_too_many_rows_or_bytes_ends_the_stream_and_what_was_kept_stays(
    serve_growing, grown, photos, bad
):
    client = serve_growing(grown, limits=Limits(image_bytes=100_000)).client
    writer, reader = put(client)
    writer.write_batch(batch_of(photos))
    assert json.loads(reader.read().to_pybytes())["kept"] == 12
    writer.write_batch(bad)
    with pytest.raises(flight.FlightServerError, match="must have"):
        writer.close()
    assert len(grown.spool.records()) == 12


def test_one_large_photo_is_refused_alone(serve_growing, grown):
    client = serve_growing(grown, limits=Limits(image_bytes=100_000)).client
    grown.limits = SpoolLimits(photo_bytes=100_000)
    answer = send(client, pa.record_batch([["cat/large"], [b"1" * (9 << 20)]], schema=SCHEMA))
    assert (answer["kept"], answer["refused"][0]["row"]) == (0, 0)
    assert "a photo may have 100,000" in answer["refused"][0]["reason"]


def test_a_client_that_stalls_is_dropped_and_what_was_acknowledged_stays(serve_growing, grown, photos):
    served = serve_growing(grown, limits=Limits(stall_seconds=1))
    client = served.client
    writer, reader = put(client)
    writer.write_batch(batch_of(photos[:3]))
    assert json.loads(reader.read().to_pybytes())["kept"] == 3
    assert reader.read() is None  # the connection has ended
    with pytest.raises(pa.ArrowException):
        writer.close()
    served.server.stop()
    assert errors_of(served) == {"TimeoutError": 1}
    assert len(grown.spool.records()) == 3


def test_a_stream_without_an_end_is_ended_and_what_was_acknowledged_stays(serve_growing, grown, photos):
    served = serve_growing(grown, limits=Limits(seconds=1))
    writer, reader = put(served.client)
    kept = 0
    with suppress(pa.ArrowException):
        while True:
            writer.write_batch(batch_of(photos[kept % 12 :][:1]))
            answer = reader.read()
            if answer is None:
                break
            kept = json.loads(answer.to_pybytes())["kept"]
    with pytest.raises(pa.ArrowException):
        writer.close()
    served.server.stop()
    assert errors_of(served) == {"TimeoutError": 1}
    assert len(grown.spool.records()) >= min(kept, 12)


def test_what_is_held_of_a_stream_is_of_the_bytes_that_its_client_may_have(grown, photos):
    sink, held = pa.BufferOutputStream(), []
    with pa.ipc.new_stream(sink, SCHEMA) as stream:
        for begin in (0, 6):
            stream.write_batch(batch_of(photos[begin : begin + 6]))
    room = Room(held.append, lambda nbytes: held.append(-nbytes))
    reader, answers = Chunks(sink.getvalue().to_pybytes()), Acknowledgements([])
    Intake([grown], Limits()).put(Here(), COMMAND, reader, answers, room=room)
    assert [held[0] + held[1], held[2] + held[3], len(held)] == [0, 0, 4]
    assert held[0] > sum(len(photo.data) for photo in photos[:6])

    def refuse(nbytes):
        raise BusyError("there is no room")

    with pytest.raises(BusyError):
        Intake([grown], Limits()).put(Here(), COMMAND, Chunks(sink.getvalue()), answers, room=Room(refuse, refuse))
    assert len(answers.answers) == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=9,
)


@given(body=st.binary(max_size=60) | st.dictionaries(st.sampled_from(["version", "cache", "photos", "verify"]), VALUES))
@settings(deadline=None, max_examples=60)
def test_whatever_a_request_says_it_is_answered_or_refused_in_one_line(tmp_path_factory, body):
    folder = tmp_path_factory.mktemp("hostile")
    intake = Intake([GrowingCache("grown", folder / "grown", GrowthSettings(16))], Limits())
    if isinstance(body, dict):
        body = json.dumps({"version": 1, "cache": "grown", **body}).encode()
    for _, do in intake.actions.values():
        try:
            says = [json.dumps(json.loads(answer)) for answer in do(body)]
        except UsageError as error:
            says = [str(error)]
        assert all(len(line.splitlines()) == 1 and str(folder) not in line for line in says)


STREAM = st.lists(st.tuples(st.text(max_size=6) | st.none(), st.binary(max_size=6) | st.none()), max_size=4)


@example(batches=[[(None, None), ("000\x80\U00010000", None)]], cut=81, noise=b"\x80")  # a column's name
@given(batches=st.lists(STREAM, max_size=3), cut=st.integers(0, 400), noise=st.binary(max_size=3))
@settings(deadline=None, max_examples=60)
def test_a_stream_that_is_cut_or_mutated_is_kept_as_far_as_it_was_whole(tmp_path_factory, batches, cut, noise):
    """The bytes of a stream as they come from a socket, without the server that reads them."""
    folder = tmp_path_factory.mktemp("cut")
    grown = GrowingCache("grown", folder / "grown", GrowthSettings(16))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as stream:
        for rows in batches:
            stream.write_batch(pa.record_batch([[key for key, _ in rows], [data for _, data in rows]], schema=SCHEMA))
    data = bytearray(sink.getvalue().to_pybytes())
    data[len(data) * cut // 400 : len(data) * cut // 400 + len(noise)] = noise
    try:
        reader, acknowledged = Chunks(bytes(data)), []
    except (pa.ArrowException, OSError):  # Flight refuses such a schema before any handler
        return
    with suppress(UsageError):
        Intake([grown], Limits()).put(Here(), COMMAND, reader, Acknowledgements(acknowledged))
    kept = acknowledged[-1]["kept"] if acknowledged else 0
    assert len(grown.spool.records()) <= kept
    assert (kept == 0) == (not grown.spool.records())


class Here:
    """The context of a call from nowhere."""

    def peer(self):
        return "ipv4:127.0.0.1:1"


class Chunks:
    """The chunks of a stream, as Flight's reader gives them."""

    def __init__(self, data):
        self.reader = pa.ipc.open_stream(data)
        self.schema = self.reader.schema

    def read_chunk(self):
        self.data = self.reader.read_next_batch()
        return self


class Acknowledgements:
    """A writer of metadata."""

    def __init__(self, answers):
        self.answers = answers

    def write(self, buffer):
        self.answers.append(json.loads(buffer.to_pybytes()))
