"""A cache as a subject: what its two versions differ in, and that all of its readings see it."""

import pytest

from onewarp.benchmarks.faults import caches
from onewarp.benchmarks.faults.subjects import clear, files
from onewarp.pipeline import Cache


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    return caches.CacheSubject(tmp_path_factory.mktemp("scratch"), "raw")


@pytest.fixture
def write(subject, monkeypatch):
    """Writes a version here, as a child does: the command ends by `SystemExit`."""
    monkeypatch.setenv("XDG_CACHE_HOME", "")  # which it sets

    def write(version):
        with pytest.raises(SystemExit) as end:
            subject.write(version)
        assert end.value.code == 0
        return Cache.open(subject.folder), {name: read() for name, read in subject.readings().items()}

    clear(subject.home)
    return write


def test_both_versions_are_caches_of_two_parts_and_every_reading_tells_them_apart(subject, write):
    old, of_old = write("old")
    assert (len(old), len(list(subject.folder.glob("part-*"))), old.vocab) == (150, 2, ["cat", "dog", "emu"])
    assert len(old.targets) == 3
    assert len(old.rejected()) == 1
    new, of_new = write("new")
    assert len(new) == 150
    assert {row for row in of_old if of_old[row] == of_new[row]} <= {"verify"}
    keys = [{cache.row(i).key for i in range(150)} for cache in (old, new)]
    assert keys[0] - keys[1] == {"cat/000.png"}
    assert keys[1] - keys[0] == {"cat/150.png"}
    assert keys[0] | keys[1] <= set(subject.names())


def test_the_same_version_is_written_to_the_same_bytes(subject, write):
    write("old")
    once = files(subject.folder)
    clear(subject.home)
    write("old")
    assert files(subject.folder) == once


def test_a_photo_is_drawn_by_its_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        caches.draw_photo(tmp_path / name / "photo.png", seed, tmp_path / name)
    a, b, c = (files(tmp_path / name) for name in "abc")
    assert a == b != c
    assert {"photo.png", "masks/photo.png", "boxes/photo.xml"} <= a.keys()
