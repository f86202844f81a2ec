"""A server as a process: what it holds is seen, and it ends with the block."""

import socket

import pytest

from onewarp.benchmarks.faults.served_process import SPARE, Holdings, ServedProcess


def test_what_a_server_holds_is_seen_and_let_go(tmp_path):
    with ServedProcess(tmp_path, [str(tmp_path / "grown"), "--writable=grown", "--size=16"]) as served:
        start = served.holdings()
        assert start.memory > 50 << 20
        assert start.in_flight == 0
        connections = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(SPARE + 5)]
        while served.holdings().files < start.files + SPARE:  # until the server has taken them all
            pass
        for connection in connections:
            connection.close()
        assert served.settle(start, 50 << 20).is_back(start, 50 << 20)
    assert served.process.returncode == 0


def test_a_server_that_does_not_start_is_said(tmp_path):
    with pytest.raises(RuntimeError, match="the server did not start: onewarp: "):
        ServedProcess(tmp_path, [str(tmp_path / "none")])


def test_what_is_held_is_compared_with_the_start():
    start = Holdings(100, 10, 10, 0)
    assert Holdings(150, 10 + SPARE, 10, 0).is_back(start, 50)
    for other in (Holdings(151, 0, 0, 0), Holdings(0, 11 + SPARE, 0, 0), Holdings(0, 0, 11 + SPARE, 0)):
        assert not other.is_back(start, 50)
    assert not Holdings(100, 10, 10, 1).is_back(start, 50)
