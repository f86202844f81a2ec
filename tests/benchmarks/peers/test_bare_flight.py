"""The bare server sends the bytes of rows, in the order that it is told, in groups of a few megabytes."""

import numpy as np
import pyarrow.flight as flight
import pytest

from onewarp.benchmarks.peers import bare_flight
from onewarp.pipeline import Cache, presize


@pytest.fixture
def cache(tmp_path):
    from PIL import Image

    for i in range(3):
        pixels = np.full((16, 16, 3), 40 * i, np.uint8)
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    presize(tmp_path / "photos", tmp_path / "cache", 16, encoding="raw")
    return Cache.open(tmp_path / "cache")


def test_rows_come_in_the_order_that_was_asked_for_in_groups(cache, monkeypatch):
    monkeypatch.setattr(bare_flight, "GROUP", 2 * 768)
    order = np.array([2, 0, 1, 2, 1])
    batches = list(bare_flight.record_batches(cache, order))
    assert [batch.num_rows for batch in batches] == [2, 2, 1]
    server = bare_flight.BareServer(batches)
    with flight.FlightClient(f"grpc://127.0.0.1:{server.port}") as client:
        sent = client.do_get(flight.Ticket(b"")).read_all().column("image").to_pylist()
    assert sent == [cache.bytes_of(int(number)) for number in order]
