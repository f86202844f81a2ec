"""Photos are sent once, whoever was killed on the way, and the cache is that of `presize`."""

import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from onewarp.errors import LabelError, ServiceError, UsageError
from onewarp.pipeline import Cache, upload_to
from onewarp.pipeline.presizing.growth import GrowingCache
from onewarp.pipeline.presizing.growth_settings import GrowthSettings
from onewarp.pipeline.presizing.presizer import presize
from onewarp.pipeline.service import upload as upload_file
from onewarp.pipeline.service.commits import Commits


@pytest.fixture
def growing(serve_growing, grown):
    """A server of the cache `grown`."""
    return serve_growing(grown)


@pytest.fixture
def upload(growing):
    """An upload to the cache `grown`."""
    return growing.upload()


@pytest.fixture
def paths(pictures, photos):
    """Keys and the paths of 12 photos."""
    return [(photo.key, pictures / photo.key) for photo in photos]


def test_photos_are_sent_once_and_committed(upload, paths, photos, grown, files_in, pictures, tmp_path):
    first = upload.put(paths[:5])
    assert (first.sent, first.there, first.refused) == (5, 0, {})
    again = upload.put((photo.key, photo.data) for photo in photos)
    assert (again.sent, again.there) == (7, 5)
    says = []
    done = upload.commit(report=lambda count, text: says.append(count))
    assert (done.rows, done.decoded, done.rejected, done.encoding) == (12, 12, {}, "raw")
    assert says[-1] == 12
    presize(pictures, tmp_path / "made", 16, label="parent", split="hash:0.5")
    assert files_in(grown.folder) == files_in(tmp_path / "made")
    assert upload.put(paths).there == 12
    assert upload.commit(verify=True).kept == 12


def test_what_cannot_be_read_or_is_refused_or_rejected_is_named(upload, paths, tmp_path):
    wrong = [
        ("cat/none.png", tmp_path / "none.png"),
        ("cat/folder.png", tmp_path),
        ("../x.png", paths[0][1]),
        ("alone.png", paths[0][1]),
        ("cat/labelled.png", paths[0][1], "cat"),
    ]
    done = upload.put([*wrong, *paths, ("cat/bad.png", b"no picture")])
    assert done.sent == 13
    assert done.refused.keys() == {entry[0] for entry in wrong}
    assert "No such file" in done.refused["cat/none.png"]
    assert "is a folder" in done.refused["cat/folder.png"]
    assert "relative path" in done.refused["../x.png"]
    assert "send none" in done.refused["cat/labelled.png"]
    committed = upload.commit()
    assert committed.rejected.keys() == {"cat/bad.png"}
    assert committed.rows == 12


@pytest.mark.parametrize(
    "entry",
    ["cat.png", ("cat.png",), (1, b""), ("a", 7), ("a", b"", None, 3), ("a", b"", 1, "train", "more"), ("a", None)],
)
def test_an_entry_that_is_no_photo_is_refused(upload, entry):
    with pytest.raises(UsageError, match="must be"):
        upload.put([entry])


def test_many_small_batches_are_in_order_and_acknowledged(upload, photos, grown, monkeypatch):
    monkeypatch.setattr(upload_file, "_BATCH", 1)
    monkeypatch.setattr(upload_file, "_CHUNK", sum(len(photo.data) for photo in photos[:5]))
    done = upload.put([*((photo.key, photo.data) for photo in photos), ("x", b"1"), (photos[0].key, b"the last")])
    assert (done.sent, list(done.refused)) == (13, ["x"])
    assert grown.spool.records()[photos[0].key].size == len(b"the last")


def test_labels_are_read_as_everywhere(tmp_path, serve_growing, photos):
    cache = GrowingCache("labelled", tmp_path / "labelled", GrowthSettings(16, "column:label", "column:split"))
    upload = serve_growing(cache).upload("labelled")
    with pytest.raises(LabelError):
        upload.put([("a", b"1", 1.5)])
    with pytest.raises(UsageError, match="of one kind"):
        upload.put([("a", b"1", "cat"), ("b", b"1", 3)])
    with pytest.raises(UsageError, match="of one kind"):
        upload.put([("a", b"1", 1 << 70)])
    labels = [np.int64(7), 7.0, 8, float("nan"), None, ""] * 2
    splits = ["train", "valid", None, float("nan"), "test", "train"] * 2
    done = upload.put((photo.key, photo.data, y, s) for photo, y, s in zip(photos, labels, splits, strict=True))
    assert (done.sent, done.refused) == (12, {})
    assert upload.commit().rows == 6
    assert (Cache.open(cache.folder).vocab, Cache.open(cache.folder).splits) == ([7, 8], {"train": 2, "valid": 2})


