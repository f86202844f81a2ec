"""What the measurement of the service does with its figures, and that its gates can stop it."""

import numpy as np
import pyarrow as pa
import pytest

from onewarp.benchmarks import serve
from onewarp.benchmarks.peers.bare_flight import BareServer
from onewarp.errors import UsageError
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.transforms import aug_transforms


def servers(*contents):
    """Bare servers of one batch each."""
    made = [BareServer([pa.record_batch([pa.array(rows, pa.binary())], ["image"])]) for rows in contents]
    return [f"grpc://127.0.0.1:{server.port}" for server in made]


def test_each_row_is_read_as_often_as_any_other():
    for shuffled in (False, True):
        assert (np.bincount(serve._order(5, 20, shuffled)) == 4).all()
    assert serve._order(5, 7, shuffled=False).tolist() == [0, 1, 2, 3, 4, 0, 1]


def test_a_ratio_is_that_of_the_same_round():
    assert serve.ratio([1.0, 2.0, 30.0], [1.0, 1.0, 10.0]) == 2.0


def test_contenders_take_turns_and_the_first_turn_warms_up():
    calls = []
    seconds = serve.turns({name: lambda name=name: calls.append(name) for name in "ab"}, rounds=3)
    assert sorted(calls[:2]) == ["a", "b"]
    assert (len(calls), [len(found) for found in seconds.values()]) == (8, [3, 3])


def test_servers_that_send_other_bytes_are_not_measured():
    same, equal, other, swapped = servers([b"1", b"2"], [b"1", b"2"], [b"1", b"3"], [b"2", b"1"])
    serve.check_same(same, equal, b"")
    for wrong in (other, swapped):
        with pytest.raises(UsageError, match="the same bytes"):
            serve.check_same(same, wrong, b"")


def test_an_answer_that_lacks_rows_is_not_measured():
    (address,) = servers([b"1", b"2"])
    serve.read_all(address, b"", 2)
    with pytest.raises(UsageError, match="sent 2 rows of 3"):
        serve.read_all(address, b"", 3)


def test_a_server_that_does_not_start_is_named():
    with pytest.raises(UsageError, match="did not start: json"), serve.process("json.nothing"):
        pass


def test_the_table_has_each_row_beside_its_standard():
    row = {"name": "jpeg, shuffled", "status": "measured", "rows_per_second": [900.0, 1000.4, 1100.0], "times": 0.914}
    asked = {"name": "32 photos", "status": "measured", "p50_ms": 81.25, "p99_ms": 90.5, "times": 1.1}
    assert serve.table({"rows": [row, asked]}).splitlines()[-2:] == [
        "| jpeg, shuffled | 1,000 | 0.91 |",
        "| 32 photos | p50 81.25 ms, p99 90.5 ms | 1.10 |",
    ]


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (20, 24, 3), np.uint8) for _ in range(200)]
    return lambda count: MemoryRows(images[:count], labels=[i % 3 for i in range(count)])


def test_epochs_of_equal_sources_pass_the_gate_and_others_do_not(rows, monkeypatch):
    monkeypatch.setattr(serve, "RECIPE", aug_transforms(size=8, min_scale=0.75))
    for world_size in (1, 3):
        serve.check_epochs({"one": rows(200), "other": rows(200)}, world_size)
    other = rows(200)
    other._images[150] = other._images[150] ^ 1
    with pytest.raises(UsageError, match="not those of the local cache"):
        serve.check_epochs({"one": rows(200), "other": other}, 1)


def test_a_sample_that_comes_twice_does_not_pass_the_gate(rows, monkeypatch):
    monkeypatch.setattr(serve, "RECIPE", aug_transforms(size=8, min_scale=0.75))
    twice = rows(200)
    twice._keys[5] = "7"
    with pytest.raises(UsageError, match="had 200, 199 of them different"):
        serve.check_epochs({"one": twice}, 1)
