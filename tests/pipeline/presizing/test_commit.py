"""How a cache becomes visible: the former one is whole until the new one is, whatever fails on the way."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.footer import read_footer
from onewarp.pipeline.cache.parts import Rejection
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.presizing import commit
from onewarp.pipeline.presizing.commit import final_name, rejections_bytes, rows_footer, strays
from onewarp.pipeline.presizing.part_task import PartResult
from onewarp.pipeline.presizing.presizer import presize


@pytest.mark.parametrize("failing", range(3))
def test_whichever_write_fails_the_former_cache_is_whole_and_the_next_run_goes_on(
    pictures, tmp_path, draw, files_in, monkeypatch, failing
):
    """The index, the list of rejected files, and the footer."""
    folder, write, count = tmp_path / "C", commit.write_whole, 0
    presize(pictures, folder, 16)
    draw(pictures / "cat" / "new.png", 50)
    presize(pictures, tmp_path / "fresh", 16)

    def write_or_fail(path, data):
        nonlocal count
        count += 1
        if count == failing + 1:
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(commit, "write_whole", write_or_fail)
    with pytest.raises(CacheError, match="no space is left for"):
        presize(pictures, folder, 16)
    former = Cache.open(folder)
    assert (len(former), list(former.verify())) == (12, [])
    monkeypatch.undo()
    done = presize(pictures, folder, 16)
    assert (done.rows, done.decoded) == (13, 0)
    assert files_in(folder) == files_in(tmp_path / "fresh")


@pytest.mark.parametrize("links", [True, False])
def test_a_part_of_another_number_is_the_same_file_under_another_name(
    many, draw, tmp_path, files_in, monkeypatch, links
):
    """Or a copy of it, where the file system has no links."""
    presize(many, tmp_path / "C", 8)
    before = {path.name.split("-")[2]: path.stat().st_ino for path in (tmp_path / "C").glob("part-*")}
    for i in range(130):
        draw(many / f"-{i:03}.png", i, (8, 12))
    if not links:

        def refuse(*paths):
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    done = presize(many, tmp_path / "C", 8)
    monkeypatch.undo()
    after = {path.name.split("-")[2]: path.stat().st_ino for path in (tmp_path / "C").glob("part-*")}
    same = before.keys() & after.keys()
    assert len(same) >= 2
    assert all((before[digest] == after[digest]) == links for digest in same)
    assert done.kept >= 128
    presize(many, tmp_path / "fresh", 8)
    assert files_in(tmp_path / "C") == files_in(tmp_path / "fresh")


def test_strays_are_files_of_caches_that_the_footer_does_not_name(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16)
    footer = read_footer(tmp_path / "C")
    assert strays(tmp_path / "C", footer) == []
    names = [
        ".attempt-00001",
        ".writing-1",
        "_index-0123456789abcdef.arrow",
        "_index.parquet",
        "_rejected-0123456789abcdef.parquet",
        "part-00009-0123456789abcdef.parquet",
    ]
    for name in (*names, "notes.txt", ".lock"):
        (tmp_path / "C" / name).touch()
    assert sorted(path.name for path in strays(tmp_path / "C", footer)) == names
    presize(pictures, tmp_path / "C", 16)
    assert strays(tmp_path / "C", footer) == []
    assert (tmp_path / "C" / "notes.txt").exists()


def result(number, splits, rejected=()):
    return PartResult(number, f"part-00000-{number:016x}.parquet", pa.table({"split": splits}), list(rejected))


def test_the_footer_counts_rows_and_rejections_of_all_parts_and_of_none():
    results = [result(0, ["train", None, "valid"], [Rejection("b", "is empty")]), result(1, ["train"])]
    footer = rows_footer(results, [Rejection("a.heic", "is .heic")])
    assert footer == {"splits": {"train": 2, "valid": 1}, "rows": 4, "rejected": 2}
    plain = PartResult(0, "", pa.table({"key": ["a"]}), [])
    assert rows_footer([plain], []) == {"splits": None, "rows": 1, "rejected": 0}
    assert final_name(results[1]) == "part-00001-0000000000000001.parquet"


def test_the_list_of_rejections_is_sorted_by_key_and_the_same_for_the_same():
    one, two, three = Rejection("b", "is empty", 0), Rejection("a", "is .heic"), Rejection("c", "is cut off", 9, "12")
    data = rejections_bytes([result(0, [], [three]), result(1, [], [one])], [two])
    assert pq.read_table(pa.BufferReader(data)).to_pylist() == [
        {"key": "a", "reason": "is .heic", "bytes": None, "sha256": None},
        {"key": "b", "reason": "is empty", "bytes": 0, "sha256": None},
        {"key": "c", "reason": "is cut off", "bytes": 9, "sha256": "12"},
    ]
    assert rejections_bytes([result(0, [], [one, three])], [two]) == data
