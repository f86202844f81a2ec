"""Tickets say all that an answer depends on; whatever else comes is refused in one line, before anything is read."""

import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.pipeline.service.limits import Limits
from onewarp.pipeline.service.tickets import LEAST_BATCH, MOST_BATCH, MOST_RECIPE, VERSION, Augment, Fields, Ticket

RIGHT = Ticket("pets", "f" * 16, rows=(3, 1))
NAMES = st.text(max_size=20)
NUMBERS = st.integers(0, (1 << 62))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=9,
)


@st.composite
def tickets(draw):
    """Tickets that are right."""
    send = draw(st.sampled_from(["stored", "pixels", "augmented", "index"]))
    rows = draw(
        st.lists(NUMBERS, max_size=9).map(tuple) | st.tuples(NUMBERS, NUMBERS).map(lambda ends: range(*sorted(ends)))
    )
    augment = None
    if send == "augmented":
        count = len(rows) if isinstance(rows, tuple) else 10
        rows = rows if isinstance(rows, tuple) else range(5, 15)
        hashes = st.lists(st.integers(0, (1 << 64) - 1), min_size=count, max_size=count).map(tuple)
        augment = Augment(
            draw(NAMES),
            draw(st.integers(-(1 << 62), 1 << 62)),
            draw(NUMBERS),
            draw(st.sampled_from(["train", "valid"])),
            draw(st.none() | hashes),
        )
    return Ticket(
        draw(NAMES),
        draw(NAMES),
        send,
        () if send == "index" else rows,
        tuple(draw(st.lists(NAMES, unique=True, max_size=4))),
        tuple(draw(st.lists(NAMES, unique=True, max_size=4))),
        draw(st.sampled_from(["view", "plain"])),
        draw(st.sampled_from(["none", "lz4", "zstd"])),
        draw(st.integers(LEAST_BATCH, MOST_BATCH)),
        augment,
    )


@given(tickets())
def test_a_ticket_is_read_as_it_was_written(ticket):
    assert Ticket.from_json(ticket.to_json()) == ticket


@given(data=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_no_ticket_is_refused_in_one_line(data):
    with pytest.raises(UsageError) as refusal:
        Ticket.from_json(data)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@given(st.data(), tickets())
def test_a_ticket_with_another_value_says_that_value_or_is_refused(data, ticket):
    values = json.loads(ticket.to_json())
    values[data.draw(st.sampled_from(sorted(values)))] = data.draw(JSON)
    changed = None
    with suppress(UsageError):
        changed = Ticket.from_json(json.dumps(values).encode())
    if changed is not None:
        assert json.loads(changed.to_json()) == values


@given(data=st.data())
def test_a_ticket_that_is_cut_is_refused(data):
    whole = RIGHT.to_json()
    with pytest.raises(UsageError, match="must be JSON"):
        Ticket.from_json(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": VERSION + 1}, "the client is newer than the server"),
        ({"version": VERSION - 1}, "the server speaks another version"),
        ({"version": True}, "must be of version 1, but is of True"),
        ({"version": None}, "must be of version 1"),
        ({"more": 1}, "must not have the field 'more'"),
        ({"augment": {"recipe": "[]"}}, "must not have the field 'augment'"),
        ({"send": "augmented"}, "must have the field augment"),
        ({"send": "index"}, "must not have the field 'rows'"),
        ({"send": "everything"}, "send must be one of stored, pixels, augmented, index"),
        ({"send": ["stored"]}, "send must be one of"),
        ({"cache": 1}, "cache must be a text"),
        ({"cache": "a" * 4097}, "cache must be a text of at most 4096 letters"),
        ({"rows": [-1]}, "rows must be whole numbers from 0"),
        ({"rows": [True]}, "rows must be whole numbers from 0"),
        ({"rows": [0.0]}, "rows must be whole numbers from 0"),
        ({"rows": [1 << 70]}, "rows must be whole numbers from 0"),
        ({"rows": {"begin": 2, "end": 1}}, "end must be a whole number from 2"),
        ({"rows": {"begin": 0, "end": 1 << 63}}, "end must be a whole number"),
        ({"rows": {"begin": 0, "end": 1, "step": 2}}, "rows must not have the field 'step'"),
        ({"rows": "all"}, "rows must be whole numbers"),
        ({"columns": ["key", "key"]}, "columns must be at most 64 names, no two alike"),
        ({"columns": [f"{i}" for i in range(65)]}, "columns must be at most 64 names"),
        ({"masks": "mask"}, "masks must be a list of names"),
        ({"binary": "large"}, "binary must be one of view, plain"),
        ({"compression": "gzip"}, "compression must be one of none, lz4, zstd"),
        ({"batch_bytes": LEAST_BATCH - 1}, "batch_bytes must be a whole number from 65536"),
        ({"batch_bytes": MOST_BATCH + 1}, "batch_bytes must be a whole number"),
    ],
)
def test_a_field_that_is_wrong_is_named(changes, reason):
    values = {**json.loads(RIGHT.to_json()), **changes}
    with pytest.raises(UsageError, match=reason):
        Ticket.from_json(json.dumps(values).encode())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hashes": [1]}, "one for each of 2 rows, but there are 1"),
        ({"hashes": [1, 2, 3]}, "at most 2 numbers, but there are 3"),
        ({"hashes": [1, -2]}, "whole numbers from 0"),
        ({"hashes": [1, 1 << 64]}, "whole numbers from 0"),
        ({"seed": "1"}, "seed must be a whole number"),
        ({"epoch": -1}, "epoch must be a whole number from 0"),
        ({"split": "test"}, "split must be one of train, valid"),
        ({"recipe": "a" * (MOST_RECIPE + 1)}, "recipe must be a text of at most"),
        ({"recipe": []}, "recipe must be a text"),
        ({"path": "x"}, "augment must not have the field 'path'"),
    ],
)
def test_a_field_of_augment_that_is_wrong_is_named(changes, reason):
    values = json.loads(replace(RIGHT, send="augmented", augment=Augment("[]")).to_json())
    values["augment"] |= changes
    with pytest.raises(UsageError, match=reason):
        Ticket.from_json(json.dumps(values).encode())


