"""Photos that come in: what was acknowledged is there, whatever happened to the process that kept it."""

import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.benchmarks.faults.calls import Call
from onewarp.benchmarks.faults.power import WAYS, Disk
from onewarp.pipeline.presizing.spool import Photo, Record, Spool, SpoolSource, record_of


def entry(key: str, data: bytes, label=None, split=None):
    return record_of(Photo(key, data, label, split)), data


def photos_in(folder: Path) -> dict[str, bytes]:
    """The bytes of each key, as a source gives them."""
    source = SpoolSource(folder, tuple(Spool(folder).records().values()))
    return {item.key: source.read(item.place) for item in source.items()}


def test_what_was_added_is_there_for_every_process(tmp_path):
    first, second = Spool(tmp_path), Spool(tmp_path)
    first.add([entry("b", b"2", "dog"), entry("a", b"1", ["cat", "dog"], True)])
    second.add([entry("c", b"1")])
    assert first.records() == second.records() == Spool(tmp_path).records()
    assert first.records()["a"] == Record("a", sha256(b"1").hexdigest(), 1, ["cat", "dog"], True)
    assert photos_in(tmp_path) == {"a": b"1", "b": b"2", "c": b"1"}


def bytes_in(folder: Path) -> int:
    """The bytes of photos and records, as the disk has them."""
    return sum(path.stat().st_size for path in [*(folder / "photos").iterdir(), folder / "records.jsonl"])


def test_the_size_is_that_of_the_files_and_photos_alike_are_kept_once(tmp_path):
    spool = Spool(tmp_path)
    for batch in ([entry("a", b"1")], [entry("b", b"1"), entry("c", b"333"), entry("d", b"333")], [entry("a", b"22")]):
        before, growth = spool.size(), spool.growth(record for record, _ in batch)
        spool.add(batch)
        assert before + growth == spool.size() == Spool(tmp_path).size() == bytes_in(tmp_path)


@given(st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([b"1", b"2"])), max_size=4), max_size=4))
@settings(max_examples=30, deadline=None)
def test_what_is_there_already_is_not_written_again_and_the_last_one_counts(tmp_path_factory, batches):
    folder = tmp_path_factory.mktemp("spool")
    spool, expected = Spool(folder), {}
    for batch in batches:
        spool.add([entry(*photo) for photo in batch])
        expected |= dict(batch)
        size = bytes_in(folder)
        spool.add([entry(*photo) for photo in expected.items()])
        assert bytes_in(folder) == size
    assert photos_in(folder) == expected


def test_the_last_photo_of_a_key_counts_and_an_earlier_source_keeps_the_one_before(tmp_path):
    spool = Spool(tmp_path)
    spool.add([entry("a", b"old")])
    before = SpoolSource(tmp_path, tuple(spool.records().values()))
    spool.add([entry("a", b"new"), entry("b", b"x"), entry("b", b"y")])
    assert photos_in(tmp_path) == {"a": b"new", "b": b"y"}
    assert [before.read(item.place) for item in before.items()] == [b"old"]


def test_missing_are_those_that_are_not_there_or_are_otherwise(tmp_path):
    spool = Spool(tmp_path)
    there = record_of(Photo("a", b"1", "cat", "train"))
    spool.add([(there, b"1")])
    asked = [there, there._replace(label="dog"), there._replace(split=None), there._replace(key="b"), there]
    assert spool.missing([*asked, record_of(Photo("a", b"2", "cat", "train"))]) == [1, 2, 3, 5]


def test_a_worker_gets_the_source_without_its_records(tmp_path):
    Spool(tmp_path).add([entry("a", b"1")])
    source = SpoolSource(tmp_path, tuple(Spool(tmp_path).records().values()))
    (item,) = source.items()
    assert pickle.loads(pickle.dumps(source)).read(item.place) == b"1"
    assert b"sha256" not in pickle.dumps(source)
    assert source.hashes([item]).hash_of("a", item.stamp) == sha256(b"1").hexdigest()


@pytest.mark.parametrize("tail", [b'["b","', b"\0" * 40, b"[1,2,3]", b"{}", b'["b"]'])
def test_a_line_that_was_cut_off_counts_for_nothing_and_the_next_one_counts(tmp_path, tail):
    spool = Spool(tmp_path)
    spool.add([entry("a", b"1")])
    with open(tmp_path / "records.jsonl", "ab") as file:
        file.write(tail)
    assert spool.records().keys() == Spool(tmp_path).records().keys() == {"a"}
    spool.add([entry("b", b"2")])
    assert spool.records().keys() == Spool(tmp_path).records().keys() == {"a", "b"}


