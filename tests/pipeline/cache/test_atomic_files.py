"""Files that are there whole or not at all, and what a disk refuses, in one line."""

import errno
import os

import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.atomic_files import (
    ATTEMPT,
    TEMPORARY,
    atomic_file,
    disk_errors,
    files_like,
    sweep,
    write_whole,
)


def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path):
    write_whole(tmp_path / "part-1", b"whole")
    assert files_like(tmp_path, "part-*") == [tmp_path / "part-1"]
    assert files_like(tmp_path / "none", "part-*") == []
    with pytest.raises(OSError, match="too long"):  # as for any error of the system
        files_like(tmp_path / ("n" * 300), "part-*")


def test_a_file_system_that_refuses_is_one_line(tmp_path):
    for number, said in (
        (13, "must be a folder that may be written to"),
        (30, "Read-only"),
        (28, "no space is left"),
        (5, "its disk fails"),
    ):
        with pytest.raises(CacheError, match=said), disk_errors(tmp_path):
            raise OSError(number, os.strerror(number))
    for number in (errno.EINTR, errno.EMFILE, errno.ENODEV):
        with pytest.raises(CacheError, match=f"{tmp_path}.* cannot be read or written"), disk_errors(tmp_path):
            raise OSError(number, os.strerror(number))
    with pytest.raises(BrokenPipeError), disk_errors(tmp_path):  # of whoever reads what is printed
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    write_whole(tmp_path / "a", b"old")
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path) as (file, _):
        file.write(b"new" * (1 // 0))
    assert files_in(tmp_path) == {"a": b"old"}
    write_whole(tmp_path / "a", b"new")
    assert files_in(tmp_path) == {"a": b"new"}


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_that_was_not_committed_leaves_nothing(tmp_path):
    with atomic_file(tmp_path) as (file, _):
        file.write(b"half")
        file.flush()
        assert [data for name, data in files_in(tmp_path).items() if name.startswith(TEMPORARY)] == [b"half"]
    assert files_in(tmp_path) == {}


def test_only_what_runs_that_were_killed_have_left_is_swept(tmp_path):
    for name in (f"{TEMPORARY}1", f"{TEMPORARY}2", f"{ATTEMPT}00003", "part-1", "writing-1"):
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert files_in(tmp_path).keys() == {f"{ATTEMPT}00003", "part-1", "writing-1"}
    sweep(tmp_path, ATTEMPT)
    assert files_in(tmp_path).keys() == {"part-1", "writing-1"}
    sweep(tmp_path / "none")
