import os
from pathlib import Path

import pytest

from onewarp.errors import SourceError
from onewarp.pipeline.items import get_image_files, relative_key


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def _keys(files: list[Path], root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


def test_sorted_by_relative_path_extensions_in_any_case_no_dot_folders(tmp_path):
    _touch(tmp_path, "b.JPG", "a/z.png", "a.jpeg", "a/notes.txt", ".hidden/c.jpg", "B.webp", "labels.mat", "noext")
    assert _keys(get_image_files(tmp_path), tmp_path) == ["B.webp", "a.jpeg", "a/z.png", "b.JPG"]


def test_not_recursive(tmp_path):
    _touch(tmp_path, "a.jpg", "deep/b.jpg")
    assert _keys(get_image_files(tmp_path, recurse=False), tmp_path) == ["a.jpg"]


def test_folders_confine_the_first_level_only(tmp_path):
    _touch(tmp_path, "top.jpg", "train/cat/1.jpg", "valid/cat/2.jpg", "test/cat/3.jpg", "train/test/4.jpg")
    found = _keys(get_image_files(tmp_path, folders=["train", "valid"]), tmp_path)
    assert found == ["train/cat/1.jpg", "train/test/4.jpg", "valid/cat/2.jpg"]


def test_links_are_followed_and_a_loop_ends(tmp_path):
    _touch(tmp_path, "a/1.jpg")
    os.symlink(tmp_path, tmp_path / "a" / "loop")
    assert _keys(get_image_files(tmp_path), tmp_path) == ["a/1.jpg"]


def test_a_missing_folder_and_a_file_are_refused(tmp_path):
    _touch(tmp_path, "one.jpg")
    with pytest.raises(SourceError, match=r"nowhere does not exist"):
        get_image_files(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"one\.jpg is a file"):
        get_image_files(tmp_path / "one.jpg")


def test_a_name_that_is_not_utf8_has_a_key_that_is(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.touch()
    assert get_image_files(tmp_path) == [path]
    assert relative_key(path, tmp_path) == r"caf\xe9.jpg"


def test_the_pets(pets):
    assert len(get_image_files(pets)) == 489
