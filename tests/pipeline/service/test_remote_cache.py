"""A cache behind an address gives a loader what the cache itself gives, to the bit."""

import pickle
import socket

import pytest
import torch

from onewarp.errors import CacheError, ServiceError, UsageError
from onewarp.pipeline import Cache, Loader, connect
from onewarp.transforms import aug_transforms

RECIPE = aug_transforms(size=16, min_scale=0.75)


def assert_same(first, second):
    """The same batches, to the bit."""
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
        assert torch.equal(one.matrix, other.matrix)
        assert one.keys == other.keys


@pytest.mark.parametrize("augment", ["client", "server"])
@pytest.mark.parametrize("encoding", ["raw", "jpeg", "png"])
def test_a_loader_has_the_batches_of_the_local_cache(cache, serve, encoding, augment):
    folder = cache(encoding)
    remote = serve({"cache": folder}).connect("cache", augment=augment)
    for split in ("train", "valid", None):
        local, other = (Loader(rows, split, 4, RECIPE, seed=3) for rows in (folder, remote))
        for _ in range(2):
            assert_same(local, other)
        assert local.state_dict() == other.state_dict()
    assert torch.equal(local.replay("cat/0.png", 5)[0], other.replay("cat/0.png", 5)[0])


@pytest.mark.parametrize("augment", ["client", "server"])
def test_a_loader_has_the_clock_of_a_local_one(cache, serve, augment):
    loader = Loader(serve({"cache": cache()}).connect(augment=augment), None, 5, RECIPE, threads=2)
    list(loader)
    stats = loader.stats()
    assert (stats.loops, stats.batches, stats.samples, stats.threads) == (1, 3, 12, 2)
    assert 0 < stats.work <= 2 * stats.seconds
    assert stats.reading > 0
    assert (stats.decoding > 0) == (augment == "client")


@pytest.mark.parametrize("augment", ["client", "server"])
def test_a_loader_goes_on_from_the_state_of_another_at_other_settings(cache, serve, augment):
    folder = cache()
    remote = serve({"cache": folder}).connect("cache", augment=augment)
    for first, second in ((folder, remote), (remote, folder)):
        begun = Loader(first, None, 4, RECIPE, keys=True)
        batches = iter(begun)
        delivered = next(batches)[2]
        rest = [Loader(second, None, 2, RECIPE, keys=True, rank=rank, world_size=3) for rank in range(3)]
        for loader in rest:
            loader.load_state_dict(begun.state_dict())
        keys = [key for loader in rest for batch in loader for key in batch[2]]
        assert sorted([*delivered, *keys]) == sorted(Cache.open(folder).index.column("key").to_pylist())


def test_rows_can_be_looked_at_one_by_one(cache, serve):
    folder = cache("raw")
    remote, local = serve({"cache": folder}).connect(), Cache.open(folder)
    assert (len(remote), remote.vocab, remote.splits) == (len(local), local.vocab, local.splits)
    for number in range(len(local)):
        assert remote.row(number).pixels.tolist() == local.row(number).pixels.tolist()
        assert remote.columns(number) == local.columns(number)
    assert remote["dog/1.png"].label == "dog"
    assert remote.rows("valid").tolist() == local.rows("valid").tolist()
    assert repr(remote).endswith("12 rows, raw)")


def test_a_loader_of_a_remote_cache_can_be_pickled(cache, serve):
    remote = serve({"cache": cache()}).connect()
    loader = Loader(remote, "train", 4, RECIPE)
    assert_same(loader, pickle.loads(pickle.dumps(loader)))


def test_a_cache_that_was_built_again_is_another_one(cache, serve, pictures, draw):
    folder = cache()
    served = serve({"cache": folder})
    remote = served.connect()
    pickled = pickle.dumps(remote)
    before = [remote.pixels(number).tolist() for number in range(12)]
    draw(pictures / "cat" / "0.png", 99)
    cache()
    served.service.caches.renew("cache")
    assert [remote.pixels(number).tolist() for number in range(12)] == before  # what was opened stays as it is
    assert [served.connect().pixels(number).tolist() == before[number] for number in range(12)].count(False) == 1
    with pytest.raises(CacheError, match="another cache by now"):
        pickle.loads(pickled)


