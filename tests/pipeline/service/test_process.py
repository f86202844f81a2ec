"""Where a server may listen, what it says, and how it ends."""

import os
import signal
import socket
from threading import Thread, Timer
from time import sleep

import pytest
from pyarrow import flight

from onewarp.errors import CacheError, ServiceError, UsageError
from onewarp.pipeline import Loader, connect
from onewarp.pipeline.service import process
from onewarp.pipeline.service.process import Listening, folders_of, is_loopback, run
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.server import Service


@pytest.mark.parametrize(
    ("listening", "has_token", "reason"),
    [
        (Listening("grpc://0.0.0.0:8815"), True, "give --tls"),
        (Listening("grpc://[::]:8815"), True, "give --tls"),
        (Listening("grpc+tls://127.0.0.1:8815"), False, "give --tls"),
        (Listening("grpc://192.0.2.1:1", ("c", "k")), False, "give --token-file or --client-ca"),
        (Listening(client_ca="ca"), False, "a certificate of the server's own"),
        (Listening("grpc://localhost"), False, "must be like grpc://127.0.0.1:8815"),
        (Listening("http://localhost:1"), False, "must be like"),
        (Listening("grpc://localhost:1/pets"), False, "must be like"),
        (Listening("grpc://localhost:99999"), False, "must be like"),
        (Listening("nonsense"), False, "must be like"),
        (Listening("grpc://[::1"), False, "must be like"),
        (Listening("grpc://user@localhost:1"), False, "must be like"),
    ],
)
def test_an_address_that_is_open_to_others_or_is_none_is_refused(listening, has_token, reason):
    with pytest.raises(UsageError, match=reason):
        listening.refuse_open(has_token)


def test_an_address_of_this_machine_or_with_tls_and_callers_that_are_known_is_taken():
    for address in ("grpc://127.0.0.1:0", "grpc://localhost:1", "grpc://[::1]:8815"):
        Listening(address).refuse_open(has_token=False)
    Listening("grpc://0.0.0.0:1", ("c", "k")).refuse_open(has_token=True)
    Listening("grpc+tls://0.0.0.0:1", ("c", "k"), "ca").refuse_open(has_token=False)


def test_the_scheme_of_an_address_is_that_of_its_certificate():
    assert Listening("grpc://[::1]:5").on(7) == "grpc://[::1]:7"
    assert Listening("grpc://localhost:5", ("c", "k")).location == "grpc+tls://localhost:5"


def test_loopback_is_what_nobody_else_reaches():
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.1", "nowhere.invalid")))


def test_caches_have_the_names_of_their_folders_or_those_given(tmp_path):
    folders = folders_of([f"{tmp_path}/pets/", f"cats={tmp_path}/a=b", f"{tmp_path}/c=d"])
    assert {name: path.name for name, path in folders.items()} == {"pets": "pets", "cats": "a=b", "c=d": "c=d"}
    with pytest.raises(UsageError, match="two are called 'pets'"):
        folders_of(["a/pets", "b/pets"])


@pytest.fixture
def service(cache):
    return Service(ServedCaches({"cache": cache("raw")}))


def test_it_says_where_it_answers_and_ends_with_a_signal(service):
    said = []

    def say(line):
        said.append(line)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    run(service, Listening("grpc://127.0.0.1:0"), say)
    address, _, what = said[0].partition(" ")
    assert address.startswith("grpc://127.0.0.1:")
    assert what == "serves cache"
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_in_flight_ends_and_what_comes_is_refused(service, cache):
    """A client that reads slowly gets all of its rows from a server that was told to stop; another client gets none."""
    found = []

    def use(line):
        address = line.split()[0]
        remote = connect(f"{address}/cache", timeout=1)
        reader = flight.connect(address).do_get(remote_ticket(remote))
        found.append(reader.read_chunk().data.num_rows)

        def go_on():
            os.kill(os.getpid(), signal.SIGTERM)
            sleep(0.5)
            try:
                remote.pixels(0)
            except ServiceError as error:
                found.append(str(error))
            found.append(sum(chunk.data.num_rows for chunk in reader))

        threads.append(Thread(target=go_on))
        threads[0].start()

    threads = []
    run(service, Listening("grpc://127.0.0.1:0"), use, grace=30)
    threads[0].join()
    first, refusal, rest = found
    assert "the server is stopping" in refusal
    assert first + rest == 12 * 4000


def remote_ticket(remote):
    """A ticket for more bytes than gRPC holds ahead for a client."""
    from onewarp.pipeline.service.tickets import Ticket

    rows = tuple(range(12)) * 4000
    return flight.Ticket(Ticket(remote.name, remote.content, rows=rows, binary="plain", batch_bytes=1 << 16).to_json())


def test_a_server_ends_with_the_process_that_supervises_it(service, monkeypatch):
    monkeypatch.setenv(process.PARENT, str(os.getppid() + 1))  # as if that had ended
    said = []
    run(service, Listening("grpc://127.0.0.1:0"), said.append)
    assert len(said) == 1


def test_an_address_in_use_is_refused(service):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"grpc://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ServiceError, match=f"{address} must be a free address"):
            run(service, Listening(address), print)


def test_a_cache_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CacheError, match="does not exist"):
        ServedCaches(folders_of([str(tmp_path / "nowhere")]))


def test_a_loop_goes_on_while_signals_come_and_go(service):
    """Whatever a signal interrupts, the server hears of it."""
    said = []

    def use(line):
        said.append([batch[1].tolist() for batch in Loader(connect(line.split()[0]), None, 4)])
        Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    run(service, Listening("grpc://127.0.0.1:0"), use)
    assert len(said[0]) == 3
