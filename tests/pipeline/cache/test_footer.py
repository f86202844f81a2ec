"""The footer: what is none of this version is refused in one line that says what to do."""

import json

import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.checksums import digest
from onewarp.pipeline.cache.footer import COMMIT, footer_bytes, read_footer, refuse_newer
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.presizing.presizer import presize


@pytest.mark.parametrize("text", [b"[" * 10**6, b"{}", b"[1]", b'{"format": NaN}', b"\xff", b"1" * 5000, b""])
def test_a_footer_that_is_no_json_of_a_footer(tmp_path, text):
    good = footer_bytes({})
    for data in (text, footer_bytes({"x": 1}).replace(b'"x":1', text), good[:31] + text, forge(text)):
        (tmp_path / COMMIT).write_bytes(data)
        for read in (read_footer, Cache.open):
            with pytest.raises(CacheError) as caught:
                read(tmp_path)
            assert str(caught.value).startswith(f"{tmp_path / COMMIT}")
            assert "\n" not in str(caught.value)


def forge(rest):
    """Bytes with the right digest in front of whatever they are."""
    return b'{"checksum":"%s",%s' % (digest([rest]).encode(), rest)


def test_the_bytes_of_a_footer_are_the_same_for_the_same_footer_and_begin_with_their_digest(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16)
    data, footer = (tmp_path / "C" / COMMIT).read_bytes(), read_footer(tmp_path / "C")
    assert json.loads(data) == footer | {"checksum": digest([data[31:]])}
    assert footer_bytes(footer) == footer_bytes(dict(reversed(footer.items()))) == data
    for place in range(0, len(data), 97):
        (tmp_path / "C" / COMMIT).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(CacheError, match="is damaged, or no footer of a cache: run presize again"):
            read_footer(tmp_path / "C")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"format": 1},
            r"made by an older version of onewarp \(format 1, this one reads 3\): delete it, or make it anew",
        ),
        ({"format": "3"}, "format must be 3, but is '3': the cache was not made by onewarp"),
        ({}, "format must be 3, but is None"),
        ({"format": 3}, "fingerprint must be there, but is missing"),
    ],
)
def test_a_footer_of_no_cache_of_this_version(tmp_path, entries, message):
    (tmp_path / COMMIT).write_bytes(footer_bytes(entries))
    with pytest.raises(CacheError, match=message):
        read_footer(tmp_path)


def test_where_there_is_no_footer_the_folder_says_why(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "part-00000-0123456789abcdef.parquet").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, message in (
        ("none", "none does not exist: make a cache with `onewarp presize`"),
        ("empty", "empty must be a cache, but holds none: make one with `onewarp presize`"),
        ("parts", "parts holds a cache that is not finished: run the same presize again, it goes on from there"),
        ("file", "file must be the folder of a cache, but is a file"),
    ):
        with pytest.raises(CacheError, match=message):
            read_footer(tmp_path / name)


def test_only_the_cache_of_a_newer_version_is_refused_to_a_writer(tmp_path):
    refuse_newer(tmp_path)
    for data in (b"damaged", footer_bytes({"format": 3})):
        (tmp_path / COMMIT).write_bytes(data)
        refuse_newer(tmp_path)
    (tmp_path / COMMIT).write_bytes(footer_bytes({"format": 4}))
    with pytest.raises(CacheError, match=r"a newer version of onewarp \(format 4, this one reads 3\): install that"):
        refuse_newer(tmp_path)


def test_another_version_of_the_format_is_refused(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16)
    said = Cache.open(tmp_path / "C").footer
    (tmp_path / "C" / COMMIT).write_bytes(footer_bytes({**said, "format": 99}))
    with pytest.raises(CacheError, match=r"made by a newer version of onewarp \(format 99, this one reads 3\)"):
        Cache.open(tmp_path / "C")
    with pytest.raises(CacheError, match="newer version"):
        presize(pictures, tmp_path / "C", 16)
