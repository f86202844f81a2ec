"""What a server counts: each request once, whichever thread it was in and however it ended."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import CacheError, UsageError
from onewarp.pipeline.service.monitoring import BOUNDS, KINDS, Monitoring

REQUESTS = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from(["", "stored", "pixels"]),
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 2**40)), max_size=3),
    st.sampled_from([None, UsageError, CacheError, KeyboardInterrupt]),
)


def serve(monitoring, kind, sent, batches, error):
    """One request that sends some batches, and fails where there is an error."""
    try:
        with monitoring.request(kind, sent) as tally:
            for rows, nbytes in batches:
                tally.add(rows=rows, nbytes=nbytes)
            if error:
                raise error("no")
    except (UsageError, CacheError, KeyboardInterrupt):
        assert error


@given(st.lists(REQUESTS, max_size=20))
def test_a_snapshot_has_each_request_once_under_what_it_was(requests):
    monitoring = Monitoring()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda request: serve(monitoring, *request), requests))
    counted = json.loads(json.dumps(monitoring.snapshot()))
    assert (counted["in_flight"], counted["bytes_held"]) == (0, 0)
    lines = {(line["kind"], line["sent"]): line for line in counted["requests"]}
    assert list(lines) == sorted({(kind, sent) for kind, sent, _, _ in requests})
    for name, line in lines.items():
        mine = [(batches, error) for *what, batches, error in requests if tuple(what) == name]
        assert line["requests"] == len(mine)
        assert line["rows"] == sum(rows for batches, _ in mine for rows, _ in batches)
        assert line["bytes"] == sum(nbytes for batches, _ in mine for _, nbytes in batches)
        assert line["errors"] == Counter(error.__name__ for _, error in mine if error)
        assert line["seconds"] >= 0
    for totals in monitoring.state().totals.values():
        assert sum(totals.counts) == totals.requests
        assert len(totals.counts) == len(BOUNDS) + 1


def test_no_count_is_lost_between_threads():
    monitoring = Monitoring()

    def work(_):
        for _ in range(500):
            serve(monitoring, "get", "stored", [(1, 2)], None)
            monitoring.hold(7)
            monitoring.release(7)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    (line,) = monitoring.snapshot()["requests"]
    assert (line["requests"], line["rows"], line["bytes"]) == (4000, 4000, 8000)
    assert (monitoring.snapshot()["in_flight"], monitoring.snapshot()["bytes_held"]) == (0, 0)


def test_a_long_stream_is_seen_while_it_runs_and_abandoned_when_its_client_leaves():
    monitoring = Monitoring()

    def stream():
        with monitoring.request("get", "augmented") as tally:
            while True:
                tally.add(rows=64, nbytes=1000)
                yield

    batches = stream()
    next(batches)
    monitoring.hold(5000)
    during = monitoring.snapshot()
    assert (during["in_flight"], during["bytes_held"]) == (1, 5000)
    assert [(line["rows"], line["requests"]) for line in during["requests"]] == [(64, 0)]
    batches.close()
    after = monitoring.snapshot()
    assert (after["in_flight"], after["bytes_held"]) == (0, 5000)
    assert [(line["requests"], line["errors"]) for line in after["requests"]] == [(1, {"Abandoned": 1})]


def test_what_is_sent_may_become_known_within_a_request():
    monitoring = Monitoring()
    with monitoring.request("get") as tally:
        tally.sent = "pixels"
        tally.add(rows=1)
    assert [(line["sent"], line["rows"]) for line in monitoring.snapshot()["requests"]] == [("pixels", 1)]


def test_names_that_clients_choose_do_not_fill_the_memory():
    monitoring = Monitoring()
    for i in range(1000):
        with monitoring.request("action", f"name {i}"):
            pass
    lines = monitoring.snapshot()["requests"]
    assert len(lines) <= 65
    assert sum(line["requests"] for line in lines) == 1000


def test_a_server_accepts_requests_from_when_it_says_so_until_it_drains():
    monitoring = Monitoring()
    states = [monitoring.accepts]
    for change in (monitoring.accept, monitoring.drain):
        change()
        states.append(monitoring.snapshot()["accepts"])
    assert states == [False, True, False]


def test_a_snapshot_stays_as_it_was():
    monitoring = Monitoring()
    serve(monitoring, "put", "", [(1, 1)], UsageError)
    state, snapshot = monitoring.state(), monitoring.snapshot()
    before = json.dumps(snapshot)
    serve(monitoring, "put", "", [(1, 1)], UsageError)
    assert json.dumps(snapshot) == before
    assert state.totals["put", ""].errors == {"UsageError": 1}


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(KeyError), Monitoring().request("drop"):
        pass
