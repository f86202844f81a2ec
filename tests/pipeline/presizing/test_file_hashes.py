"""Hashes that are remembered by a file's stamp: never one of another file, and none where they cannot be kept."""

import json
import os
import subprocess
import sys
import time

import pytest

from onewarp.pipeline import Cache, presize
from onewarp.pipeline.presizing.file_hashes import HashMemo, load_hash_memo


@pytest.mark.parametrize("way", ["swap", "replace", "rewrite", "touch", "copy"])
def test_a_file_is_known_by_more_than_its_size_and_time(pictures, tmp_path, way, files_in):
    """What others put in a file's place with the same size and time is found, as git finds it."""
    one, two = pictures / "cat" / "0.png", pictures / "dog" / "3.png"
    data = one.read_bytes(), two.read_bytes()
    longest = max(map(len, data))
    for path, content in zip((one, two), data, strict=True):
        path.write_bytes(content.ljust(longest, b"\0"))
    for path in pictures.rglob("*.png"):
        os.utime(path, ns=(10**18, 10**18))
    settle(presize(pictures, tmp_path / "C", 16), pictures)
    first, second = one.read_bytes(), two.read_bytes()
    if way == "swap":
        os.rename(one, pictures / "aside")
        os.rename(two, one)
        os.rename(pictures / "aside", two)
    elif way in ("replace", "rewrite"):
        for path, content in ((one, second), (two, first)):
            if way == "replace":
                path.unlink()
            path.write_bytes(content)
            os.utime(path, ns=(10**18, 10**18))
    elif way == "touch":
        one.touch()
    else:
        (pictures / "cat" / "copy.png").write_bytes(first)
    done = presize(pictures, tmp_path / "C", 16)
    presize(pictures, tmp_path / "fresh", 16)
    assert files_in(tmp_path / "C") == files_in(tmp_path / "fresh")
    assert done.decoded == {"touch": 0, "copy": 1}.get(way, 2)


def settle(done, source):
    """What is remembered of files that changed a moment ago: as though the next run came an hour later."""
    memory, cache = load_hash_memo(os.path.abspath(source)), Cache.open(done.cache)
    rows = zip(cache.index.column("key").to_pylist(), cache.index.column("sha256").to_pylist(), strict=True)
    for key, digest in rows:
        found = os.stat(source / key)
        memory._entries[key] = ((found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino), digest)
    lines = [json.dumps([key, *stamp, digest]) + "\n" for key, (stamp, digest) in memory._entries.items()]
    memory.path.parent.mkdir(parents=True, exist_ok=True)
    memory.path.write_text("".join(lines))


def test_every_file_is_read_again_where_that_is_asked_for(pictures, tmp_path):
    done = presize(pictures, tmp_path / "C", 16)
    settle(done, pictures)
    wrong = pictures / "cat" / "0.png"
    memory = load_hash_memo(os.path.abspath(pictures))
    digest = memory.hash_of("cat/0.png", memory._entries["cat/0.png"][0])
    wrong.write_bytes((pictures / "cat" / "2.png").read_bytes())
    found = os.stat(wrong)
    stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    with memory.path.open("a") as file:  # a disk whose clock and inodes lie
        file.write(json.dumps(["cat/0.png", *stamp, digest]) + "\n")
    assert presize(pictures, tmp_path / "C", 16).kept == 12
    assert presize(pictures, tmp_path / "C", 16, rehash=True).decoded == 1


def test_a_user_without_a_home_can_presize(pictures, tmp_path):
    """No HOME, and no entry in the list of users, as in containers: files are hashed each time."""
    program = (
        "import os; from onewarp.pipeline.presizing.file_hashes import HashMemo, load_hash_memo; "
        "os.setgid(54321); os.setuid(54321); "
        "memory = load_hash_memo('/nowhere'); memory.add({'a': '0'}, {'a': (1, 2, 3, 4)}); print(memory.path)"
    )
    if os.geteuid() != 0:
        pytest.skip("needs the right to become another user")
    variables = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr


OLD = 10**18
"""Nanoseconds of a time in 2001: a file of then is not about to change."""
STAMP = (5, OLD, OLD, 77)


def test_a_hash_is_known_under_its_stamp_and_no_other(tmp_path):
    memo = HashMemo(None)
    memo.add({"a": "12"}, {"a": STAMP})
    assert memo.hash_of("a", STAMP) == "12"
    assert memo.hash_of("b", STAMP) is memo.hash_of("a", None) is None
    for place in range(4):
        other = tuple(value + (i == place) for i, value in enumerate(STAMP))
        assert memo.hash_of("a", other) is None


def test_a_file_without_a_stamp_or_that_changed_a_moment_ago_is_not_remembered():
    memo, now = HashMemo(None), time.time_ns()
    for stamp in (None, (5, now, OLD, 77), (5, OLD, now, 77), (5, now + 10**12, OLD, 77)):
        memo.add({"a": "12"}, {"a": stamp})
        assert memo.hash_of("a", stamp) is None


def test_hashes_come_back_in_another_process_and_the_last_one_counts():
    memo = load_hash_memo("/photos")
    memo.add({"a": "12", "é\n": "34"}, {"a": STAMP, "é\n": STAMP})
    load_hash_memo("/photos").add({"a": "56"}, {"a": (6, *STAMP[1:])})
    again = load_hash_memo("/photos")
    assert again.hash_of("é\n", STAMP) == "34"
    assert again.hash_of("a", STAMP) is None
    assert again.hash_of("a", (6, *STAMP[1:])) == "56"
    assert load_hash_memo("/photos", forget=True).hash_of("é\n", STAMP) is None
    assert load_hash_memo("/other").hash_of("é\n", STAMP) is None


def test_what_is_known_already_is_not_written_again():
    memo = load_hash_memo("/photos")
    for _ in range(3):
        memo.add({"a": "12"}, {"a": STAMP})
    assert memo.path.read_text().count("\n") == 1


@pytest.mark.parametrize(
    "line", ["", "[]", '["a", 5]', "nonsense", '["a", 5, 1, 1, 77, "12"', '{"a": 1}', "\ufffd", "7"]
)
def test_a_line_that_was_cut_off_or_is_of_another_version_is_left_out(line):
    memo = load_hash_memo("/photos")
    memo.add({"a": "12"}, {"a": STAMP})
    with memo.path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    load_hash_memo("/photos").add({"b": "34"}, {"b": STAMP})
    again = load_hash_memo("/photos")
    assert (again.hash_of("a", STAMP), again.hash_of("b", STAMP)) == ("12", "34")


def test_a_home_that_cannot_be_written_to_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    memo = load_hash_memo("/photos")
    memo.add({"a": "12"}, {"a": STAMP})
    assert memo.hash_of("a", STAMP) == "12"
    assert load_hash_memo("/photos").hash_of("a", STAMP) is None
