"""Which files of a folder are items, and what is said of the others."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.errors import SourceError
from onewarp.pipeline.dataset.items import IMAGE_EXTENSIONS, get_image_files, list_images, relative_key


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


NAMES = [
    b"a",
    b"b.jpg",
    b"c.PNG",
    b".d.jpg",
    b"._b.jpg",
    b"__MACOSX",
    b"e.heic",
    b"caf\xe9",
    b"caf\xe9.jpg",
    b"f.txt",
    b"g h.gif",
]
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["file", "folder", "link"]), st.integers(0, 9), st.sampled_from(NAMES), st.integers(0, 30)
    ),
    max_size=24,
)


def _grow(root: Path, entries: list[tuple[str, int, bytes, int]]) -> None:
    """Files, folders and links, the last to anything that is there already, or to nothing."""
    folders, there = [os.fsencode(root)], [os.fsencode(root), b"nothing"]
    for kind, folder, name, target in entries:
        path = os.path.join(folders[folder % len(folders)], name)
        if os.path.lexists(path):
            continue
        if kind == "file":
            Path(os.fsdecode(path)).touch()
        elif kind == "folder":
            os.mkdir(path)
            folders.append(path)
        else:
            os.symlink(there[target % len(there)], path)
        there.append(path)


@settings(max_examples=60, deadline=None)
@given(ENTRIES, st.randoms(use_true_random=False))
def test_nothing_vanishes_and_the_order_of_the_file_system_decides_nothing(entries, order):
    """Each image that is not hidden is an item by one way or another, none by two that differ in a folder's link."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        root = Path(folder)
        _grow(root, entries)
        listing = list_images(root)
        keys = [relative_key(file, root) for file in listing.files]
        assert keys == sorted(set(keys))
        _same_in_any_order(root, listing, order, patch)
        items = {file.resolve() for file in listing.files}
        for at, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
            for file in (Path(at, name) for name in files if not name.startswith(".")):
                if file.is_file() and file.suffix.lower() in IMAGE_EXTENSIONS:
                    assert file.resolve() in items
                elif file.suffix == ".heic" or not file.exists():
                    assert relative_key(file, root) in listing.set_aside
        assert not any(part.startswith(".") or part == "__MACOSX" for key in keys for part in Path(key).parts)
        real = [(file.parent.resolve(), file.name) for file in listing.files]
        assert len(set(real)) == len(real)


def _same_in_any_order(root, listing, order, patch):
    scan = os.scandir

    class Shuffled:
        def __init__(self, folder):
            with scan(folder) as entries:
                self.entries = list(entries)
            order.shuffle(self.entries)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *error):
            pass

    patch.setattr(os, "scandir", Shuffled)
    again = list_images(root)
    patch.undo()
    assert (again.files, again.set_aside, again.passed_by) == (listing.files, listing.set_aside, listing.passed_by)


def test_a_folder_is_walked_by_the_way_with_the_fewest_links(tmp_path):
    _touch(tmp_path, "data/z/1.jpg")
    (tmp_path / "data" / "a").symlink_to(tmp_path / "data" / "z")
    elsewhere = tmp_path / "elsewhere"
    _touch(elsewhere, "2.jpg")
    for name in ("y", "x"):
        (tmp_path / "data" / name).symlink_to(elsewhere)
    listing = list_images(tmp_path / "data")
    assert _keys(listing.files, tmp_path / "data") == ["x/2.jpg", "z/1.jpg"]
    assert listing.passed_by == {"a/": "is the same folder as z", "y/": "is the same folder as x"}
    assert listing.set_aside == {}


def test_what_looks_like_an_image_and_is_no_regular_file_is_set_aside_with_the_reason(tmp_path):
    _touch(tmp_path, "good.jpg", "phone.HEIC", "scan.dng", "notes.txt", "folder.jpg/inner.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "cats").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(tmp_path)  # a socket's path is short
        server.bind("talk.gif")
        os.chdir(here)
        listing = list_images(tmp_path)
    assert _keys(listing.files, tmp_path) == ["folder.jpg/inner.png", "good.jpg"]
    assert listing.set_aside == {
        "cats": "is a link that leads nowhere",
        "phone.HEIC": "is .heic, a format that is not read: convert it, as to JPEG or PNG",
        "pipe.jpg": "is a named pipe, and no regular file",
        "scan.dng": "is .dng, a format that is not read: convert it, as to JPEG or PNG",
        "self.jpg": "is a link that leads to itself",
        "talk.gif": "is a socket, and no regular file",
        "zero.png": "is a device, and no regular file",
    }


def test_a_folder_that_may_not_be_read_is_set_aside(tmp_path):
    root = Path(tempfile.mkdtemp())  # pytest's own is closed to others
    try:
        root.chmod(0o755)
        _touch(root, "open/1.jpg", "closed/2.jpg")
        (root / "closed").chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # whom permissions bind
        try:
            listing = list_images(root)
        finally:
            os.seteuid(user)
        assert _keys(listing.files, root) == ["open/1.jpg"]
        assert listing.set_aside == {"closed/": "cannot be looked into: Permission denied"}
    finally:
        (root / "closed").chmod(0o755)
        shutil.rmtree(root)


def test_hidden_names_are_passed_by_and_named(tmp_path):
    _touch(tmp_path, "a.jpg", "._a.jpg", ".thumbs/b.jpg", "__MACOSX/._a.jpg", ".gitignore")
    listing = list_images(tmp_path)
    assert _keys(listing.files, tmp_path) == ["a.jpg"]
    assert listing.passed_by == dict.fromkeys(["._a.jpg", ".thumbs/", "__MACOSX/"], "is hidden")
    assert _keys(get_image_files(tmp_path, folders=".thumbs"), tmp_path) == [".thumbs/b.jpg"]


def test_one_folder_by_name_and_a_name_that_is_no_folder(tmp_path):
    _touch(tmp_path, "train/1.jpg", "valid/2.jpg")
    assert _keys(get_image_files(tmp_path, folders="train"), tmp_path) == ["train/1.jpg"]
    with pytest.raises(SourceError, match=r"folders must be names of folders directly under .*, but 'vaild' is none"):
        get_image_files(tmp_path, folders=["train", "vaild"])


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
