import gc
import os
from pathlib import Path

import numpy as np
import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.files import ReadFiles
from onewarp.pipeline.cache.mapping import MappedFiles


def test_files_lie_one_behind_the_other(write_files, contents):
    files = MappedFiles(write_files(contents), [len(c) for c in contents])
    for start, content in zip(files.starts, contents, strict=True):
        assert files.data[start : start + len(content)].tobytes() == content
    assert [files.get(i, 0, len(c)).tobytes() for i, c in enumerate(contents)] == contents
    files.expect(np.array([0, 3]), np.array([5, 5000]), np.array([2, 5000]))


def test_a_map_outlives_its_files_and_goes_with_its_last_view(write_files, tmp_path, contents):
    files = MappedFiles(write_files(contents))
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


def test_no_file_stays_open(write_files, contents):
    before = len(os.listdir("/proc/self/fd"))
    files = MappedFiles(write_files(contents))
    assert len(os.listdir("/proc/self/fd")) == before
    files.states.check(range(5))


def test_another_size_or_a_missing_file_is_refused(write_files, tmp_path, contents):
    paths = write_files(contents)
    with pytest.raises(CacheError, match=r"1\.bin has 4,096 bytes, and the cache says 5"):
        MappedFiles(paths, [10, 5, 0, 10_000, 1])
    with pytest.raises(CacheError, match="none is missing"):
        MappedFiles([*paths, tmp_path / "none"])


@pytest.mark.parametrize("kind", [MappedFiles, ReadFiles])
def test_warming_up_changes_nothing(write_files, contents, kind):
    files = kind(write_files(contents))
    files.warm_up()
    assert [files.get(i, 0, len(c)).tobytes() for i, c in enumerate(contents)] == contents


def test_no_files_at_all():
    assert len(MappedFiles([]).starts) == 0