def test_a_field_that_is_missing_is_named():
    for name in ("version", "cache", "fingerprint", "rows"):
        values = json.loads(RIGHT.to_json())
        del values[name]
        with pytest.raises(UsageError, match=f"must have the field {name}"):
            Ticket.from_json(json.dumps(values).encode())


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"version":' + b"9" * 10_000 + b"}", b'{"version":1e999}', b"\xff"])
def test_json_that_no_parser_reads_is_refused(data):
    with pytest.raises(UsageError, match="must be"):
        Ticket.from_json(data)


def test_what_is_beyond_the_limits_is_refused():
    with pytest.raises(UsageError, match="at most 2 numbers, but there are 3"):
        Ticket.from_json(Ticket("a", "b", rows=(1, 2, 3)).to_json(), Limits(rows=2))
    with pytest.raises(UsageError, match=r"must be at most 10 bytes, but has \d+"):
        Ticket.from_json(RIGHT.to_json(), Limits(request_bytes=10))
    assert len(Ticket.from_json(Ticket("a", "b", rows=range(1000)).to_json(), Limits(rows=2)).rows) == 1000


@pytest.mark.parametrize(("rows", "most"), [(range(3, 8), 7), (range(8, 8), -1), ((5, 0, 5), 5), ((), -1)])
def test_rows_that_a_cache_does_not_have_are_refused(rows, most):
    ticket = replace(RIGHT, rows=rows)
    ticket.check_rows(most + 1)
    if most >= 0:
        with pytest.raises(UsageError, match=f"below {most}, but got {most}"):
            ticket.check_rows(most)


@given(rows=st.lists(NUMBERS, max_size=9).map(tuple), begin=st.integers(0, 9), size=st.integers(0, 9))
def test_numbers_are_those_of_the_rows(rows, begin, size):
    numbers = replace(RIGHT, rows=rows).numbers(begin, begin + size)
    assert numbers.dtype == np.int64
    assert tuple(numbers.tolist()) == rows[begin : begin + size]
    assert replace(RIGHT, rows=range(5, 9)).numbers(1, 99).tolist() == [6, 7, 8]


def test_a_flag_and_what_is_left_are_read():
    fields = Fields({"verify": True, "more": {"x": 1}}, "the action")
    assert fields.flag("verify", False)
    assert fields.mapping("more").take("x") == 1
    assert not fields.flag("verify", False)
    for value in (1, "true", None):
        with pytest.raises(UsageError, match="verify must be true or false"):
            Fields({"verify": value}, "the action").flag("verify", False)
    with pytest.raises(UsageError, match="more must be a JSON object"):
        Fields({"more": []}, "the action").mapping("more")
