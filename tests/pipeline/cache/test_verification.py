"""What `verify` says of a damaged byte: the row, the column or the block that it lies in."""

import pytest
from click.testing import CliRunner

from onewarp.cli import main
from onewarp.errors import CacheError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.cache.verification import rejections_bytes
from onewarp.pipeline.presizing.presizer import presize


@pytest.fixture
def cache(pictures, tmp_path):
    """Twelve rows of raw pixels with labels and splits, and a rejected file."""
    (pictures / "bad.png").write_bytes(b"no picture")
    presize(pictures, tmp_path / "C", 16, label="parent", split="hash:0.4")
    return Cache.open(tmp_path / "C")


@pytest.fixture
def verify(cache):
    """verify(file, place): what the command prints where a bit of the byte at `place` is another."""

    def run(path, place):
        before = path.read_bytes()
        path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
        done = CliRunner().invoke(main, ["verify", str(cache.path)])
        path.write_bytes(before)
        assert done.exit_code == 1
        return done.output

    return run


def test_verify_names_row_column_and_block(cache, verify):
    hashes = cache.index.column("sha256").to_pylist()
    row = hashes.index(sorted(hashes)[6])  # neither the least nor the greatest, which headers repeat
    columns, part, index = cache.columns(row), cache.parts[0], cache.path / cache.footer["index"]["name"]
    data = part.read_bytes()
    assert f"row {columns['key']!r} (number {row} in {part.name}) is damaged: its checksum is" in verify(
        part, columns["offset"] + 1
    )
    assert "its columns sha256 are not those that were written" in verify(part, data.index(columns["sha256"].encode()))
    assert "its headers or its footer" in verify(part, data.index(b"parquet-cpp"))
    assert "the checksum of block 0 is not" in verify(index, index.read_bytes().index(columns["key"].encode()))


def test_verify_names_the_list_of_rejected_files(cache, verify):
    path = cache.path / cache.footer["rejections"]["name"]
    assert f"{path} is damaged: run presize again, it makes it anew" in verify(path, 20)
    assert rejections_bytes(cache.path, cache.footer["rejections"]) == path.read_bytes()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CacheError, match="bytes, and the cache says"):
        rejections_bytes(cache.path, cache.footer["rejections"])


def test_each_damaged_row_has_a_line_and_others_have_none(cache):
    part, damaged = cache.parts[0], (1, 4, 11)
    data = bytearray(part.read_bytes())
    for row in damaged:
        data[cache.columns(row)["offset"]] ^= 128
    part.write_bytes(data)
    lines = list(Cache.open(cache.path).verify())
    assert len(lines) == 3
    for row, line in zip(damaged, lines, strict=True):
        assert line.startswith(f"row {cache.columns(row)['key']!r} (number {row} in {part.name}) is damaged:")


def test_a_part_that_is_gone_is_one_line(cache):
    opened = Cache.open(cache.path)
    cache.parts[0].unlink()
    (line,) = opened.verify()
    assert f"{cache.parts[0]} is missing" in line
