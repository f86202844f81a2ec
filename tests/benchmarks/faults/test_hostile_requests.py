"""Hostile requests follow from a seed and a number, and are of every kind."""

from onewarp.benchmarks.faults import grpc_bytes
from onewarp.benchmarks.faults.hostile_requests import KINDS, Target, draw, right_requests

TARGET = Target(b"a-token", "pets", "f" * 16, 12, "grown")


def test_requests_follow_from_a_seed_and_a_number():
    first = [draw(TARGET, 3, number) for number in range(70)]
    assert [request.kind for request in first[: len(KINDS)]] == [*KINDS]
    again = [draw(TARGET, 3, number) for number in range(70)]
    kinds = {"bytes of no protocol"}  # what a client of TLS says is random
    assert [one for one in first if one.kind not in kinds] == [one for one in again if one.kind not in kinds]
    assert len({draw(TARGET, 4, number).data for number in range(70)} & {one.data for one in first}) < 5


def test_a_whole_call_ends_its_stream():
    for number in range(280):
        request = draw(TARGET, 5, number)
        if request.is_call and request.kind != "lengths of a message":
            ends = [
                flags & grpc_bytes.END_STREAM
                for kind, flags, *_ in grpc_bytes.frames(request.data[len(grpc_bytes.PREFACE) :])
                if kind == grpc_bytes.Frame.DATA
            ]
            assert ends[-1] == 1
            assert not any(ends[:-1])


def test_what_is_right_is_of_every_method():
    methods = {
        data.partition(b"FlightService/")[2][:5] for data in (request.data for request in right_requests(TARGET))
    }
    assert methods == {b"DoGet", b"DoAct", b"DoPut", b"DoExc"}
