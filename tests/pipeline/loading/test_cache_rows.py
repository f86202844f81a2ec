import io
import os
import zlib
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import simplejpeg
from PIL import Image

from onewarp.errors import CacheError, DamagedRowError, UsageError
from onewarp.pipeline.cache.index import Index
from onewarp.pipeline.cache.reader import files_of
from onewarp.pipeline.loading import cache_rows
from onewarp.pipeline.loading.cache_rows import CacheRows
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.transforms.draw import hash_key
from onewarp.transforms.warp.buffers import Buffers
from onewarp.transforms.warp.packed import Packed


@dataclass
class Store:
    """Part files and an index as a cache has them, without Parquet around the pixels."""

    index: pa.Table
    parts: list[Path]
    encoding: str
    fingerprint: str = "f1"

    def __len__(self):
        return len(self.index)

    @cached_property
    def small(self):
        return Index(self.index)

    @cached_property
    def files(self):
        return files_of(self.parts, "auto")

    @property
    def targets(self):
        if "label" not in self.index.column_names:
            return {}
        several = pa.types.is_list(self.index.schema.field("label").type)
        return {"label": {"kind": "multicategory" if several else "category", "vocab": ["cat", "dog"]}}

    @property
    def splits(self):
        return {"train": 9, "valid": 2}


def encode(image, encoding):
    if encoding == "raw":
        return image.tobytes()
    if encoding == "jpeg":
        return simplejpeg.encode_jpeg(image, 90)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, encoding, lossless=True)
    return stream.getvalue()


def pictures(n=11, same_size=False):
    random = np.random.default_rng(n)
    sizes = [(20, 30) if same_size else (16 + 3 * (i % 4), 20 + i) for i in range(n)]
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def store(folder, images, encoding="raw"):
    """Three rows a part, at odd offsets."""
    rows, parts = [], []
    for i, image in enumerate(images):
        if i % 3 == 0:
            parts.append(folder / f"part-{i // 3}.bin")
            parts[-1].write_bytes(b"head!")
        data = encode(image, encoding)
        rows.append(
            {
                "key": f"{i:02}.jpg",
                "key_hash": hash_key(f"{i:02}.jpg"),
                "part": i // 3,
                "offset": parts[-1].stat().st_size,
                "length": len(data),
                "checksum": zlib.crc32(data),
                "height": image.shape[0],
                "width": image.shape[1],
                "label": i % 2,
                "split": "valid" if i % 4 == 3 else "train",
                "matrix": (np.diag([2.0, 2.0, 1.0]) + np.eye(3, k=2) * i).ravel().tolist(),
            }
        )
        with parts[-1].open("ab") as file:
            file.write(data)
    schema = pa.schema(
        [
            ("key", pa.string()),
            ("key_hash", pa.uint64()),
            ("part", pa.int32()),
            ("offset", pa.int64()),
            ("length", pa.int64()),
            ("checksum", pa.uint32()),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("label", pa.int32()),
            ("split", pa.string()),
            ("matrix", pa.list_(pa.float64(), 9)),
        ]
    )
    return Store(pa.Table.from_pylist(rows, schema), parts, encoding)


@pytest.mark.parametrize("reading", ["map", "pread"])
@pytest.mark.parametrize("encoding", ["raw", "png", "webp"])
@pytest.mark.parametrize("same_size", [True, False])
def test_rows_come_back_to_the_byte(tmp_path, reading, encoding, same_size):
    images = pictures(same_size=same_size)
    rows = CacheRows(store(tmp_path, images, encoding), reading=reading)
    order = np.array([10, 0, 7, 3, 4])
    rows.expect(order)
    pixels, matrix = rows.read(order, Buffers(), in_place=False)
    assert isinstance(pixels, Packed) is not same_size
    for i, row in enumerate(order):
        assert np.array_equal(pixels[i].numpy(), images[row])
        assert matrix[i].tolist() == [[2, 0, row], [0, 2, 0], [0, 0, 1]]


@pytest.mark.parametrize("reading", ["map", "pread"])
def test_jpeg_rows_are_decoded(tmp_path, reading):
    images = pictures()
    rows = CacheRows(store(tmp_path, images, "jpeg"), reading=reading)
    pixels, _ = rows.read(np.arange(11), Buffers(), in_place=True)
    for i, image in enumerate(images):
        assert np.array_equal(pixels[i].numpy(), simplejpeg.decode_jpeg(encode(image, "jpeg")))


