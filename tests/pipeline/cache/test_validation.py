"""Caches that somebody made on purpose, with right checksums: whatever cannot be is a `CacheError`."""

import copy
import os
import shutil
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest

from onewarp.errors import CacheError
from onewarp.pipeline import Cache, Loader, presize
from onewarp.pipeline.cache.checksums import block_checksums
from onewarp.pipeline.cache.footer import COMMIT, footer_bytes

JUNK = [
    None,
    True,
    -1,
    10**30,
    2**63,
    1.5,
    "x",
    "../x",
    "/etc/passwd",
    "a\0b",
    [],
    ["x"],
    [None],
    [-1],
    [[]],
    {},
    {"x": 1},
]


def read(folder):
    """All that a cache tells, as far as it can be read."""
    cache = Cache.open(folder)
    batches = [
        (b.keys, [x.tolist() for x in b[0]], repr(b[1]), b.matrix.tolist())
        for split in [*cache.splits, None]
        for b in Loader(cache, split, 4, shuffle=False, threads=1)
    ]
    return batches, cache.rejected(), cache.vocab, cache.splits, list(cache.verify())


def forge(folder, said, index=None):
    """A cache whose footer says `footer`, and whose index is the table `index`, with their checksums."""
    if index is not None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, index.schema) as writer:
            writer.write_table(index.combine_chunks())
        data = sink.getvalue().to_pybytes()
        (folder / said["index"]["name"]).write_bytes(data)
        said = {**said, "index": {**said["index"], "bytes": len(data), "checksums": block_checksums(data)}}
    (folder / COMMIT).write_bytes(footer_bytes(said))


def places_in(value, path=()):
    """The paths to all values of nested mappings, and to the first entry of each list."""
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, entry in entries:
        yield (*path, name)
        yield from places_in(entry, (*path, name))


@pytest.fixture
def folder(pictures, tmp_path):
    (pictures / "cat" / "bad.png").write_bytes(b"bad")
    presize(pictures, tmp_path / "C", 8, label="parent", split="hash:0.4", encoding="png")
    return tmp_path / "C"


def test_every_field_of_the_footer_replaced_or_missing(folder):
    said, expected = Cache.open(folder).footer, read(folder)
    for path in places_in(said):
        if path[0] == "pipeline":  # which nothing reads
            continue
        for junk in (*JUNK, "missing"):
            forged = copy.deepcopy(said)
            holder = forged
            for name in path[:-1]:
                holder = holder[name]
            if junk == "missing":
                del holder[path[-1]]
            else:
                holder[path[-1]] = junk
            forge(folder, forged)
            with suppress(CacheError):
                assert read(folder)[0] == expected[0] or path[0] in ("splits", "targets", "vocab"), (path, junk)


def set_to(column, value):
    """The first value of a column replaced."""
    return lambda table: table.set_column(
        table.column_names.index(column),
        table.schema.field(column),
        pa.array([value, *table.column(column).to_pylist()[1:]], table.schema.field(column).type),
    )


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("label", [-1, 2, 10**9]),
        ("part", [-1, 1, 2**31 - 1]),
        ("offset", [-1, 10**6, 2**63 - 1]),
        ("length", [-1, 0, 10**6, 2**63 - 1]),
        ("height", [-1, 0, 9, 10**6, 2**31 - 1]),
        ("width", [0, 2**31 - 1]),
        ("orientation", [0, 9]),
        ("checksum", [1]),
        ("matrix", [[0.0] * 9, [float("nan")] * 9, [float("inf"), *[1.0] * 8], [1.0] * 9]),
    ],
)
def test_numbers_of_the_index_that_cannot_be(folder, column, values):
    cache = Cache.open(folder)
    for value in values:
        forge(folder, cache.footer, set_to(column, value)(cache.index))
        with pytest.raises(CacheError) as caught:
            read(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.slice(1),
        lambda table: table.drop_columns("matrix"),
        lambda table: table.set_column(0, "key", table.column("key").cast(pa.large_string())),
        lambda table: table.set_column(0, "key", table.column("key").dictionary_encode()),
        lambda table: table.append_column("key", table.column("key")),
        lambda table: table.slice(0, 0),
    ],
)
def test_an_index_of_another_shape(folder, change):
    cache = Cache.open(folder)
    forge(folder, cache.footer, change(cache.index))
    with pytest.raises(CacheError):
        read(folder)


def test_offsets_of_the_index_with_right_checksums(folder):
    """Arrow follows them as they are, and ends the process."""
    cache = Cache.open(folder)
    path, said = folder / cache.footer["index"]["name"], cache.footer
    data, draws = path.read_bytes(), np.random.default_rng(0)
    keys = cache.index.column("key").to_pylist()
    offsets = np.cumsum([0, *map(len, keys)]).astype(np.int32).tobytes()
    begin = data.index(offsets)
    for _ in range(40):
        forged = np.frombuffer(data, np.uint8).copy()
        place = begin + 4 * int(draws.integers(len(keys) + 1))
        forged[place : place + 4] = np.frombuffer(draws.bytes(4), np.uint8)
        path.write_bytes(forged.tobytes())
        forge(folder, {**said, "index": {**said["index"], "checksums": block_checksums(forged.tobytes())}})
        with pytest.raises(CacheError):
            read(folder)
        with pytest.raises(CacheError):
            assert Cache.open(folder).index


def test_bytes_of_the_index_with_right_checksums_never_end_the_process(folder):
    cache, draws = Cache.open(folder), np.random.default_rng(0)
    path, said = folder / cache.footer["index"]["name"], cache.footer
    data = path.read_bytes()
    for _ in range(300):
        forged = bytearray(data)
        forged[int(draws.integers(len(data)))] ^= 1 << int(draws.integers(8))
        path.write_bytes(forged)
        forge(folder, {**said, "index": {**said["index"], "checksums": block_checksums(forged)}})
        with suppress(CacheError):
            read(folder)


@pytest.mark.parametrize("special", ["pipe", "folder", "device", "missing"])
@pytest.mark.parametrize("name", ["part-*", "_index-*", "_rejected-*", COMMIT])
def test_what_is_no_regular_file(folder, pictures, special, name):
    path = next(folder.glob(name))
    path.unlink()
    match special:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
    with pytest.raises(CacheError):
        read(folder)
    if special in ("missing", "device"):
        presize(pictures, folder, 8, label="parent", split="hash:0.4", encoding="png")
        assert read(folder)[-1] == []


def test_what_a_reader_does_not_know_is_left_out(folder):
    """Columns, keys and kinds of targets of a later version."""
    cache, expected = Cache.open(folder), read(folder)
    more = cache.index.append_column("later", pa.array([f"x{i}" for i in range(len(cache))]))
    targets = [*cache.footer["targets"], {"name": "depth", "kind": "depth", "vocab": None, "unit": "m"}]
    said = {**cache.footer, "later": {"x": 1}, "targets": targets, "index": {**cache.footer["index"], "later": 1}}
    forge(folder, said, more)
    assert read(folder) == expected
    assert Cache.open(folder).index.column_names == cache.index.column_names


def test_the_folder_may_be_moved_and_copied(folder, tmp_path):
    expected = read(folder)
    shutil.copytree(folder, tmp_path / "copy")
    folder.rename(tmp_path / "moved")
    assert read(tmp_path / "copy") == read(tmp_path / "moved") == expected
