"""Servers on the workers of a real cluster of two processes: one each, until one of both sides ends."""

import time
from dataclasses import replace

import pytest
import torch
from distributed import Client, LocalCluster

from onewarp import Loader
from onewarp.errors import CacheError, ServiceError, UsageError
from onewarp.pipeline import connect
from onewarp.pipeline.service.cluster import Replication, serve_on
from onewarp.pipeline.service.limits import Limits


@pytest.fixture(scope="module")
def client():
    settings = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "host": "127.0.0.1"}
    with LocalCluster(n_workers=2, silence_logs=50, **settings) as cluster, Client(cluster) as client:
        yield client


def plugins(client):
    """How many servers there are on each worker."""

    def count(dask_worker):
        return sum(name.startswith("onewarp-server-") for name in dask_worker.plugins)

    return [*client.run(count).values()]


def batches(rows):
    return [(x, y, batch.keys) for batch in Loader(rows, batch_size=5, seed=3) for x, y in [batch]]


def answers(address):
    try:
        connect(f"{address}/served", timeout=1).close()
    except ServiceError:
        return False
    return True


def test_each_worker_has_a_server_and_all_have_the_same_rows(client, cache):
    folder = cache("raw", square="squish")
    with serve_on(client, {"served": folder}) as placement:
        first, second = placement.addresses
        assert first != second
        remote = connect(f"{first}/served", replicas=[second], timeout=20)
        for mine, theirs in zip(batches(folder), batches(remote), strict=True):
            assert torch.equal(mine[0], theirs[0])
            assert torch.equal(mine[1], theirs[1])
            assert mine[2] == theirs[2]
        remote.close()
        for address in (first, second):
            alone = connect(f"{address}/served", timeout=20)
            assert len(alone) == 12
            alone.close()
    assert not any(map(answers, (first, second)))
    assert plugins(client) == [0, 0]
    assert client.submit(sum, [1, 2]).result() == 3  # the cluster goes on


def test_a_worker_that_comes_later_serves_too_and_takes_its_server_along(client, cache):
    with serve_on(client, {"served": cache()}) as placement:
        before = placement.addresses
        client.cluster.scale(3)
        while len(placement.addresses) < 3:
            time.sleep(0.05)
        (later,) = set(placement.addresses) - set(before)
        assert answers(later)
        client.cluster.scale(2)
        while len(placement.addresses) > 2:
            time.sleep(0.05)
        assert [answers(address) for address in placement.addresses] == [True, True]


def test_what_a_worker_cannot_serve_is_said_and_nothing_is_left(client, cache, tmp_path):
    folder = cache()
    with pytest.raises(CacheError, match="does not exist"):
        serve_on(client, [str(tmp_path / "nowhere")])
    with pytest.raises(UsageError, match="token_file must be a file of tokens"):
        serve_on(client, [str(folder)], token_file=tmp_path / "nowhere")
    with pytest.raises(ServiceError, match=r"nowhere cannot be read \(No such file or directory\)"):
        serve_on(client, [str(folder)], certificate=(tmp_path / "nowhere", tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="caches must have different names"):
        serve_on(client, [str(folder), str(tmp_path / "other" / folder.name)])
    assert set(plugins(client)) == {0}


def test_a_port_that_is_taken_is_said(client, cache):
    """Two workers of one machine cannot both have it."""
    with serve_on(client, {"served": cache()}) as placement:
        port = int(placement.addresses[0].rpartition(":")[2])
        with pytest.raises(ServiceError, match=f"127.0.0.1:{port} must be a free address of this machine"):
            serve_on(client, {"served": cache()}, port=port)
        assert all(map(answers, placement.addresses))


def test_tokens_are_those_of_a_file_that_workers_read(client, cache, tmp_path):
    (tmp_path / "tokens").write_text("correct-horse\n")
    with serve_on(client, {"served": cache()}, token_file=tmp_path / "tokens") as placement:
        for address in placement.addresses:
            with pytest.raises(ServiceError, match="wants a token"):
                connect(f"{address}/served", timeout=20)
            connect(f"{address}/served", token="correct-horse", timeout=20).close()


REPLICATION = Replication({}, 0, Limits(), None, None, None, 1.0)


@pytest.mark.parametrize("host", ["10.0.0.7", "192.168.1.2", "fe80::1"])
def test_a_server_that_others_reach_is_encrypted_and_knows_its_callers(host, tmp_path):
    nowhere = tmp_path / "nowhere"
    with pytest.raises(UsageError, match=f"unless the connection is encrypted, but got {host}"):
        replace(REPLICATION, token_file=nowhere).start(host)
    with pytest.raises(UsageError, match=f"unless callers are known, but got {host}"):
        replace(REPLICATION, certificate=(nowhere, nowhere)).start(host)
    with pytest.raises(UsageError, match="token_file must be a file of tokens"):
        replace(REPLICATION, certificate=(nowhere, nowhere), token_file=nowhere).start(host)


def test_a_cluster_without_workers_is_refused():
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster) as client,
        pytest.raises(UsageError, match="client must be that of a dask cluster with workers"),
    ):
        serve_on(client, ["pets"])


def test_servers_end_with_the_cluster(cache):
    settings = {"threads_per_worker": 1, "processes": False, "protocol": "tcp", "host": "127.0.0.1"}
    with (
        LocalCluster(n_workers=1, dashboard_address=":0", silence_logs=50, **settings) as cluster,
        Client(cluster) as client,
    ):
        addresses = serve_on(client, {"served": cache()}).addresses
        assert [answers(address) for address in addresses] == [True]
    assert [answers(address) for address in addresses] == [False]
