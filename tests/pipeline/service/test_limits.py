"""Each limit of a server holds."""

import ast
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import flight

import onewarp.pipeline.service as service
from onewarp.errors import UsageError
from onewarp.pipeline.service.exchange import ImageExchange
from onewarp.pipeline.service.inference import Inference
from onewarp.pipeline.service.limits import Limits
from onewarp.pipeline.service.recipes import recipe_json
from onewarp.pipeline.service.tickets import Augment, Ticket
from onewarp.transforms import Resize, fuse

COMMAND = json.dumps({"version": 1, "recipe": recipe_json(fuse([Resize(8)]))}).encode()


@pytest.fixture
def ask(cache, serve):
    """ask(limits, rows, changes): what a server with limits says to a ticket."""
    folder = cache("raw")

    def answer(limits, rows=range(12), **changes):
        served = serve({"cache": folder}, limits=limits)
        fingerprint = served.service.caches.current("cache").fingerprint
        with flight.connect(served.address) as client:
            ticket = flight.Ticket(Ticket("cache", fingerprint, rows=rows, **changes).to_json())
            return client.do_get(ticket, flight.FlightCallOptions(timeout=60)).read_all()

    return answer


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_that_is_not_positive_is_refused(name, value):
    with pytest.raises(UsageError, match=f"{name} must be positive, but got {value}"):
        Limits(**{name: value})


def test_every_limit_is_used_by_a_file_of_the_service():
    folder = Path(service.__path__[0])
    trees = [ast.parse(path.read_text()) for path in folder.glob("*.py") if path.name != "limits.py"]
    used = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {field.name for field in fields(Limits)} <= used


def test_a_request_has_so_many_bytes(ask):
    with pytest.raises(flight.FlightServerError, match="must be at most 50 bytes"):
        ask(Limits(request_bytes=50))


def test_a_ticket_has_so_many_row_numbers(ask):
    assert ask(Limits(rows=3), (5, 6, 7)).num_rows == 3
    with pytest.raises(flight.FlightServerError, match="at most 3 numbers"):
        ask(Limits(rows=3), (5, 6, 7, 8))
    assert ask(Limits(rows=3)).num_rows == 12  # a range is no list


def test_a_row_has_so_many_bytes_whatever_the_index_says(ask):
    """Rows beyond 2 GiB cannot be sent (apache/arrow#36254): the limit stands for that."""
    most = ask(Limits()).column("image").combine_chunks().cast(pa.binary())
    largest = max(len(value.as_py()) for value in most)
    assert ask(Limits(row_bytes=largest)).num_rows == 12
    with pytest.raises(flight.FlightServerError, match=rf"row '.*' has {largest} bytes, and a message can have"):
        ask(Limits(row_bytes=largest - 1))
    assert Limits().row_bytes < 2**31


def test_a_recipe_makes_so_many_pixels(ask):
    def augmented(size):
        return {"send": "augmented", "augment": Augment(recipe_json(fuse([Resize(size)])))}

    assert ask(Limits(output_pixels=64), **augmented(8)).num_rows == 12
    with pytest.raises(flight.FlightServerError, match="at most 64 pixels, but makes 9 x 9"):
        ask(Limits(output_pixels=64), **augmented(9))


def test_rows_take_so_many_seconds(ask, monkeypatch):
    monkeypatch.setattr("onewarp.pipeline.service.server.monotonic", iter(range(0, 99, 2)).__next__)
    with pytest.raises(flight.FlightTimedOutError, match="took longer than 1 s: ask for fewer rows"):
        ask(Limits(seconds=1))


@pytest.fixture
def exchange(serve):
    """exchange(limits, images): what a server with limits says of images; of each its error."""
    opened = []

    def answer(limits, images):
        inference = Inference(limits)
        opened.append(inference)
        served = serve({}, limits=limits, exchange=ImageExchange(inference))
        with flight.connect(served.address) as client:
            descriptor = flight.FlightDescriptor.for_command(COMMAND)
            writer, reader = client.do_exchange(descriptor, flight.FlightCallOptions(timeout=60))
            with writer:
                writer.begin(pa.schema([("image", pa.binary())]))
                writer.write_batch(pa.record_batch({"image": pa.array(images, pa.binary())}))
                writer.done_writing()
                return reader.read_all()

    yield answer
    for inference in opened:
        inference.close()


def test_an_image_has_so_many_bytes_and_pixels(exchange, photos):
    data = photos[0].data
    assert exchange(Limits(image_bytes=len(data)), [data]).column("error").to_pylist() == [None]
    (error,) = exchange(Limits(image_bytes=len(data) - 1), [data]).column("error").to_pylist()
    assert "bytes" in error
    (error,) = exchange(Limits(image_pixels=10), [data]).column("error").to_pylist()
    assert "pixels" in error


def test_a_server_has_so_many_calls_and_a_client_so_many_requests(cache, serve):
    folder = cache("raw")
    for limits, says in ((Limits(requests=3), "3 calls"), (Limits(client_requests=3), "3 requests of this client")):
        served = serve({"cache": folder}, limits=limits)
        fingerprint = served.service.caches.current("cache").fingerprint
        rows = tuple(np.arange(12).repeat(10_000 // 12).tolist())
        ticket = flight.Ticket(Ticket("cache", fingerprint, rows=rows, batch_bytes=1 << 16).to_json())
        with flight.connect(served.address) as client:
            readers = [client.do_get(ticket) for _ in range(3)]
            for reader in readers:
                reader.read_chunk()  # each is in the middle of its rows
            with pytest.raises(flight.FlightUnavailableError, match=says):
                client.do_get(ticket).read_chunk()
            assert list(client.do_action("health"))
            for reader in readers:
                reader.cancel()
