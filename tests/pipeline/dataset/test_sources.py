"""Sources: the items of a folder, and bytes of regular files alone."""

import os

import pytest

from onewarp.errors import SourceError
from onewarp.pipeline.dataset.labels import parent_label
from onewarp.pipeline.dataset.sources import FolderSource, Item, TableRow, read_file, stamp_of, unique
from onewarp.pipeline.dataset.tables import open_source
from onewarp.pipeline.presizing.presizer import presize


def test_a_path_to_what_is_no_regular_file_is_set_aside_and_not_waited_for(pictures, tmp_path):
    os.mkfifo(pictures / "pipe.jpg")
    names = ["cat/0.png", "pipe.jpg", "/dev/zero", "cat", "no\tfile"]
    (pictures / "t.csv").write_text("path\n" + "\n".join(names) + "\n")
    done = presize(pictures / "t.csv", tmp_path / "C", 16)
    assert done.rows == 1
    assert {entry.key: entry.reason.removeprefix("cannot be read: ") for entry in done.rejected} == {
        "/dev/zero": "is a device, and no regular file",
        "cat": "is a folder, and no regular file",
        "no\tfile": "No such file or directory",
        "pipe.jpg": "is a named pipe, and no regular file",
    }


def test_a_source_of_the_callers_own(pictures, tmp_path):
    source = FolderSource(str(pictures))
    assert open_source(source) is source
    assert presize(source, tmp_path / "C", 16).rows == 12


def test_a_folder_lists_its_items_by_key_with_what_tells_them_from_others(pictures):
    source = FolderSource(str(pictures))
    items = source.items()
    assert [item.key for item in items] == sorted(
        path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png")
    )
    for item in items:
        state = (pictures / item.key).stat()
        assert source.read(item.place) == (pictures / item.key).read_bytes()
        assert item.stamp == (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
    assert (source.where(), source.peek()) == (str(pictures), True)


def test_a_folder_without_images_says_what_it_has(tmp_path):
    assert not FolderSource(str(tmp_path)).peek()
    with pytest.raises(SourceError, match=r"must hold image files, but none of its 0 entries is one$"):
        FolderSource(str(tmp_path)).items()
    for name in ("a.txt", "b.heic"):
        (tmp_path / name).touch()
    with pytest.raises(
        SourceError, match=r"none of its 2 entries is one; b\.heic is \.heic, a format that is not read"
    ):
        FolderSource(str(tmp_path)).items()


def test_only_regular_files_are_read(tmp_path):
    (tmp_path / "a").write_bytes(b"whole")
    (tmp_path / "link").symlink_to("a")
    assert read_file(tmp_path / "a") == read_file(str(tmp_path / "link")) == b"whole"
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "pipe", "is a named pipe, and no regular file"),
        (tmp_path, "is a folder, and no regular file"),
        ("/dev/zero", "is a device, and no regular file"),
        (tmp_path / "none", "No such file or directory"),
        ("a\0b", "has a name that no file can have"),
    ):
        with pytest.raises(OSError, match=reason):
            read_file(path)
    assert stamp_of(tmp_path / "none") is stamp_of("a\0b") is None


@pytest.mark.parametrize("change", ["write", "append", "replace", "touch"])
def test_a_stamp_is_another_after_any_change(tmp_path, change):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    before, times = stamp_of(path), os.stat(path)
    match change:
        case "append":
            path.write_bytes(b"123456")
        case "write":
            path.write_bytes(b"54321")
        case "replace":
            (tmp_path / "b").write_bytes(b"54321")
            os.replace(tmp_path / "b", path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert stamp_of(path) != before


def test_a_key_that_is_there_twice_is_named_with_both_places():
    items = [Item("b", "b.png", None, None), Item("a", "1.png", None, None), Item("a", (0, 1, 7), None, None)]
    assert [item.key for item in unique(items[:2])] == ["a", "b"]
    with pytest.raises(SourceError, match=r"keys must be unique, but 'a' names both 1\.png and row 0:1:7"):
        unique(items)


def test_a_row_of_a_table_is_a_mapping_and_a_path():
    row = TableRow("photos/cat/1.jpg", {"y": 3}, "/tables", "/tables/photos/cat/1.jpg")
    assert (row["y"], row.name, os.fspath(row), parent_label(row)) == (3, "1.jpg", "photos/cat/1.jpg", "cat")