def replicas_of(serve, folder, count, **settings):
    """Servers of the same cache, and what is connected to all of them."""
    servers = [serve({"cache": folder}) for _ in range(count)]
    locations = [served.address for served in servers]
    return servers, servers[0].connect("cache", replicas=locations[1:], **settings)


@pytest.mark.parametrize("augment", ["client", "server"])
def test_a_server_that_stops_in_the_middle_of_an_epoch_costs_nothing(cache, serve, augment):
    folder = cache()
    servers, remote = replicas_of(serve, folder, 2, augment=augment)
    loader, local = (Loader(rows, None, 1, RECIPE, seed=3, threads=2, prefetch=1) for rows in (remote, folder))
    batches = []
    for number, batch in enumerate(loader):
        batches.append(batch)
        if number == 2:
            assert servers[0].server.stop(grace=20)  # what was in flight has ended by itself
    assert_same(batches, local)


def test_where_all_servers_are_gone_the_loop_ends_and_goes_on_when_they_are_back(cache, serve):
    folder = cache()
    (served,), remote = replicas_of(serve, folder, 1, timeout=5)
    loader, expected = Loader(remote, None, 1, RECIPE, threads=1, prefetch=1), list(Loader(folder, None, 1, RECIPE))
    loop = iter(loader)
    batches = [next(loop), next(loop)]
    served.server.stop(grace=5)
    with pytest.raises(ServiceError, match=f"no server answers at {served.address}"):
        batches.extend(loop)
    assert 2 <= len(batches) < 12
    assert loader.state_dict()["delivered"] == len(batches)
    serve({"cache": folder}, location=served.address)
    remote.replicas.timeout = 60  # it is the machine that may be slow now
    loader.load_state_dict(loader.state_dict())
    assert_same([*batches, *loader], expected)


def test_a_server_that_accepts_and_says_nothing_is_passed_over(cache, serve):
    folder = cache()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        location = f"grpc://127.0.0.1:{mute.getsockname()[1]}"
        remote = serve({"cache": folder}).connect("cache", replicas=[location], timeout=8)
        assert_same(Loader(remote, None, 2, RECIPE), Loader(folder, None, 2, RECIPE))


def test_rows_that_one_server_has_no_more_come_from_another(cache, serve, pictures, draw):
    """Of two replicas one was started again, after the cache had been built anew: it refuses what the other has."""
    folder = cache()
    remote = serve({"cache": folder}).connect()
    before = list(Loader(remote, None, 2, RECIPE))
    draw(pictures / "cat" / "0.png", 99)
    cache()
    new = serve({"cache": folder}).connect()
    assert new.content != remote.content
    remote.replicas.replicas += new.replicas.replicas
    assert_same(Loader(remote, None, 2, RECIPE), before)
    remote.replicas.replicas = new.replicas.replicas
    with pytest.raises(ServiceError, match="the cache was built again, connect again"):
        remote.pixels(0)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("pets.cache", "grpc://host:8815"),
        ("http://localhost:80/pets", "grpc://host:8815"),
        ("grpc://localhost/pets", "grpc://host:8815"),
        ("grpc://localhost:1/a/b", "grpc://host:8815"),
        ("grpc://user@localhost:1/a", "grpc://host:8815"),
        ("grpc://localhost:99999999/a", "grpc://host:8815"),
    ],
)
def test_what_is_no_address_is_refused(address, reason):
    with pytest.raises(UsageError, match=reason):
        connect(address)


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(ServiceError, match=r"no server answers at grpc://127.0.0.1:1"):
        connect("grpc://127.0.0.1:1/pets", timeout=0.5)


def test_a_name_is_needed_where_there_are_several_caches(cache, serve):
    served = serve({"a": cache("raw"), "b": cache("jpeg")})
    with pytest.raises(ServiceError, match=r"2 caches \(a, b\)"):
        served.connect()
    with pytest.raises(ServiceError, match="no cache 'c': it has a, b"):
        served.connect("c")
    assert served.connect("b").encoding == "jpeg"
