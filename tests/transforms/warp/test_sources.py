"""The checksum of the sources in C++ changes with each of them, and with nothing else."""

from onewarp.transforms.warp.sources import checksum


def test_it_is_of_the_names_and_the_contents_of_the_sources(tmp_path):
    assert checksum(tmp_path) is None
    (tmp_path / "cpu.cpp").write_bytes(b"int a;")
    (tmp_path / "cpu_warp.h").write_bytes(b"int b;")
    first = checksum(tmp_path)
    assert first == checksum(tmp_path)
    assert 0 <= first < 1 << 31
    (tmp_path / "cpu.py").write_bytes(b"import os")
    (tmp_path / "fuzz.cpp").write_bytes(b"int c;")
    assert checksum(tmp_path) == first  # neither is compiled into the extension
    (tmp_path / "cpu_warp.h").write_bytes(b"int B;")
    second = checksum(tmp_path)
    (tmp_path / "cpu_warp.h").rename(tmp_path / "cpu_other.h")
    assert len({first, second, checksum(tmp_path)}) == 3


def test_bytes_that_move_from_one_file_into_another_change_it(tmp_path):
    (tmp_path / "cpu_a.h").write_bytes(b"ab")
    (tmp_path / "cpu_b.h").write_bytes(b"c")
    before = checksum(tmp_path)
    (tmp_path / "cpu_a.h").write_bytes(b"a")
    (tmp_path / "cpu_b.h").write_bytes(b"bc")
    assert checksum(tmp_path) != before
