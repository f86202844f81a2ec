"""`onewarp serve` as processes, and what it refuses before it begins; `benchmarks/replicas.py` kills and ends it."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import trustme
from click.testing import CliRunner

from onewarp.cli import main
from onewarp.errors import ServiceError
from onewarp.pipeline import Loader, connect


def run(*words):
    """Exit status and output of a command in this process."""
    done = CliRunner().invoke(main, [str(word) for word in words], standalone_mode=True)
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def ports():
    """Two ports in a row that are free, and that no client of another process is given meanwhile."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as first, socket.socket() as second, suppress(OSError):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 1))
            return port, port + 1


@pytest.fixture(scope="module")
def start():
    """start(*words): a process of `onewarp serve`; what it prints comes through `readline`."""
    processes = []

    def begin(*words):
        command = [sys.executable, "-m", "onewarp", "serve", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, **pipes, process_group=0))
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["--listen", "grpc://0.0.0.0:8815"], 2, "--listen must be a loopback address unless"),
        (["--listen", "nonsense"], 2, "--listen must be like grpc://127.0.0.1:8815"),
        (["--client-ca", "nowhere.pem"], 2, "give --tls CERTIFICATE KEY"),
        (["--advertise", "nonsense"], 2, "--advertise must be an address like"),
        (["--replicas", "2", "--listen", "grpc://127.0.0.1:0"], 2, "--listen must have a port"),
        (["--replicas", "9", "--listen", "grpc://127.0.0.1:65530"], 2, "--listen must leave ports"),
        (["--tls", "nowhere.pem", "nowhere.key"], 1, "cannot be read"),
        (["--token-file", "nowhere"], 2, "--token-file must be a file of tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_one_line(cache, words, status, reason):
    code, output = run("serve", *words, cache)
    assert code == status
    assert reason in output
    assert output.count("\n") == 1


def test_caches_that_are_none_are_one_line(cache, tmp_path):
    assert run("serve")[0] == 2
    code, output = run("serve", tmp_path / "nowhere")
    assert code == 1
    assert "does not exist" in output
    code, output = run("serve", cache, f"{cache}/")
    assert code == 2
    assert "two are called" in output


@pytest.fixture(scope="module")
def replicas(start, cache, ports, tmp_path_factory):
    """Two replicas with a token; `address` of the first."""
    token = tmp_path_factory.mktemp("token") / "tokens"
    token.write_text("a-good-token\n")
    listen = f"grpc://127.0.0.1:{ports[0]}"
    process = start(f"pets={cache}", "--replicas", 2, "--listen", listen, "--token-file", token, "--grace", 10)
    process.lines = [process.stdout.readline() for _ in ports]
    process.address = f"{listen}/pets"
    return process


def test_each_replica_prints_its_address_and_a_client_of_one_learns_of_both(replicas, ports, cache):
    locations = {f"grpc://127.0.0.1:{port}" for port in ports}
    assert {line.split()[0] for line in replicas.lines} == locations
    assert all(line.endswith(" serves pets\n") for line in replicas.lines)
    remote = connect(replicas.address, "a-good-token")
    assert set(remote.replicas.locations) == locations
    loaders = Loader(remote, None, 2), Loader(cache, None, 2)
    assert [batch.keys for batch in loaders[0]] == [batch.keys for batch in loaders[1]]
    rows = []
    for location in locations:
        alone = connect(f"{location}/pets", "a-good-token", replicas=[location])
        rows += [one["rows"] for one in alone.stats()["requests"] if one["sent"] == "stored"]
    assert len(rows) == 2, "both have done some of the work"
    assert sum(rows) == len(remote)
    with pytest.raises(ServiceError, match="wants a token, and no token was given"):
        connect(replicas.address)
    with pytest.raises(ServiceError, match="wants a token, and it does not know this one"):
        connect(replicas.address, "another-token")


def test_one_that_is_halted_is_passed_over(replicas, cache):
    remote = connect(replicas.address, "a-good-token", timeout=8)
    halted = children_of(replicas.pid)[1]
    os.kill(halted, signal.SIGSTOP)
    try:
        found, expected = (Loader(source, None, 4, threads=2) for source in (remote, cache))
        assert [batch.keys for batch in found] == [batch.keys for batch in expected]
    finally:
        os.kill(halted, signal.SIGCONT)


def test_a_key_of_another_certificate_is_one_line(cache, tmp_path):
    authority = trustme.CA()
    first, second = (authority.issue_cert("localhost") for _ in range(2))
    first.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    second.private_key_pem.write_to_path(tmp_path / "key.pem")
    code, output = run("serve", cache, "--tls", tmp_path / "certificate.pem", tmp_path / "key.pem")
    assert code == 1
    assert "the key is that of another certificate" in output
    assert output.count("\n") == 1


def test_none_is_left_where_the_supervisor_is_killed(replicas):
    children = children_of(replicas.pid)
    assert len(children) == 2
    replicas.kill()
    deadline = time.monotonic() + 60
    while any(map(is_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_alive, children))


def children_of(pid):
    """The processes that a process has started, and that run."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split() if is_alive(int(child))]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
