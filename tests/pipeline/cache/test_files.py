import os

import numpy as np
import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.files import FileStates, ReadFiles
from onewarp.pipeline.cache.mapping import MappedFiles


@pytest.mark.parametrize("kind", [MappedFiles, ReadFiles])
@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"other"), lambda path: os.utime(path)])
def test_a_change_while_reading_is_noticed(write_files, contents, change, kind):
    paths = write_files(contents)
    files = kind(paths)
    change(paths[3])
    files.states.check([0, 1])  # another file
    with pytest.raises(CacheError, match=r"3\.bin"):
        files.states.check([0, 3])


def test_reading_gives_the_same_bytes_and_notices_the_end(write_files, contents):
    files = ReadFiles(write_files(contents), [len(c) for c in contents])
    assert files.get(3, 100, 900).tobytes() == contents[3][100:1000]
    files.expect(np.array([3, 0, 3]), np.array([0, 0, 5000]), np.array([1, 2, 5000]))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CacheError, match="ends 5 bytes too early"):
        files.get(0, 5, 10)
    assert len(os.listdir("/proc/self/fd")) == before


def test_files_that_are_not_those_of_the_cache_are_refused_when_they_are_opened(write_files, tmp_path, contents):
    paths = write_files(contents)
    assert FileStates(paths, [10, 4096, 0, 10_000, 1]).sizes.tolist() == [10, 4096, 0, 10_000, 1]
    with pytest.raises(CacheError, match=r"1\.bin has 4,096 bytes, and the cache says 5"):
        FileStates(paths, [10, 5, 0, 10_000, 1])
    with pytest.raises(CacheError, match="none is missing: it was removed, or the cache was built again"):
        FileStates([*paths, tmp_path / "none"])
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CacheError, match=r"loop cannot be read \(Too many levels of symbolic links\)"):
        FileStates([tmp_path / "loop"])


def test_a_name_that_leads_to_another_file_matters_where_no_map_holds_the_first(write_files, tmp_path, contents):
    paths = write_files(contents)
    read, mapped = ReadFiles(paths), MappedFiles(paths)
    beside = ReadFiles(paths, file_map=mapped)
    paths[3].rename(tmp_path / "before")
    paths[3].write_bytes(b"of another cache" * 1000)
    assert read.states.is_elsewhere(3)
    assert not read.states.is_elsewhere(1)
    mapped.states.check([3])
    for files in (mapped, beside):
        assert files.get(3, 5, 90).tobytes() == contents[3][5:95]
    with pytest.raises(CacheError, match=r"3\.bin was changed while it was read: open the cache again"):
        read.states.check([3])
    paths[3].unlink()
    assert beside.get(3, 5, 90).tobytes() == contents[3][5:95]
    with pytest.raises(CacheError, match=r"3\.bin cannot be opened \(No such file or directory\)"):
        read.get(3, 5, 90)


def test_bytes_of_several_files_go_where_they_belong_in_any_order(write_files, contents):
    files = ReadFiles(write_files(contents))
    outs = [np.zeros(n, np.uint8) for n in (3, 7, 1, 0, 4000)]
    files.fill(outs, np.array([3, 0, 4, 2, 3]), np.array([9_997, 2, 0, 0, 6000]))
    expected = contents[3][9_997:], contents[0][2:9], contents[4], b"", contents[3][6000:]
    assert [out.tobytes() for out in outs] == list(expected)
