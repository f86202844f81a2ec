"""Changes of bytes and of JSON: each follows from a seed, and changes something nearly always."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.benchmarks.faults.mutation import change_bytes, change_json, change_numbers, odd_value, to_bytes

DATA = bytes(range(256))
VALUE = {"version": 1, "rows": [1, 2, 3], "augment": {"recipe": "[]", "hashes": None}}


@pytest.mark.parametrize("change", [change_bytes, change_numbers])
def test_bytes_are_changed_in_many_ways(change):
    found = {change(DATA, random.Random(seed)) for seed in range(300)}
    assert len(found - {DATA}) > 200
    assert found == {change(DATA, random.Random(seed)) for seed in range(300)}


@given(st.binary(max_size=20), st.integers(0, 1 << 30))
def test_bytes_of_any_length_can_be_changed_and_numbers_keep_it(data, seed):
    assert isinstance(change_bytes(data, random.Random(seed)), bytes)
    assert len(change_numbers(data, random.Random(seed))) == len(data)


def test_values_are_changed_at_every_depth():
    found = [change_json(VALUE, random.Random(seed)) for seed in range(1000)]
    dicts = [value for value in found if isinstance(value, dict)]
    assert any("version" not in value for value in dicts)
    assert any(value.keys() - VALUE.keys() for value in dicts)
    assert any(isinstance(value.get("augment"), dict) and value["augment"] != VALUE["augment"] for value in dicts)
    assert any(isinstance(value.get("rows"), list) and value["rows"] != VALUE["rows"] for value in dicts)
    assert sum(value == VALUE for value in found) < 50
    assert VALUE["rows"] == [1, 2, 3]


@given(st.integers(0, 1 << 30))
def test_values_can_be_written_as_json(seed):
    data = to_bytes(odd_value(random.Random(seed)))
    assert to_bytes(json.loads(data.decode(errors="surrogatepass"))) == data
