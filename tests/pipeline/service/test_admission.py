"""What one client may take of a server: calls, requests, bytes; and all of it comes back."""

import threading
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onewarp.pipeline.service.admission import Admission, BusyError, client_of
from onewarp.pipeline.service.limits import Limits

ONE, SAME, OTHER = "ipv4:10.0.0.7:1", "ipv4:10.0.0.7:2", "ipv4:10.0.0.8:1"


class Call:
    """Stands for a call of the server."""


def test_one_client_has_so_many_requests_over_all_its_connections():
    admission = Admission(Limits(client_requests=2))
    with admission.enter(ONE), admission.enter(SAME):
        with pytest.raises(BusyError, match="2 requests of this client"), admission.enter(ONE):
            pass
        with admission.enter(OTHER):
            assert admission.in_flight == 3
            assert sorted(admission.peers) == [ONE, SAME, OTHER]
    with admission.enter(ONE):
        assert admission.peers == [ONE]
    assert (admission.in_flight, admission.peers) == (0, [])


def test_a_server_has_so_many_calls_as_live():
    admission = Admission(Limits(requests=2))
    calls = [Call(), Call()]
    for call in calls:
        admission.begin(call)
    with pytest.raises(BusyError, match="2 calls, which is its limit"):
        admission.begin(Call())
    del call, calls[0]
    admission.begin(calls[0])


def test_a_request_that_fails_is_in_flight_no_more():
    admission = Admission(Limits())
    with pytest.raises(ZeroDivisionError), admission.enter(ONE):
        raise ZeroDivisionError
    assert admission.in_flight == 0


@given(sizes=st.lists(st.integers(0, 150), max_size=30))
def test_no_client_holds_more_bytes_than_the_limit_but_one_piece(sizes):
    admission = Admission(Limits(client_bytes=100))
    held = []
    for size in sizes:
        if admission.take(ONE, size, wait=False):
            held.append(size)
            assert sum(held) <= 100 or len([one for one in held if one]) == 1
        else:
            assert sum(held) + size > 100
        assert admission.bytes_held(SAME) == sum(held)
    for size in held:
        admission.give_back(SAME, size)
    assert admission.bytes_held(ONE) == 0


def test_who_has_no_room_waits_until_there_is():
    admission = Admission(Limits(client_bytes=100))
    admission.take(ONE, 100)
    waiting = [threading.Thread(target=admission.take, args=(SAME, 50)) for _ in range(2)]
    for thread in waiting:
        thread.start()
    admission.take(OTHER, 100)  # another client has room of its own
    assert all(thread.is_alive() for thread in waiting)
    admission.give_back(ONE, 100)
    for thread in waiting:
        thread.join()
    assert admission.bytes_held(ONE) == 100


def test_who_finds_no_room_in_time_is_refused():
    admission = Admission(Limits(client_bytes=100, stall_seconds=1))
    admission.take(ONE, 100)
    with pytest.raises(BusyError, match="100 bytes wait for this client"):
        admission.take(ONE, 1)
    assert admission.bytes_held(ONE) == 100


def test_what_is_in_flight_ends_after_the_end_and_nothing_comes():
    admission = Admission(Limits(client_bytes=100))
    with ExitStack() as stack:
        stack.enter_context(admission.enter(ONE))
        admission.close()
        assert not admission.wait(0)
        for refused in (lambda: admission.begin(Call()), lambda: admission.enter(ONE).__enter__()):
            with pytest.raises(BusyError, match="is stopping"):
                refused()
        assert admission.take(ONE, 50)
        admission.give_back(ONE, 50)
    assert admission.wait(0)


def test_a_client_is_an_address_without_a_port():
    assert client_of(ONE) == client_of(SAME) != client_of(OTHER)
    assert client_of("unix:") == "unix"
