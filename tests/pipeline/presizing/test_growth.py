"""A cache that grows is the cache that `presize` makes of the same files, whatever happened on the way."""

import shutil
import threading
from collections import namedtuple

import pandas as pd
import pytest

from onewarp.errors import CacheError, LabelError, ResourceError, UsageError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.presizing import growth
from onewarp.pipeline.presizing.growth import GrowingCache, SpoolLimits
from onewarp.pipeline.presizing.growth_settings import GrowthSettings
from onewarp.pipeline.presizing.presizer import presize
from onewarp.pipeline.presizing.spool import Photo, record_of

FOLDERS = GrowthSettings(16, "parent", "hash:0.5")
BESIDE = GrowthSettings(16, "column:label", "column:split")


def photos_of(folder, label=None, split=None):
    """The files of a folder as they come from a client."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [Photo(path.relative_to(folder).as_posix(), path.read_bytes(), label, split) for path in files]


@pytest.fixture
def grown(tmp_path):
    return GrowingCache("grown", tmp_path / "grown", FOLDERS)


def test_photos_in_any_order_and_number_of_commits_give_the_cache_of_presize(pictures, tmp_path, grown, files_in):
    (pictures / "cat" / "bad.png").write_bytes(b"no picture")
    (pictures / "cat" / "none.png").write_bytes(b"")
    photos = photos_of(pictures)
    assert grown.add(photos[5:][::-1]) == []
    assert not (tmp_path / "grown").exists()
    assert grown.commit().rows == 7
    assert grown.add(photos[:8]) == []
    done = grown.commit()
    assert (done.rows, done.decoded, done.copied, done.kept) == (12, 5, 7, 0)
    assert [entry.key for entry in done.rejected] == ["cat/bad.png", "cat/none.png"]
    presize(pictures, tmp_path / "made", 16, label="parent", split="hash:0.5")
    assert files_in(tmp_path / "grown") == files_in(tmp_path / "made")
    again = grown.commit()
    assert (again.decoded, again.copied, again.kept) == (0, 0, 12)


def test_labels_and_splits_that_come_with_photos_give_the_cache_of_a_table(pictures, tmp_path, files_in):
    grown = GrowingCache("grown", tmp_path / "grown", BESIDE)
    photos = photos_of(pictures)
    labels = ["cat", "dog", None] * 4
    splits = ["train", "valid", "test", None] * 3
    grown.add([photo._replace(label=y, split=s) for photo, y, s in zip(photos, labels, splits, strict=True)])
    done = grown.commit()
    assert {entry.reason for entry in done.rejected} == {"label: is missing"}
    table = pd.DataFrame({"image": [str(pictures / photo.key) for photo in photos], "key": [p.key for p in photos]})
    table = table.assign(label=labels, split=splits)
    presize(table, tmp_path / "made", 16, label="column:label", split="column:split", image="image", key="key")
    assert files_in(tmp_path / "grown") == files_in(tmp_path / "made")
    assert Cache.open(tmp_path / "grown").vocab == ["cat", "dog"]


def test_several_labels_and_numbers(pictures, tmp_path):
    photos = photos_of(pictures)
    several = GrowingCache("several", tmp_path / "several", GrowthSettings(16, "column:label:;"))
    several.add([photo._replace(label=["wet", "cat"][: i % 3]) for i, photo in enumerate(photos)])
    several.commit()
    assert Cache.open(tmp_path / "several")[photos[2].key].label == ["cat", "wet"]
    numbers = GrowingCache("numbers", tmp_path / "numbers", GrowthSettings(16, "column:label"))
    numbers.add([photo._replace(label=i % 3) for i, photo in enumerate(photos)])
    numbers.commit()
    assert Cache.open(tmp_path / "numbers").vocab == [0, 1, 2]


def test_the_last_photo_and_label_of_a_key_count(pictures, tmp_path):
    grown = GrowingCache("grown", tmp_path / "grown", BESIDE)
    first, other, *_ = photos_of(pictures)
    grown.add([first._replace(label="cat"), other._replace(label="cat")])
    grown.commit()
    grown.add([first._replace(data=other.data, label="dog")])
    done = grown.commit()
    assert (done.rows, done.decoded, done.copied) == (2, 1, 1)
    cache = Cache.open(tmp_path / "grown")
    assert (cache[first.key].label, cache[other.key].label) == ("dog", "cat")
    assert (cache[first.key].pixels == cache[other.key].pixels).all()


def test_each_photo_that_is_refused_has_its_reason_and_the_others_are_kept(pictures, tmp_path):
    grown = GrowingCache("grown", tmp_path / "grown", FOLDERS, SpoolLimits(photo_bytes=4000))
    good, *_ = photos_of(pictures)
    batch = [
        Photo("../x", good.data),
        good,
        Photo("cat/large.png", b"x" * 4001),
        good._replace(key="cat/2.png", label="cat"),
        Photo("alone.png", good.data),
    ]
    refused = grown.add(batch)
    assert [(refusal.place, refusal.key) for refusal in refused] == [
        (0, "../x"),
        (2, "cat/large.png"),
        (3, "cat/2.png"),
        (4, "alone.png"),
    ]
    assert "4,001 bytes, and a photo may have 4,000" in refused[1].reason
    assert grown.spool.records().keys() == {good.key}


def test_a_full_spool_or_disk_refuses_a_batch_and_keeps_what_is_there(pictures, tmp_path, monkeypatch):
    first, *others = photos_of(pictures)
    size = len(first.data)
    grown = GrowingCache("grown", tmp_path / "grown", FOLDERS, SpoolLimits(spool_bytes=size + 400))
    grown.add([first])
    with pytest.raises(ResourceError, match="cache grown may keep"):
        grown.add(others)
    grown.add([first, first._replace(key="cat/again.png")])  # its bytes are there
    with pytest.raises(ResourceError, match="cache grown may keep"):
        grown.add([first._replace(key=f"cat/{number}.png") for number in range(9)])  # records take room, too
    grown = GrowingCache("grown", tmp_path / "grown", FOLDERS, SpoolLimits(free_bytes=1000))
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(growth.shutil, "disk_usage", lambda folder: usage(1000 + size))
    with pytest.raises(ResourceError, match="less than 1,000 bytes left"):
        grown.add(others)
    assert grown.spool.records().keys() == {first.key, "cat/again.png"}


def test_what_the_disk_refuses_is_said_without_a_path(pictures, grown, monkeypatch, tmp_path):
    def full(*arguments):
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr("onewarp.pipeline.presizing.spool.os.fsync", full)
    with pytest.raises(ResourceError, match="No space left") as error:
        grown.add(photos_of(pictures))
    assert str(tmp_path) not in str(error.value)


def test_rows_of_photos_that_came_in_another_way_stay(pictures, tmp_path, grown, files_in):
    presize(pictures, tmp_path / "grown", 16, label="parent", split="hash:0.5")
    before = files_in(tmp_path / "grown")
    photos = photos_of(pictures)
    grown.add([*photos[2:], photos[2]._replace(key="cat/new.png")])
    with pytest.raises(CacheError, match=r"has 2 rows whose photos did not come to this server, as cat/0\.png"):
        grown.commit()
    assert files_in(tmp_path / "grown") == before
    grown.add(photos[:2])
    done = grown.commit()
    assert (done.rows, done.decoded, done.copied) == (13, 1, 12)


def test_a_plain_presize_of_another_source_is_unharmed_and_loses_no_photo(pictures, tmp_path, grown, files_in):
    photos = photos_of(pictures)
    grown.add(photos)
    grown.commit()
    committed = files_in(tmp_path / "grown")
    shutil.copytree(pictures / "cat", tmp_path / "other" / "cat")
    presize(tmp_path / "other", tmp_path / "grown", 16, label="parent", split="hash:0.5")
    presize(tmp_path / "other", tmp_path / "alone", 16, label="parent", split="hash:0.5")
    assert files_in(tmp_path / "grown") == files_in(tmp_path / "alone")
    assert list(Cache.open(tmp_path / "grown").verify()) == []
    grown.commit()
    assert files_in(tmp_path / "grown") == committed


def test_names_and_numbers_together_are_refused_until_one_of_them_is_sent_again(pictures, tmp_path):
    grown = GrowingCache("grown", tmp_path / "grown", BESIDE)
    first, second, *_ = photos_of(pictures)
    grown.add([first._replace(label="cat"), second._replace(label=3)])
    with pytest.raises(LabelError, match=rf"{first.key} has 'cat' and {second.key} has 3"):
        grown.commit()
    grown.add([second._replace(label="dog")])
    assert grown.commit().rows == 2


def test_a_commit_without_photos_is_refused(grown):
    with pytest.raises(UsageError, match="cache grown has no photos yet"):
        grown.commit()


def test_two_commits_at_once_and_photos_that_come_meanwhile(pictures, tmp_path, grown, files_in):
    photos = photos_of(pictures)
    done = []

    def work(part):
        for photo in part:
            grown.add([photo])
            done.append(grown.commit().rows)

    threads = [threading.Thread(target=work, args=(photos[place::2],)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(done) == 12
    presize(pictures, tmp_path / "made", 16, label="parent", split="hash:0.5")
    assert files_in(tmp_path / "grown") == files_in(tmp_path / "made")


def test_photos_that_go_from_the_spool_harm_no_row_and_are_asked_for_again(pictures, tmp_path, grown):
    photos = photos_of(pictures)
    grown.add(photos)
    grown.commit()
    shutil.rmtree(tmp_path / "grown.spool" / "photos")
    grown = GrowingCache("grown", tmp_path / "grown")
    grown.add([photos[0]._replace(key="cat/new.png")])
    done = grown.commit()
    assert (done.rows, done.decoded, done.copied) == (13, 1, 12)
    records = [record_of(photo) for photo in photos]
    assert grown.missing(records) == list(range(1, 12))
    grown.add(photos)
    assert grown.missing(records) == []


def test_a_folder_of_other_things_is_refused_before_anything_is_written(tmp_path, pictures):
    with pytest.raises(UsageError, match="must be an empty folder or a cache"):
        GrowingCache("pictures", pictures)
    assert not (tmp_path / "pictures.spool").exists()
    (tmp_path / "C.spool").mkdir()
    (tmp_path / "C.spool" / "mine.txt").write_text("")
    with pytest.raises(UsageError, match=r"holds mine\.txt"):
        GrowingCache("C", tmp_path / "C")
    (tmp_path / "D.spool").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        GrowingCache("D", tmp_path / "D")


def test_a_server_that_was_killed_while_it_began_leaves_a_spool_that_the_next_one_takes(tmp_path):
    (tmp_path / "C.spool" / "photos").mkdir(parents=True)
    (tmp_path / "C.spool" / ".writing-0123").write_bytes(b'{"version":')  # of the settings
    assert GrowingCache("C", tmp_path / "C", BESIDE).settings == BESIDE


def test_settings_are_those_of_the_first_time(tmp_path, pictures, grown):
    assert GrowingCache("grown", tmp_path / "grown").settings == FOLDERS
    with pytest.raises(UsageError, match="begun with other settings"):
        GrowingCache("grown", tmp_path / "grown", BESIDE)
    presize(pictures, tmp_path / "C", 16)
    with pytest.raises(CacheError, match="cache C was made with other settings"):
        GrowingCache("C", tmp_path / "C", FOLDERS)
