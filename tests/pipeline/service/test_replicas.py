"""A call goes to whom it can be answered by: a server that fails, refuses, hangs or stops is passed over."""

import json
import socket
import subprocess
import sys
from threading import Event, Thread

import pytest
from pyarrow import flight

from onewarp.errors import CacheError, DamagedRowError, ServiceError
from onewarp.pipeline.service.replicas import Credentials, Replicas, parsing_answer


class Answering(flight.FlightServerBase):
    """Answers `list_actions` by what `behave` does, and counts the calls."""

    def __init__(self, behave=lambda: None):
        super().__init__("grpc://127.0.0.1:0")
        self.behave, self.calls, self.probes = behave, 0, 0
        self.location = f"grpc://127.0.0.1:{self.port}"

    def list_actions(self, context):
        self.calls += 1
        self.behave()
        return [("named", str(self.port))]

    def do_action(self, context, action):
        self.probes += 1
        return iter([])


@pytest.fixture
def start():
    """start(behave): a server."""
    servers = []

    def make(behave=lambda: None):
        servers.append(Answering(behave))
        return servers[-1]

    yield make
    for server in servers:
        server.shutdown()


@pytest.fixture
def closed():
    """A location where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"grpc://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def of():
    """of(*locations, timeout): the servers there."""
    made = []

    def make(*locations, timeout=20.0):
        made.append(Replicas(locations, Credentials(), timeout))
        return made[-1]

    yield make
    for replicas in made:
        replicas.close()


def ask(client, options):
    """The port of the server that answers."""
    return int(next(iter(client.list_actions(options))).description)


def failing(error, **said):
    """A function that raises an error of Flight, with what a server of ours says beside it."""

    def fail():
        raise error("no", json.dumps(said).encode() if said else None)

    return fail


def test_servers_that_have_as_little_to_do_take_turns(start, of):
    servers = [start(), start()]
    replicas = of(*(server.location for server in servers))
    assert sorted(replicas.call(ask) for _ in range(6)) == sorted([server.port for server in servers] * 3)


def test_a_server_that_is_busy_gets_less(start, of):
    held, go = Event(), Event()
    servers = [start(lambda: (held.set(), go.wait(30))), start()]
    replicas = of(servers[0].location)
    replicas.replicas += of(servers[1].location).replicas
    thread = Thread(target=replicas.call, args=(ask,))
    thread.start()
    assert held.wait(30)
    assert {replicas.call(ask) for _ in range(4)} == {servers[1].port}
    go.set()
    thread.join()


def test_one_that_is_not_there_is_passed_over_and_then_tried_again(start, closed, of):
    server = start()
    replicas = of(closed, server.location)
    assert {replicas.call(ask) for _ in range(10)} == {server.port}
    absent = next(replica for replica in replicas.replicas if replica.location == closed)
    assert absent.is_doubtful
    absent.location, absent.left_out_until = start().location, 0.0  # as if it were back, and its pause over
    assert len({replicas.call(ask) for _ in range(4)}) == 2
    assert not absent.is_doubtful


def test_one_that_failed_must_say_that_it_is_there_before_it_gets_work(start, of):
    shaky, good = start(failing(flight.FlightUnavailableError)), start()
    replicas = of(shaky.location, good.location)
    while not shaky.calls:
        replicas.call(ask)
    next(replica for replica in replicas.replicas if replica.is_doubtful).left_out_until = 0.0
    shaky.behave = lambda: None
    assert shaky.probes == 0
    assert len({replicas.call(ask) for _ in range(2)}) == 2
    assert shaky.probes == 1


def test_one_that_hangs_leaves_time_for_another(start, of):
    go = Event()
    hanging, good = start(lambda: go.wait(30)), start()
    replicas = of(hanging.location, good.location, timeout=6.0)
    try:
        assert {replicas.call(ask) for _ in range(4)} == {good.port}
        assert hanging.calls == 1
    finally:
        go.set()


def test_where_none_answers_the_error_names_all_and_says_why(closed, of):
    with pytest.raises(ServiceError, match=rf"no server answers at {closed}.*Connection refused"):
        of(closed, timeout=0.5).call(ask)


def test_a_call_tries_one_at_least_however_short_its_time(start, of):
    server = start()
    replicas = of(server.location, timeout=0.2)
    replicas.replicas[0].left_out_until = float("inf")
    assert replicas.call(ask) == server.port


def test_one_that_stops_is_asked_again_while_others_answer(start, of):
    busy = start(failing(flight.FlightUnavailableError, kind="BusyError", message="the server is stopping"))
    good = start()
    replicas = of(busy.location, good.location)
    assert {replicas.call(ask) for _ in range(6)} == {good.port}
    assert not any(replica.is_doubtful for replica in replicas.replicas)
    with pytest.raises(ServiceError, match="the server is stopping"):
        of(busy.location, timeout=0.5).call(ask)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"kind": "UsageError", "message": "the cache was built again"}, ServiceError),
        ({"kind": "CacheError", "message": "a part is gone"}, CacheError),
        ({"kind": "DamagedRowError", "message": "row is damaged", "row": 3, "key": "a/b.png"}, DamagedRowError),
        ({"kind": "KeyError", "message": "the server failed"}, ServiceError),
    ],
)
def test_what_one_refuses_another_may_do_and_else_the_refusal_is_raised(start, of, said, kind):
    refusing, good = start(failing(flight.FlightServerError, **said)), start()
    replicas = of(refusing.location, good.location)
    assert {replicas.call(ask) for _ in range(4)} == {good.port}
    with pytest.raises(kind, match=said["message"]) as error:
        of(refusing.location).call(ask)
    assert type(error.value) is kind
    if kind is DamagedRowError:
        assert (error.value.row, error.value.key) == (3, "a/b.png")


def test_a_refusal_does_not_wait_for_servers_that_are_not_there(start, closed, of):
    refusing = start(failing(flight.FlightServerError, kind="UsageError", message="no such rows"))
    replicas = of(closed, refusing.location, timeout=60.0)
    with pytest.raises(ServiceError, match="no such rows"):
        replicas.call(ask)


def test_an_answer_that_cannot_be_used_is_asked_for_elsewhere(start, of):
    first, second = start(), start()

    def pick(client, options):
        if ask(client, options) == first.port:
            raise ServiceError("half an answer")
        return "whole"

    assert of(first.location, second.location).call(pick) == "whole"
    with pytest.raises(ServiceError, match="half an answer"):
        of(first.location).call(pick)


def test_several_failures_of_one_connection_count_once(start, of):
    replicas = of("grpc://127.0.0.1:1", timeout=0.1)
    (replica,) = replicas.replicas
    replica.client = client = object()
    error = flight.FlightUnavailableError("gone")
    replicas._has_answered = True
    for _ in range(5):
        replicas._judge(replica, client, error)
    assert replica.pause == 0.25


def test_what_answers_but_is_no_service_is_named(start, of):
    class Bare(flight.FlightServerBase):
        pass

    bare = Bare("grpc://127.0.0.1:0")
    with pytest.raises(ServiceError, match=rf"grpc://127.0.0.1:{bare.port} is no service of onewarp"):
        of(f"grpc://127.0.0.1:{bare.port}").call(lambda client, options: list(client.list_flights(b"", options)))
    bare.shutdown()


def test_a_port_of_another_protocol_is_told_at_once(of):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer():
            connection, _ = other.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(1 << 16)

        Thread(target=answer, daemon=True).start()
        with pytest.raises(ServiceError, match="another protocol"):
            of(f"grpc://127.0.0.1:{other.getsockname()[1]}", timeout=60.0).call(ask)


def test_a_port_that_says_nothing_ends_by_the_timeout(of):
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(ServiceError, match="no server answers"):
        of(f"grpc://127.0.0.1:{mute.getsockname()[1]}", timeout=0.5).call(ask)


FORKING = """
import os, sys
from onewarp.errors import ServiceError
from onewarp.pipeline import Loader, connect
cache = connect(sys.argv[1])
loader = Loader(cache, None, 4)
batches = iter(loader)
next(batches)  # its threads fetch ahead as the process is forked
child = os.fork()
if child == 0:
    said = []
    for read in (lambda: cache.pixels(0), lambda: next(iter(loader)), lambda: cache.stats()):
        try:
            read()
        except ServiceError as error:
            said.append("before this process was forked" in str(error))
    os._exit(0 if said == [True] * 3 else 1)  # as multiprocessing does: at an end of Python gRPC may crash
_, status = os.waitpid(child, 0)
assert len(list(batches)) == 2
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_process_is_told_to_connect_itself(cache, serve):
    address = serve({"cache": cache()}).address
    done = subprocess.run([sys.executable, "-c", FORKING, address], timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_no_answer_is_a_service_error():
    for fault in (KeyError("x"), ValueError("a\nb"), UnicodeDecodeError("utf-8", b"", 0, 1, ""), IndexError()):
        with pytest.raises(ServiceError, match="an answer cannot be used"), parsing_answer():
            raise fault
    with pytest.raises(flight.FlightUnavailableError), parsing_answer():
        raise flight.FlightUnavailableError("gone")
