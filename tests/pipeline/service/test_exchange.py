"""Exchanges as a client of bare Arrow Flight has them: what may be asked, what comes back, and who is sent away."""

import json

import pyarrow as pa
import pytest
import torch
from pyarrow import flight

from onewarp.errors import UsageError
from onewarp.pipeline.composition.spec import to_json
from onewarp.pipeline.service.inference import Preparation
from onewarp.pipeline.service.limits import Limits
from onewarp.transforms import Resize, fuse

RECIPE = to_json(fuse([Resize(8)]))


def ask(server, batches, **fields):
    """The rows of all answers, and their schema."""
    writer, reader = server.open(json.dumps({"version": 1} | fields).encode())
    writer.begin(batches[0].schema)
    for batch in batches:
        writer.write_batch(batch)
    writer.done_writing()
    table = reader.read_all()
    writer.close()
    return table


def rows(*images, kind=None, **columns):
    return pa.record_batch({"image": pa.array(images, kind or pa.binary()), **columns})


def test_a_client_without_this_package_needs_a_few_lines(exchanger, brightest, encoded):
    server = exchanger(model=brightest)
    client = flight.connect(server.server.address)
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(b'{"version": 1}'))
    images = pa.table({"id": ["a", "b", "c"], "image": [encoded(2), b"no picture", encoded(0)]})
    writer.begin(images.schema)
    writer.write_table(images)
    writer.done_writing()
    answers = reader.read_all().to_pylist()
    assert [answer["id"] for answer in answers] == ["a", "b", "c"]
    assert [answer["label"] for answer in answers] == ["blue", None, "red"]
    assert "no known image format" in answers[1]["error"]
    assert answers[0]["error"] is None
    assert len(answers[0]["probabilities"]) == 3
    assert answers[1]["matrix"] is None


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
@pytest.mark.parametrize("ids", [pa.string(), pa.large_string(), pa.int64(), pa.uint8(), None], ids=str)
@pytest.mark.parametrize("sizes", [(7,), (1, 0, 5, 1)], ids=str)
def test_batches_of_all_sizes_and_types_come_back_in_order(exchanger, encoded, kind, ids, sizes):
    batches, number = [], 0
    for size in sizes:
        numbers = range(number, number + size)
        text = ids in (pa.string(), pa.large_string())
        columns = {} if ids is None else {"id": pa.array([str(n) if text else n for n in numbers], ids)}
        batches.append(rows(*[None if n == 3 else encoded(n) for n in numbers], kind=kind, **columns))
        number += size
    table = ask(exchanger(), batches, recipe=RECIPE)
    assert table["row"].to_pylist() == list(range(7))
    assert [error is None for error in table["error"].to_pylist()] == [n != 3 for n in range(7)]
    if ids is None:
        assert "id" not in table.schema.names
    else:
        assert table.schema.field("id").type == ids
        assert [int(value) for value in table["id"].to_pylist()] == list(range(7))
    x = table["x"].combine_chunks()
    assert x.type == pa.fixed_shape_tensor(pa.float32(), [3, 8, 8])
    assert x.null_count == 1
    means = torch.from_numpy(x.storage.values.to_numpy().copy()).reshape(7, 3, 64).mean(2)
    assert means.argmax(1)[[0, 1, 2, 4, 5, 6]].tolist() == [0, 1, 2, 1, 2, 0]
    assert json.loads(table.schema.metadata[b"onewarp"]) == {"version": 1, "size": [8, 8]}


def test_an_answer_comes_before_the_next_image_goes(exchanger, encoded):
    writer, reader = exchanger().open(json.dumps({"version": 1, "recipe": RECIPE}).encode())
    writer.begin(rows(b"").schema)
    for number in range(5):
        writer.write_batch(rows(encoded(number)))
        assert reader.read_chunk().data["row"].to_pylist() == [number]
    writer.close()


def test_a_server_may_have_a_recipe_of_its_own(exchanger, encoded):
    server = exchanger(Preparation.of(fuse([Resize((4, 6))]), None, Limits()))
    assert ask(server, [rows(encoded(0))]).schema.field("x").type.shape == [3, 4, 6]
    assert ask(server, [rows(encoded(0))], recipe=RECIPE).schema.field("x").type.shape == [3, 8, 8]


