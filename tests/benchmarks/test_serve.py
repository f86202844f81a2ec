"""What the measurement of the service does with its figures, and that its gates can stop it."""

import numpy as np
import pyarrow as pa
import pytest

from onewarp.benchmarks import serve
from onewarp.benchmarks.peers.bare_flight import BareServer
from onewarp.errors import UsageError


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
    assert serve.table({"rows": [row]}).splitlines()[-1] == "| jpeg, shuffled | 1,000 | 0.91 |"
