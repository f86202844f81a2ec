import gc
import os
from pathlib import Path

import numpy as np
import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.files import ReadFiles
from onewarp.pipeline.cache.mapping import MappedFiles


def write(folder, contents):
    paths = [folder / f"{i}.bin" for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


@pytest.fixture
def contents():
    return [os.urandom(n) for n in (10, 4096, 0, 10_000, 1)]


def test_files_lie_one_behind_the_other(tmp_path, contents):
    files = MappedFiles(write(tmp_path, contents), [len(c) for c in contents])
    for start, content in zip(files.starts, contents, strict=True):
        assert files.data[start : start + len(content)].tobytes() == content
    assert [files.get(i, 0, len(c)).tobytes() for i, c in enumerate(contents)] == contents
    files.expect(np.array([0, 3]), np.array([5, 5000]), np.array([2, 5000]))


def test_a_map_outlives_its_files_and_goes_with_its_last_view(tmp_path, contents):
    files = MappedFiles(write(tmp_path, contents))
    view = files.data[files.starts[3] : files.starts[3] + 10_000]
    for path in tmp_path.iterdir():
        path.unlink()
    del files
    gc.collect()
    assert view.tobytes() == contents[3]
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(tmp_path) in maps.read_text()
        del view
        gc.collect()
        assert str(tmp_path) not in maps.read_text()


def test_no_file_stays_open(tmp_path, contents):
    before = len(os.listdir("/proc/self/fd"))
    files = MappedFiles(write(tmp_path, contents))
    assert len(os.listdir("/proc/self/fd")) == before
    files.states.check(range(5))


def test_another_size_or_a_missing_file_is_refused(tmp_path, contents):
    paths = write(tmp_path, contents)
    with pytest.raises(CacheError, match=r"1\.bin has 4,096 bytes, and the cache says 5"):
        MappedFiles(paths, [10, 5, 0, 10_000, 1])
    with pytest.raises(CacheError, match="none is missing"):
        MappedFiles([*paths, tmp_path / "none"])


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"other"), lambda path: os.utime(path)])
def test_a_change_while_reading_is_noticed(tmp_path, contents, change):
    paths = write(tmp_path, contents)
    files = MappedFiles(paths)
    change(paths[3])
    files.states.check([0, 1])  # another file
    with pytest.raises(CacheError, match=r"3\.bin"):
        files.states.check([0, 3])


def test_reading_gives_the_same_bytes_and_notices_the_end(tmp_path, contents):
    files = ReadFiles(write(tmp_path, contents), [len(c) for c in contents])
    assert files.get(3, 100, 900).tobytes() == contents[3][100:1000]
    files.expect(np.array([3, 0, 3]), np.array([0, 0, 5000]), np.array([1, 2, 5000]))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CacheError, match="ends 5 bytes too early"):
        files.get(0, 5, 10)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("kind", [MappedFiles, ReadFiles])
def test_warming_up_changes_nothing(tmp_path, contents, kind):
    files = kind(write(tmp_path, contents))
    files.warm_up()
    assert [files.get(i, 0, len(c)).tobytes() for i, c in enumerate(contents)] == contents


def test_no_files_at_all():
    assert len(MappedFiles([]).starts) == 0
