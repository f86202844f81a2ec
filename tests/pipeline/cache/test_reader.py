"""A cache that is opened: its rows by number and by key, and what is none."""

import numpy as np
import pytest

from onewarp.errors import CacheError, UsageError
from onewarp.pipeline.cache.files import ReadFiles
from onewarp.pipeline.cache.mapping import MappedFiles
from onewarp.pipeline.cache.reader import Cache, files_of
from onewarp.pipeline.dataset.labels import parent_label
from onewarp.pipeline.presizing.presizer import presize


def test_what_is_no_cache_is_refused(pictures, tmp_path):
    with pytest.raises(CacheError, match="does not exist"):
        Cache.open(tmp_path / "C")
    with pytest.raises(CacheError, match="holds none"):
        Cache.open(pictures)
    presize(pictures, tmp_path / "C", 16)
    part = next((tmp_path / "C").glob("part-*"))
    whole = part.read_bytes()
    part.write_bytes(whole[:-100])
    with pytest.raises(CacheError, match=r"has [\d,]+ bytes, and the cache says"):
        Cache.open(tmp_path / "C")
    assert presize(pictures, tmp_path / "C", 16).decoded == 12
    assert part.read_bytes() == whole
    (tmp_path / "C" / "_cache.json").unlink()
    with pytest.raises(CacheError, match="not finished"):
        Cache.open(tmp_path / "C")
    assert presize(pictures, tmp_path / "C", 16).kept == 12


def test_a_damaged_row_is_named_and_made_anew(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16, label=parent_label)
    cache = Cache.open(tmp_path / "C")
    columns = cache.columns(5)
    with open(cache.parts[0], "r+b") as file:
        file.seek(columns["offset"] + 10)
        file.write(b"damaged")
    (line,) = Cache.open(tmp_path / "C").verify()
    assert columns["key"] in line
    assert cache.parts[0].name in line
    with pytest.raises(CacheError, match=r"is damaged: its checksum|was changed while it was read"):
        cache[columns["key"]]
    again = presize(pictures, tmp_path / "C", 16, label=parent_label)
    assert (again.decoded, again.copied) == (1, 11)
    assert list(Cache.open(tmp_path / "C").verify()) == []


def test_a_list_of_rejected_files_is_of_the_cache_that_was_opened_or_refused(pictures, tmp_path):
    (pictures / "broken.png").write_bytes(b"no picture")
    presize(pictures, tmp_path / "C", 8, split="hash:0", max_rejected=1)
    cache = Cache.open(tmp_path / "C")
    assert [row["key"] for row in cache.rejected()] == ["broken.png"]
    (pictures / "broken.png").unlink()
    presize(pictures, tmp_path / "C", 8, split="hash:0")
    with pytest.raises(CacheError, match="is another cache by now than the one that was opened: open it again"):
        cache.rejected()
    assert Cache.open(tmp_path / "C").rejected() == []


def test_too_many_parts_are_read_and_not_mapped(write_files, contents, monkeypatch):
    parts = write_files(contents)
    assert isinstance(files_of(parts, "auto"), MappedFiles)
    monkeypatch.setattr("onewarp.pipeline.cache.reader.map_limit", lambda: 8)
    assert isinstance(files_of(parts, "auto"), ReadFiles)
    assert isinstance(files_of(parts, "map"), MappedFiles)
    monkeypatch.undo()
    assert isinstance(files_of(parts, "pread"), ReadFiles)


def test_rows_by_number_and_by_key_have_names_and_splits(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16, label="parent", split="hash:0.4")
    cache = Cache.open(tmp_path / "C")
    keys = cache.index.column("key").to_pylist()
    assert (len(cache), len(cache.rows()), repr(cache)) == (12, 12, f"Cache('{tmp_path / 'C'}', 12 rows, raw)")
    for split, count in cache.splits.items():
        rows = cache.rows(split)
        assert len(rows) == count
        assert {cache.row(row).split for row in rows} == {split}
    for number, key in enumerate(keys):
        row = cache[key]
        assert (row.key, row.label, row.places) == (key, key.split("/")[0], {})
        assert np.array_equal(row.pixels, cache.pixels(number))
        assert cache.bytes_of(number) == row.pixels.tobytes()
    assert [cache.names(label) for label in (None, 1, [1, 0], [])] == [None, "dog", ["dog", "cat"], []]
    with pytest.raises(UsageError, match=r"split must be one of the cache's \(\w+, \w+\), but got 'test'"):
        cache.rows("test")


def test_a_cache_in_another_order_has_its_rows_splits_and_a_name_of_its_own(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16, label="parent", split="hash:0.4")
    cache = Cache.open(tmp_path / "C")
    keys = cache.index.column("key").to_pylist()
    some = [keys[7], "not there", keys[0], keys[3]]
    other = cache.in_order(some)
    assert [other.row(i).key for i in range(len(other))] == [keys[7], keys[0], keys[3]]
    assert np.array_equal(other[keys[3]].pixels, cache[keys[3]].pixels)
    assert sum(other.splits.values()) == 3
    assert all(other.splits[cache[key].split] >= 1 for key in (keys[7], keys[0], keys[3]))
    assert len({cache.fingerprint, other.fingerprint, cache.in_order(keys[::-1]).fingerprint}) == 3
    assert cache.in_order(keys) is cache
    with pytest.raises(UsageError, match=r"none of the 1 keys is in Cache\(.*\): give it a cache of its own"):
        cache.in_order(["not there"])
