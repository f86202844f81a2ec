import errno
import os

import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.regular_files import open_regular, read_regular


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"12345")
    return path


@pytest.mark.parametrize("bounds", [{}, {"size": 5}, {"most": 5}, {"size": 5, "most": 9}])
def test_a_file_of_the_right_size_is_read_whole(path, bounds):
    assert read_regular(path, **bounds) == b"12345"
    with open_regular(path, 5) as file:
        assert file.read() == b"12345"


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"size": 4}, "has 5 bytes, and the cache says 4: run presize again, it makes anew what is not whole"),
        ({"size": 6}, "has 5 bytes, and the cache says 6"),
        ({"most": 4}, "has 5 bytes, and may have 4: it is no file of a cache"),
    ],
)
def test_another_size_is_refused(path, bounds, message):
    with pytest.raises(CacheError, match=rf"a\.parquet {message}"):
        read_regular(path, **bounds)


IRREGULAR = "must be a regular file, but is a folder, a pipe or a device: remove it"
WAYS = {
    "pipe": (os.mkfifo, IRREGULAR),
    "folder": (os.mkdir, IRREGULAR),
    "device": (lambda path: path.symlink_to("/dev/zero"), IRREGULAR),
    "missing": (lambda path: None, "is missing: run presize again, it makes anew what is not whole"),
    "leads nowhere": (lambda path: path.symlink_to("nowhere"), "is missing: run presize again"),
    "leads to itself": (
        lambda path: path.symlink_to(path.name),
        r"cannot be read \(Too many levels of symbolic links\)",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_regular_file_is_refused_and_not_waited_for(path, way):
    make, message = WAYS[way]
    path.unlink()
    make(path)
    for read in (read_regular, lambda path: open_regular(path).__enter__()):
        with pytest.raises(CacheError, match=rf"a\.parquet {message}"):
            read(path)


def test_what_the_system_fails_at_later_names_the_file_too(path):
    with pytest.raises(CacheError, match=r"a\.parquet cannot be read \(Input/output error\)"), open_regular(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