def test_a_recipe_is_used_instead_of_the_model(exchanger, brightest, encoded):
    server = exchanger(model=brightest)
    table = ask(server, [rows(encoded(0))], recipe=RECIPE, presize={"size": 16, "square": "crop"})
    assert table.schema.names == ["row", "error", "matrix", "x"]
    assert ask(server, [rows(encoded(0))]).schema.names == [
        "row",
        "error",
        "matrix",
        "label",
        "probabilities",
        "decoded",
    ]
    assert "x" in ask(server, [rows(encoded(0))], tensors=True).schema.names


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"version": 2, "recipe": RECIPE}, "version 1"),
        ({}, "neither a model nor a recipe"),
        ({"presize": {"size": 8}}, "beside a recipe"),
        ({"recipe": RECIPE, "files": ["/etc/passwd"]}, "must not have the field 'files'"),
        ({"recipe": RECIPE, "presize": 8}, "JSON object"),
        ({"recipe": RECIPE, "presize": {"size": 0}}, "size must be"),
        ({"recipe": RECIPE, "presize": {"size": 8, "square": "round"}}, "square must be"),
        ({"recipe": RECIPE, "presize": {"size": 8, "square": 3}}, "square must be"),
        ({"recipe": RECIPE, "tensors": 1}, "tensors must be true or false"),
        ({"recipe": 3}, "recipe must be a text"),
        ({"recipe": to_json(fuse([Resize(100_000)]))}, "at most 16,777,216 pixels"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(exchanger, encoded, fields, reason):
    with pytest.raises(flight.FlightServerError, match=reason):
        ask(exchanger(), [rows(encoded(0))], **fields)


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        (pa.record_batch({"image": ["/etc/passwd"]}), "must be binary: the bytes of a file, but is string"),
        (pa.record_batch({"path": [b""]}), "columns must be image"),
        (pa.record_batch({"image": [b""], "more": [1]}), "columns must be image"),
        (pa.record_batch({"image": [b""], "id": [0.5]}), "id must be text or whole numbers"),
        (pa.RecordBatch.from_arrays([pa.array([b""]), pa.array([b""])], ["image", "image"]), "columns must be image"),
    ],
)
def test_what_cannot_come_as_an_image_is_refused(exchanger, batch, reason):
    with pytest.raises(flight.FlightServerError, match=reason):
        ask(exchanger(), [batch], recipe=RECIPE)


class Points:
    recipe, sizing, kind, vocab, batch_size = fuse([Resize(8)]), None, "points", None, 2

    def predict(self, x):
        points = x.new_tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).expand(len(x), 3, 2)
        return points, points


class Masks:
    recipe, sizing, kind, vocab, batch_size = fuse([Resize(8)]), None, "mask", ("sky", "ground"), 64

    def predict(self, x):
        return torch.stack([x[:, 0], x[:, 1]], 1), x[:, :2].argmax(1)


class Tags:
    recipe, sizing, kind, vocab, batch_size = fuse([Resize(8)]), None, "multicategory", ("r", "g", "b"), 64

    def predict(self, x):
        means = x.mean((2, 3))
        return means, (means > 0.5).float()


def test_points_and_masks_come_as_tensors_and_several_labels_as_a_list(exchanger, encoded):
    batch = rows(encoded(0), b"no picture", encoded(1))
    points = ask(exchanger(model=Points()), [batch])
    assert points.schema.names == ["row", "error", "matrix", "decoded"]
    assert points.schema.field("decoded").type == pa.fixed_shape_tensor(pa.float32(), [3, 2])
    assert points["decoded"].to_pylist()[::2] == [[1, 2, 3, 4, 5, 6]] * 2
    assert points["decoded"].to_pylist()[1] is None
    masks = ask(exchanger(model=Masks()), [batch])
    assert masks.schema.field("decoded").type == pa.fixed_shape_tensor(pa.int64(), [8, 8])
    assert sum(masks["decoded"].to_pylist()[2]) > 32
    tags = ask(exchanger(model=Tags()), [batch])
    assert tags["label"].to_pylist() == [["r"], None, ["g"]]


def send_for_ever(writer, batch):
    while True:
        writer.write_batch(batch)


def test_a_client_that_sends_nothing_or_takes_nothing_is_sent_away(exchanger, encoded):
    server = exchanger(limits=Limits(stall_seconds=1, client_bytes=8 << 20))
    command = json.dumps({"version": 1, "recipe": to_json(fuse([Resize(512)]))}).encode()
    silent = server.open(command)  # no schema
    with pytest.raises(flight.FlightUnavailableError):
        silent[1].read_chunk()
    writer, reader = server.open(command)
    writer.begin(rows(b"").schema)
    writer.write_batch(rows(encoded(0)))
    assert reader.read_chunk().data.num_rows == 1
    with pytest.raises(flight.FlightUnavailableError):
        reader.read_chunk()
    writer, reader = server.open(command)
    writer.begin(rows(b"").schema)
    with pytest.raises(pa.ArrowException):
        send_for_ever(writer, rows(encoded(0)))  # the server takes what it may hold, and then no more
    server.stop()
    reasons = [str(error) for error in server.errors]
    assert ["sent no schema" in reasons[0], "sent nothing" in reasons[1], "took no answer" in reasons[2]] == [True] * 3
    assert all(isinstance(error, TimeoutError) for error in server.errors)


def test_a_damaged_record_batch_ends_its_stream_and_not_the_server(exchanger, encoded):
    server = exchanger()
    offsets = pa.array([0, 1 << 30, 4], pa.int32()).buffers()[1]
    images = pa.Array.from_buffers(pa.binary(), 2, [None, offsets, pa.py_buffer(b"1234")])
    with pytest.raises(flight.FlightServerError, match="damaged"):
        ask(server, [pa.RecordBatch.from_arrays([images], ["image"])], recipe=RECIPE)
    assert isinstance(server.errors[0], UsageError)
    assert ask(server, [rows(encoded(0))], recipe=RECIPE).num_rows == 1
