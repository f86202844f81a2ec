"""Readers of a cache while it is written: they see the one before or the one behind, and keep what they opened."""

import os
import pickle
import shutil
import threading

import numpy as np
import pytest
from click.testing import CliRunner

from onewarp.cli import main
from onewarp.errors import CacheError
from onewarp.pipeline import Cache, Loader, presize

COMMITS = 12


def told(cache):
    """What a cache says of its rows, held against each other."""
    keys, splits = cache.index.column("key").to_pylist(), cache.index.column("split").to_pylist()
    assert len(keys) == len(cache)
    assert {name: splits.count(name) for name in cache.splits} == cache.splits
    return tuple(keys), tuple(splits), tuple(len(cache.bytes_of(i)) for i in range(len(cache)))


def test_a_reader_beside_a_writer_sees_one_cache_or_the_other(pictures, tmp_path):
    """Counted in commits: other splits, and other files, in turn."""
    folder, expected = tmp_path / "C", []
    shutil.copytree(pictures, tmp_path / "fewer")
    (tmp_path / "fewer" / "cat" / "2.png").unlink()
    ways = [(pictures, "hash:0.3"), (pictures, "hash:0.6"), (tmp_path / "fewer", "hash:0.6")]

    def write(number):
        source, split = ways[number % len(ways)]
        presize(source, folder, 8, split=split)

    for number in range(len(ways)):
        write(number)
        expected.append(told(Cache.open(folder)))
    assert len(set(expected)) == len(ways)
    over, seen, errors = threading.Event(), [], []

    def read():
        try:
            while not over.is_set():
                seen.append(expected.index(told(Cache.open(folder))))
        except Exception as error:  # whatever it is
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in range(COMMITS):
            write(number)
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert errors == []
    assert len(set(seen)) >= 2


@pytest.mark.parametrize("reading", ["map", "pread"])
@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_a_loader_ends_its_epochs_on_the_rows_that_it_opened(pictures, tmp_path, reading, warm, encoding):
    folder = tmp_path / "C"
    presize(pictures, folder, 8, encoding=encoding)
    opened = Cache.open(folder)
    loader = Loader(folder, batch_size=2, threads=2, prefetch=1, reading=reading, warm=warm)
    expected = {key: opened[key].pixels for key in opened.index.column("key").to_pylist()}
    batches = iter(loader)
    next(batches)
    presize(pictures, folder, 8, encoding=encoding, split="hash:0.5")  # every part is another one
    assert not any(part.exists() for part in opened.parts)
    if not warm:
        shutil.rmtree(folder)
    list(batches)
    for epoch in range(2):
        for batch in loader:
            for key, x in zip(batch.keys, batch[0], strict=True):
                assert np.array_equal(x.numpy(), expected[key]), epoch
    assert np.array_equal(opened["cat/0.png"].pixels, expected["cat/0.png"])


def test_a_verification_is_of_the_cache_that_is_there(pictures, tmp_path, monkeypatch):
    """A commit right after the cache was opened removes the files that were to be verified."""
    opening = Cache.open

    def opened_before_a_commit(path):
        cache = opening(path)
        if cache.splits == {"train": 12}:
            presize(pictures, path, 8, split="hash:0.6")
        return cache

    presize(pictures, tmp_path / "C", 8, split="hash:0")
    cache = opening(tmp_path / "C")
    monkeypatch.setattr(Cache, "open", opened_before_a_commit)
    done = CliRunner().invoke(main, ["verify", str(tmp_path / "C")])
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    assert "all 12 rows are whole" in done.stderr
    with pytest.raises(CacheError, match="is another cache by now"):
        list(cache.verify())


def test_a_pickled_loader_is_of_the_same_cache_or_refused(pictures, tmp_path):
    folder = tmp_path / "C"
    presize(pictures, folder, 8, split="hash:0.3")
    cache = Cache.open(folder).in_order(["dog/1.png", "cat/0.png", "cat/2.png"])
    for one in (cache, Loader(cache, batch_size=2, shuffle=False, reading="pread").rows):
        data = pickle.dumps(one)
        again = pickle.loads(data)
        assert again.fingerprint == one.fingerprint
        assert len(again) == 3
        assert len(data) < 10_000
    presize(pictures, folder, 8, split="hash:0.6")
    with pytest.raises(CacheError, match="another cache by now"):
        pickle.loads(data)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a folder that nobody can write to")
def test_a_finished_cache_on_a_disk_that_cannot_be_written_to(pictures, tmp_path, mounted):
    program = f"""
from onewarp.pipeline import Cache, Loader, presize
assert presize({str(pictures)!r}, "/mnt", 16, label="parent").kept == 12
assert len(list(Cache.open("/mnt").verify())) == 0
assert sum(len(x) for x, _ in Loader("/mnt", batch_size=4)) == 12
print("read")
"""
    presize(pictures, tmp_path / "C", 16, label="parent")
    assert mounted(f'mount --bind "{tmp_path}/C" /mnt && mount -o remount,bind,ro /mnt', program) == "read\n"


def test_a_part_whose_files_were_all_refused(tmp_path, draw):
    (tmp_path / "many").mkdir()
    for i in range(257):  # more than a part holds
        (tmp_path / "many" / f"a{i:03}.png").write_bytes(b"bad")
    for i in range(3):
        draw(tmp_path / "many" / f"b{i}.png", i)
    for _ in range(2):
        done = presize(tmp_path / "many", tmp_path / "C", 8)
        assert (done.rows, len(done.rejected)) == (3, 257)
    cache = Cache.open(tmp_path / "C")
    assert list(cache.verify()) == []
    assert sum(len(x) for x, _ in Loader(cache, batch_size=2)) == 3