SENDER = """
import sys
from pathlib import Path
from onewarp.pipeline import upload_to

upload, folder = upload_to(sys.argv[1] + "/grown"), Path(sys.argv[2])
for path in sorted(path for path in folder.rglob("*") if path.is_file())[::2]:
    upload.put([(path.relative_to(folder).as_posix(), path)])
    print(path.relative_to(folder), flush=True)
"""


def put_by_two_of_which_one_is_killed(served, folder, spool, most):
    """Put each second photo of a folder in a process that is killed, and the others meanwhile; then put all of them."""
    upload = served.upload()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [(path.relative_to(folder).as_posix(), path) for path in files]
    command = [sys.executable, "-c", SENDER, served.address, str(folder)]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    acknowledged = [killed.stdout.readline().strip() for _ in range(4)]
    other = threading.Thread(target=upload.put, args=(entries[1::2],))
    other.start()
    acknowledged += [killed.stdout.readline().strip() for _ in range(4)]
    killed.kill()
    acknowledged += killed.communicate()[0].splitlines()
    other.join()
    assert set(acknowledged) <= spool.records().keys()
    assert len(acknowledged) < most
    done = upload.put(entries)
    assert done.there >= len(acknowledged) + len(entries[1::2])
    assert done.there + done.sent == len(entries)
    assert done.refused == {}


def test_489_pets_of_two_clients_one_killed_and_resumed_give_the_cache_of_presize(
    serve_growing, pets, tmp_path, files_in
):
    labels = {"label": r"regex:(.+)_\d+.jpg$", "split": "random:0.2:42", "encoding": "jpeg"}
    cache = GrowingCache("grown", tmp_path / "pets", GrowthSettings(128, **labels))
    served = serve_growing(cache)
    put_by_two_of_which_one_is_killed(served, pets, cache.spool, most=245)
    assert served.upload().commit().rows == 489
    presize(pets, tmp_path / "made", 128, **labels)
    assert files_in(cache.folder) == files_in(tmp_path / "made")


def test_a_commit_may_take_longer_than_a_call(growing, upload, photos, grown, monkeypatch):
    upload.put((photo.key, photo.data) for photo in photos)
    asked_again = threading.Event()
    begin, commit = Commits.begin, GrowingCache.commit
    commits = []

    def note(*arguments):
        commits.append(begin(*arguments))
        if len(commits) == 3:
            asked_again.set()
        return commits[-1]

    def wait(*arguments):
        assert asked_again.wait(60)
        return commit(*arguments)

    monkeypatch.setattr(Commits, "begin", note)
    monkeypatch.setattr(GrowingCache, "commit", wait)
    done = replace(upload, call=partial(upload.call, timeout=0.5)).commit()
    assert (done.rows, done.decoded) == (12, 12)
    assert len(set(commits)) == 1


def test_a_connection_to_a_cache_sends_photos_too_and_reads_them_when_it_is_made_again(growing, upload, paths):
    with pytest.raises(ServiceError, match="has no rows yet"):
        growing.connect("grown")
    upload.put(paths[:8])
    done = upload.commit()
    cache = growing.connect("grown")
    assert cache.content == done.fingerprint
    assert cache.upload.put(paths).sent == 4
    assert cache.upload.commit().rows == 12
    assert (len(cache), len(growing.connect("grown"))) == (8, 12)


def test_what_a_server_does_not_let_grow_is_refused(serve, cache, tmp_path):
    upload = upload_to(serve({"cache": cache()}).address + "/cache", timeout=20)
    with pytest.raises(ServiceError, match="no action 'missing'"):
        upload.put([("a", b"1")])
    with pytest.raises(ServiceError, match="no action 'commit'"):
        upload.commit()
    with pytest.raises(UsageError, match="must end in the name of a cache"):
        upload_to("grpc://127.0.0.1:1")
    with pytest.raises(ServiceError, match="no server answers"):
        upload_to("grpc://127.0.0.1:1/pets", timeout=1).put([("a", b"1")])