def test_raw_rows_are_read_in_place(tmp_path):
    images = pictures(same_size=True)
    rows = CacheRows(store(tmp_path, images))
    first, _ = rows.read(np.array([9, 1]), Buffers(), in_place=True)
    second, _ = rows.read(np.array([9]), Buffers(), in_place=True)
    assert isinstance(first, Packed)
    assert np.array_equal(first[0].numpy(), images[9])
    assert np.array_equal(first[1].numpy(), images[1])
    assert first[0].data_ptr() == second[0].data_ptr()  # the row itself, not a copy
    copied, _ = CacheRows(rows._cache, reading="pread").read(np.array([9]), Buffers(), in_place=True)
    assert np.array_equal(copied[0].numpy(), images[9])


def test_columns_answer_for_rows(tmp_path):
    rows = CacheRows(store(tmp_path, pictures()))
    some = np.array([4, 9])
    assert len(rows) == 11
    assert rows.keys(some) == ["04.jpg", "09.jpg"]
    assert rows.key_hashes(some).tolist() == [hash_key("04.jpg"), hash_key("09.jpg")]
    assert rows.targets(some)["label"].values.tolist() == [0, 1]
    valid = rows.select("valid")
    assert valid[np.arange(len(valid))].tolist() == [3, 7]
    with pytest.raises(UsageError, match=r"train, valid"):
        rows.select("test")
    assert rows.select(None) is None
    assert rows.find("09.jpg") == 9
    with pytest.raises(UsageError, match="'x' is not: keys are paths"):
        rows.find("x")


def test_the_fingerprint_tells_caches_apart(tmp_path):
    cache = store(tmp_path, pictures())
    same, other = Store(cache.index, cache.parts, "raw"), Store(cache.index, cache.parts[::-1], "raw")
    assert CacheRows(cache).fingerprint == CacheRows(same).fingerprint != CacheRows(other).fingerprint


def flip_a_byte(part, offset=100):
    state = part.stat()
    data = bytearray(part.read_bytes())
    data[offset] ^= 255
    part.write_bytes(data)
    os.utime(part, ns=(state.st_atime_ns, state.st_mtime_ns))  # as a fault of the disk would


@pytest.mark.parametrize("reading", ["map", "pread"])
@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_a_wrong_checksum_names_the_row(tmp_path, reading, in_place, encoding):
    cache = store(tmp_path, pictures(), encoding)
    flip_a_byte(cache.parts[2])
    rows = CacheRows(cache, reading=reading)
    rows.read(np.arange(6), Buffers(), in_place=in_place)
    with pytest.raises(DamagedRowError, match=r"'06\.jpg' \(number 6 in part-2\.bin\).*checksum is") as caught:
        rows.read(np.array([1, 6]), Buffers(), in_place=in_place)
    assert (caught.value.row, caught.value.key) == (6, "06.jpg")


def test_when_checksums_are_compared(tmp_path):
    cache = store(tmp_path, pictures())
    loaded = {checking: CacheRows(cache, checking=checking) for checking in ("first", "always", "never")}
    everything = np.arange(11)
    for rows in loaded.values():
        rows.read(everything, Buffers(), in_place=False)
    flip_a_byte(cache.parts[2])
    loaded["first"].read(everything, Buffers(), in_place=False)
    loaded["never"].read(everything, Buffers(), in_place=False)
    with pytest.raises(DamagedRowError):
        loaded["always"].read(everything, Buffers(), in_place=False)


def test_bytes_that_are_no_picture_name_the_row(tmp_path):
    cache = store(tmp_path, pictures(), "png")
    flip_a_byte(cache.parts[0], 6)
    with pytest.raises(DamagedRowError, match=r"00\.jpg.*cannot be decoded"):
        CacheRows(cache, checking="never").read(np.array([0]), Buffers(), in_place=False)


def test_an_index_that_points_outside_is_noticed(tmp_path):
    cache = store(tmp_path, pictures())
    lengths = cache.index.column("length").to_pylist()
    lengths[2] += 1
    column = cache.index.column_names.index("length")
    cache.index = cache.index.set_column(column, "length", pa.array(lengths, pa.int64()))
    with pytest.raises(DamagedRowError, match=r"02\.jpg.*index places it"):
        CacheRows(cache).read(np.array([2]), Buffers(), in_place=True)


