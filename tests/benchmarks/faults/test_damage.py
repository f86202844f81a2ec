"""Which bytes of a file mean what, and what a harm does to them: to these, and to no others."""

import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onewarp.benchmarks.faults import damage


def json_file(path):
    path.write_bytes(json.dumps({"rows": 150, "vocab": ["a", "b"]}).encode())


def parquet_file(path):
    pq.write_table(pa.table({"pixels": [b"1234", b"56"], "label": [0, 1]}), path)


def arrow_file(path):
    table = pa.table({"key": ["a", "bc"], "label": [0, 1]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def safetensors_file(path):
    head = json.dumps({"net.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(range(8)))


FILES = {"a.json": json_file, "a.parquet": parquet_file, "a.arrow": arrow_file, "a.safetensors": safetensors_file}


@pytest.fixture
def folder(tmp_path):
    for name, write in FILES.items():
        write(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("a.json", {"field rows", "field vocab"}),
        ("a.parquet", {"head", "tail", "footer", "column pixels", "column label"}),
        ("a.arrow", {"head", "tail", "schema", "footer", "column key buffer 1", "column key buffer 2"}),
        ("a.safetensors", {"head", "header", "tensors net", "header data_offsets"}),
    ],
)
def test_every_byte_of_a_file_is_of_a_class(folder, name, classes):
    found = damage.classes(folder / name)
    assert classes <= found.keys()
    covered = {at for spans in found.values() for begin, end in spans for at in range(begin, end)}
    assert covered == set(range((folder / name).stat().st_size))


def test_a_class_has_the_bytes_that_it_says(folder):
    data = (folder / "a.safetensors").read_bytes()
    ((begin, end),) = damage.classes(folder / "a.safetensors")["tensors net"]
    assert data[begin:end] == bytes(range(8))
    text = b'{"rows": 150, "vocab": ["a"]}'
    assert damage.fields(text, 0, len(text), "field") == {"field rows": [(8, 14)], "field vocab": [(22, 29)]}


def test_what_is_of_no_class_is_the_rest(tmp_path):
    """Of a long value the first 4096 bytes are its class."""
    (tmp_path / "long.json").write_bytes(b'{"text": "' + b"x" * 5000 + b'"}')
    assert damage.classes(tmp_path / "long.json") == {
        "field text": [(8, 8 + 4096)],
        "rest": [(0, 8), (8 + 4096, 5012)],
    }


def harms(folder, seed=0):
    return list(damage.harms(folder, sorted(FILES), 2, seed))


def test_the_same_seed_harms_the_same_bytes(folder):
    assert harms(folder) == harms(folder) != harms(folder, seed=1)


def test_a_bit_is_flipped_a_span_filled_and_a_file_cut_where_it_is_said(folder):
    contents = {name: np.frombuffer((folder / name).read_bytes(), np.uint8) for name in FILES}
    seen = set()
    for harm in harms(folder):
        harm.change(folder)
        after = {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}
        (name,) = [name for name, data in contents.items() if after.get(name) != data.tobytes()] or [None]
        assert name is None or harm.name.startswith(name)
        seen.add(harm.kind)
        if harm.kind == "bytes flipped":
            bits = np.unpackbits(contents[name] ^ np.frombuffer(after[name], np.uint8))
            place, bit = np.flatnonzero(bits)[0] // 8, 7 - np.flatnonzero(bits)[0] % 8
            assert bits.sum() == 1
            assert harm.name.endswith(f"bit {bit} of byte {place}")
        elif harm.kind == "bytes filled":
            begin, end, value = (int(word) for word in harm.name.split()[-5::2])  # 4 to 36 with 255
            found = np.frombuffer(after[harm.name.split(",")[0]], np.uint8)
            assert (found[begin:end] == value).all()
            assert end - begin <= 32
        elif harm.kind == "files cut":
            assert after[name] == contents[name].tobytes()[: int(harm.name.split()[2])]
        for path, data in contents.items():
            if (folder / path).is_dir():
                (folder / path).rmdir()
            (folder / path).write_bytes(data.tobytes())
    assert seen == {"bytes flipped", "bytes filled", "files cut", "files changed"}


@pytest.mark.parametrize("way", ["missing", "longer", "a folder", "another"])
def test_a_file_is_changed_as_a_whole(folder, way):
    (harm,) = [harm for harm in harms(folder) if harm.name == f"a.json is {way}"]
    data, before = (folder / "a.json").read_bytes(), (folder / sorted(FILES)[sorted(FILES).index("a.json") - 1])
    harm.change(folder)
    path = folder / "a.json"
    assert {
        "missing": not path.exists(),
        "longer": path.is_file() and path.read_bytes() == data + bytes(100),
        "a folder": path.is_dir(),
        "another": path.is_file() and path.read_bytes() == before.read_bytes(),
    }[way]


def test_pixels_are_flipped_in_a_copy_so_that_whoever_has_the_file_open_sees_none_of_it(tmp_path):
    parquet_file(tmp_path / "part.parquet")
    before = (tmp_path / "part.parquet").read_bytes()
    with (tmp_path / "part.parquet").open("rb") as reader:
        damage.flip_pixels(tmp_path, random.Random(0))
        assert reader.read() == before
    after = (tmp_path / "part.parquet").read_bytes()
    ((begin, end),) = damage.classes(tmp_path / "part.parquet")["column pixels"]
    (place,) = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert begin <= place < end
