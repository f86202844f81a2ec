"""Which caches a server has, in which generations: what was opened stays whole, whatever becomes of its folder."""

import json
import shutil
import threading

import pytest
from pyarrow import flight

from onewarp.errors import CacheError, UsageError
from onewarp.pipeline import Loader
from onewarp.pipeline.service import served_caches
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.tickets import Ticket


@pytest.fixture
def rebuild(cache, pictures, draw):
    """rebuild(number): the cache, with another picture in it each time."""

    def make(number):
        draw(pictures / "cat" / "0.png", 100 + number)
        return cache("raw")

    return make


def test_caches_have_the_names_that_they_were_given(cache):
    caches = ServedCaches({"b": cache("raw"), "a": cache("jpeg")})
    assert caches.names == ["b", "a"]
    assert caches.current("a").cache.encoding == "jpeg"
    assert caches.current("b").fingerprint != caches.current("a").fingerprint
    for name in ("c", "", "../b", "B"):
        with pytest.raises(UsageError, match=r"the server has no cache '.*': it has b, a"):
            caches.current(name)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "ä", "a" * 129, "..", "a\n"])
def test_a_name_that_cannot_stand_in_an_address_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match="the name of a cache must be letters, digits"):
        ServedCaches({name: tmp_path})


def test_a_folder_that_has_no_cache_is_refused(tmp_path):
    with pytest.raises(CacheError):
        ServedCaches({"a": tmp_path})


def test_a_cache_that_grows_may_be_empty(tmp_path, cache):
    caches = ServedCaches({"grown": tmp_path / "raw.cache"}, frozenset(["grown"]))
    assert not caches.has_rows("grown")
    with pytest.raises(UsageError, match="has no rows yet: put some, and commit them"):
        caches.current("grown")
    cache("raw")
    caches.renew("grown")
    assert len(caches.current("grown").cache) == 12


def test_what_is_said_of_a_cache_is_json_without_what_it_was_made_from(cache, pictures):
    served = ServedCaches({"a": cache("raw")}).current("a")
    facts = json.loads(served.description)
    assert (facts["version"], facts["name"], facts["rows"]) == (1, "a", 12)
    assert facts["fingerprint"] == served.fingerprint
    assert facts["splits"] == served.cache.splits
    assert str(pictures) not in served.description.decode()


def test_a_cache_that_is_rebuilt_is_served_in_both_generations(rebuild, serve):
    served = serve({"raw.cache": rebuild(0)})
    caches = served.service.caches
    before = caches.current("raw.cache")
    ticket = flight.Ticket(Ticket("raw.cache", before.fingerprint, rows=range(12)).to_json())
    with flight.connect(served.address) as client:
        first = client.do_get(ticket).read_all()
        rebuild(1)
        caches.renew("raw.cache")
        after = caches.current("raw.cache")
        assert after.fingerprint != before.fingerprint
        assert client.do_get(ticket).read_all() == first
        other = flight.Ticket(Ticket("raw.cache", after.fingerprint, rows=range(12)).to_json())
        assert client.do_get(other).read_all() != first
        for number in range(2, 5):
            rebuild(number)
            caches.renew("raw.cache")
        with pytest.raises(flight.FlightServerError, match="the cache was built again, connect again"):
            client.do_get(ticket).read_all()
        assert client.do_get(other).read_all().num_rows == 12


def test_a_ticket_of_another_fingerprint_is_refused(cache):
    caches = ServedCaches({"a": cache("raw")})
    with pytest.raises(UsageError, match=r"has the fingerprint .*, and the ticket is for 'x+': the cache was"):
        caches.get("a", "x" * 5000)
    with pytest.raises(UsageError, match=r"^.{,400}$"):
        caches.get("a", "x" * 5000)


def test_a_rebuilt_cache_is_seen_by_itself(rebuild, monkeypatch):
    caches = ServedCaches({"a": rebuild(0)})
    before = caches.current("a")
    rebuild(1)
    assert caches.current("a") is before  # nobody has looked since
    monkeypatch.setattr(served_caches, "_RECHECK", 0.0)
    assert caches.current("a") is not before


@pytest.mark.parametrize("change", ["remove", "empty", "half"])
def test_a_folder_that_has_no_whole_cache_any_more_is_served_as_it_was(rebuild, change):
    folder = rebuild(0)
    caches = ServedCaches({"a": folder})
    before = caches.current("a")
    if change == "half":
        for path in folder.glob("*.parquet"):
            path.rename(path.with_suffix(".gone"))
    else:
        shutil.rmtree(folder)
        if change == "empty":
            folder.mkdir()
    caches.renew("a")
    assert caches.current("a") is before
    if change == "half":
        return
    rebuild(1)
    caches.renew("a")
    assert caches.current("a").fingerprint != before.fingerprint


def test_many_threads_see_one_cache_or_another_while_it_is_rebuilt(rebuild, monkeypatch):
    monkeypatch.setattr(served_caches, "_RECHECK", 0.0)
    folder = rebuild(0)
    caches = ServedCaches({"a": folder})
    built = {caches.current("a").fingerprint}
    found, stop = set(), threading.Event()

    def look():
        while not stop.is_set():
            found.add(caches.current("a").fingerprint)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 4):
        rebuild(number)
        built.add(ServedCaches({"a": folder}).current("a").fingerprint)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(built) == 4
    assert found
    assert found <= built


def test_a_damaged_row_is_replaced_over_the_service_as_in_a_local_cache(cache, serve):
    folder = cache("raw")
    served = ServedCaches({"a": folder}).current("a")
    locations = served.cache.row_index.locations(served.cache.rows(None)[:1])
    path = served.cache.parts[int(locations.part[0])]
    data = bytearray(path.read_bytes())
    data[int(locations.offset[0])] ^= 1
    path.write_bytes(data)
    for augment in ("client", "server"):
        remote = serve({"a": folder}).connect("a", augment=augment)
        settings = {"batch_size": 4, "shuffle": False, "damaged": "replace"}
        for one, other in zip(Loader(folder, **settings), Loader(remote, **settings), strict=True):
            assert one.keys == other.keys
            assert [a.tolist() for a in one[0]] == [b.tolist() for b in other[0]]