@pytest.mark.parametrize("reading", ["map", "pread"])
@pytest.mark.parametrize("change", ["truncate", "rebuild"])
def test_a_cache_changed_while_it_is_read_is_an_error(tmp_path, reading, change):
    cache = store(tmp_path, pictures())
    loader = Loader(CacheRows(cache, reading=reading), batch_size=2, shuffle=False, threads=1, prefetch=1)
    iterator = iter(loader)
    next(iterator)
    part = cache.parts[-1]
    if change == "truncate":
        os.truncate(part, 3)
    else:
        part.write_bytes(part.read_bytes())
    with pytest.raises(CacheError, match=rf"{part.name} (is missing|was changed)"):
        list(iterator)


@pytest.mark.parametrize("reading", ["map", "pread"])
@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("change", ["remove", "replace", "move"])
def test_a_loader_reads_the_files_that_it_opened_wherever_their_names_lead(tmp_path, reading, warm, change):
    cache = store(tmp_path, pictures())
    expected = [x for x, _ in Loader(CacheRows(cache), batch_size=2)]
    loader = Loader(CacheRows(cache, reading=reading), batch_size=2, threads=1, prefetch=1, warm=warm)
    for part in cache.parts:
        if change == "remove":
            part.unlink()
        elif change == "move":
            part.rename(part.with_suffix(".old"))
        else:
            (tmp_path / "new").write_bytes(b"of another cache" * 99)
            os.replace(tmp_path / "new", part)
    for found, image in zip([x for x, _ in loader], expected, strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(found, image, strict=True))


def test_a_missing_part_is_an_error(tmp_path):
    cache = store(tmp_path, pictures())
    cache.parts[1].unlink()
    with pytest.raises(CacheError, match=r"part-1\.bin is missing"):
        CacheRows(cache)


def test_settings_are_those_of_a_cache(tmp_path):
    with pytest.raises(UsageError, match="settings of a cache"):
        Loader(MemoryRows(pictures()), checking="always")
    with pytest.raises(UsageError, match="settings of a cache"):
        Loader(MemoryRows(pictures()), warm=True)
    with pytest.raises(UsageError, match="cache must be a Cache"):
        Loader(5)
    with pytest.raises(CacheError, match="no-such"):
        Loader(tmp_path / "no-such")


@pytest.mark.parametrize("settings", [{"reading": "mmap"}, {"checking": "sometimes"}])
def test_bad_settings_are_refused(tmp_path, settings):
    with pytest.raises(UsageError, match="must be"):
        CacheRows(store(tmp_path, pictures()), **settings)


def test_two_hundred_epochs_leak_nothing(tmp_path):
    loader = Loader(CacheRows(store(tmp_path, pictures())), batch_size=4)
    sums = set()
    for epoch in range(200):
        sums.add(sum(int(part.sum()) for x, _ in loader for part in x))
        if epoch == 20:
            files, tasks, memory = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), resident()
    assert len(sums) == 1
    assert len(os.listdir("/proc/self/fd")) == files
    assert len(os.listdir("/proc/self/task")) < tasks + 20  # other tests' threads come and go; a leak would be 179
    assert resident() - memory < 8_000_000


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


READERS = {
    "in place": lambda rows: rows.read(np.arange(4, 8), Buffers(), in_place=True),
    "copied": lambda rows: rows.read(np.arange(4, 8), Buffers(), in_place=False),
    "sent": lambda rows: rows.stored(np.arange(4, 8)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_rows_are_asked_for_ahead_as_long_as_bytes_come_from_the_disk(tmp_path, monkeypatch, encoding, reader):
    """Rows are asked for ahead also where the warp alone reads them, and where some batches came with those before."""
    rows = CacheRows(store(tmp_path, pictures(), encoding))
    asked, blocks = [], iter(count(8, 8))
    monkeypatch.setattr(type(rows._files), "expect", lambda files, *places: asked.append(places))

    def batches_until_nothing_is_asked():
        for batches in range(100):
            asked.clear()
            rows.expect(np.arange(4))
            if not asked:
                return batches
            READERS[reader](rows)
        return None

    monkeypatch.setattr(cache_rows, "blocks_read", lambda: next(blocks))
    assert batches_until_nothing_is_asked() is None
    monkeypatch.setattr(cache_rows, "blocks_read", lambda: 10**6)
    assert 2 <= batches_until_nothing_is_asked() < 30
    assert batches_until_nothing_is_asked() == 0
    monkeypatch.setattr(cache_rows, "blocks_read", lambda: 10**6 + 8)
    READERS[reader](rows)
    assert batches_until_nothing_is_asked() >= 2