class Stop(BaseException):
    """The end of a process, as far as this one can have it."""


def stopping(call, calls, stop):
    """`call`, which ends everything when it is the call of this number."""

    def stop_or_call(*arguments):
        if next(calls) == stop:
            raise Stop
        return call(*arguments)

    return stop_or_call


@given(stop=st.integers(0, 60), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_stopped_at_any_call_what_was_acknowledged_is_whole_and_the_rest_can_be_sent(tmp_path_factory, stop, sizes):
    folder = tmp_path_factory.mktemp("spool")
    numbers = count()
    batches = [[entry(f"{n % 5}", b"%d" % n) for n in (next(numbers) for _ in range(size))] for size in sizes]
    acknowledged = {}
    calls = count()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, stopping(getattr(os, name), calls, stop))
        try:
            spool = Spool(folder)
            for batch in batches:
                spool.add(batch)
                acknowledged |= {record.key: data for record, data in batch}
        except Stop:
            pass
    after = photos_in(folder)
    sent = [(record.key, data) for batch in batches for record, data in batch]
    assert all((key, data) in sent for key, data in after.items())
    for key, data in acknowledged.items():
        assert sent.index((key, after[key])) >= sent.index((key, data)), "an acknowledged photo is gone"
    spool = Spool(folder)
    for batch in batches:
        spool.add([batch[place] for place in spool.missing([record for record, _ in batch])])
    assert photos_in(folder) == dict(sent)
    assert [path for path in folder.iterdir() if path.name.startswith(".writing")] == []


@given(stop=st.integers(0, 60), way=st.sampled_from(WAYS), sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_was_acknowledged_is_there_after_the_power_has_failed(tmp_path_factory, stop, way, sizes):
    root = tmp_path_factory.mktemp("power")
    (root / "home").mkdir()
    disk, folder = Disk(root / "home", root / "shadow", lambda call: 0), root / "home" / "pets.spool"
    calls, numbers, sent, acknowledged = count(), count(), [], {}

    def fsync(descriptor, fsync=os.fsync):
        if next(calls) == stop:
            raise Stop
        fsync(descriptor)
        disk(Call("fsync", Path(os.readlink(f"/proc/self/fd/{descriptor}")), 0))

    with pytest.MonkeyPatch.context() as patch, suppress(Stop):
        patch.setattr(os, "fsync", fsync)
        spool = Spool(folder)
        for size in sizes:
            batch = [entry(f"{n % 4}", b"%d" % n) for n in (next(numbers) for _ in range(size))]
            sent += [(record.key, data) for record, data in batch]
            spool.add(batch)
            acknowledged |= {record.key: data for record, data in batch}
    for path in (path for path in (root / "home").rglob("*") if path.is_file()):
        disk(Call("write", path, 0))  # what was never brought to the disk is lost
    disk.lose(way)
    assert acknowledged == {} or folder.exists()
    after = photos_in(folder)
    for key, data in acknowledged.items():
        assert sent.index((key, after[key])) >= sent.index((key, data))


WRITER = """
import sys
from pathlib import Path
from onewarp.pipeline.presizing.spool import Photo, Spool, record_of
spool, name = Spool(Path(sys.argv[1])), sys.argv[2]
for number in range(1000):
    data = f"{name} {number}".encode() * 50
    spool.add([(record_of(Photo(f"{name}/{number}", data)), data), (record_of(Photo("both", data)), data)])
    print(number, flush=True)
"""


def test_two_processes_write_at_once_and_one_is_killed(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    last = 0
    for line in writers[0].stdout:
        if (last := int(line)) >= 20:
            break
    writers[0].kill()
    rest = writers[0].communicate()[0].split()
    after = int(next(iter(writers[1].stdout))) + 20
    for line in writers[1].stdout:
        if int(line) >= after:
            break
    writers[1].kill()
    writers[1].communicate()
    last = max([last, *map(int, rest)])
    photos = photos_in(tmp_path)
    for name, least in (("a", last), ("b", after)):
        for number in range(least + 1):
            assert photos[f"{name}/{number}"] == f"{name} {number}".encode() * 50
    assert "both" in photos


def test_threads_share_a_spool(tmp_path):
    spool = Spool(tmp_path)

    def write(name):
        for number in range(10):
            spool.add([entry(f"{name}/{number}", f"{name}{number}".encode())])

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spool.records()) == len(photos_in(tmp_path)) == 30
