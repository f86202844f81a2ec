"""Any byte of a cache changed or cut: found by whoever reads it, named by `verify`, mended by `presize`."""

import random
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from onewarp.errors import CacheError
from onewarp.pipeline import (
    Beside,
    Cache,
    CategoryBlock,
    DataBlock,
    HashSplitter,
    ImageBlock,
    Loader,
    MaskBlock,
    get_image_files,
    parent_label,
    presize,
)

CHANGES = ("flip", "flip", "other", "cut", "longer")
PLAIN = {"label": "parent", "split": "hash:0.3"}
BLOCK = DataBlock(
    blocks=(ImageBlock, CategoryBlock, MaskBlock(codes=("a", "b"))),
    get_items=get_image_files,
    splitter=HashSplitter(0.3),
    get_y=[parent_label, Beside("../../masks", ".png")],
)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def restore(folder: Path, before: dict[str, bytes]) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    for name, data in before.items():
        (folder / name).write_bytes(data)


def everything(folder: Path):
    """All that a cache tells: rows with their targets, as a loader reads them, and the rejected files."""
    cache = Cache.open(folder)
    loaders = [Loader(cache, split, 8, shuffle=False, threads=1) for split in cache.splits or [None]]
    batches = [(b.keys, [x.tolist() for x in b[0]], repr(b[1]), b.matrix.tolist()) for one in loaders for b in one]
    return batches, cache.rejected(), cache.vocab, cache.splits, cache.fingerprint


def outcome(function, folder: Path):
    """What a function of a cache gives, and the text of its error."""
    try:
        return function(folder), ""
    except CacheError as error:
        return None, str(error)


def changed(data: bytes, draws: random.Random) -> tuple[str, bytes]:
    """What was done, and the bytes after it."""
    kind, place = draws.choice(CHANGES), draws.randrange(len(data))
    bytes_ = bytearray(data)
    match kind:
        case "flip":
            bytes_[place] ^= 1 << draws.randrange(8)
        case "other":
            bytes_[place] = (bytes_[place] + draws.randrange(1, 256)) % 256
        case "cut":
            del bytes_[place:]
        case "longer":
            bytes_ += bytes([draws.randrange(256)])
    return f"{kind} at byte {place} of {len(data)}", bytes(bytes_)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Twenty small pictures with masks, and two that are none."""
    root = tmp_path_factory.mktemp("sources")
    (root / "masks").mkdir()
    draws = random.Random(0)
    for i in range(20):
        path = root / "pictures" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (12 + i % 3, 9)
        Image.frombytes("RGB", size, draws.randbytes(3 * size[0] * size[1])).save(path)
        Image.new("L", size, i % 2).save(root / "masks" / path.name)
    for name in ("a/bad.png", "b/bad.jpg"):
        (root / "pictures" / name).write_bytes(b"no picture")
    return root


@pytest.mark.parametrize(("kind", "encoding"), [("plain", "raw"), ("plain", "jpeg"), ("masks", "png")])
def test_a_changed_byte_is_found_named_and_mended(sources, tmp_path, kind, encoding):
    settings = PLAIN if kind == "plain" else {"block": BLOCK}
    folder, draws = tmp_path / "C", random.Random(f"{kind} {encoding}")

    def make():
        return presize(sources / "pictures", folder, 8, encoding=encoding, **settings)

    make()
    expected, before = everything(folder), files(folder)
    assert not list(Cache.open(folder).verify())
    for case, name in product(range(16), sorted(before)):
        what, data = changed(before[name], draws)
        (folder / name).write_bytes(data)
        found, error = outcome(everything, folder)
        assert found == expected or name in error, (name, what, error)
        lines, error = outcome(lambda folder: [*Cache.open(folder).verify()], folder)
        assert name in error or any(name in line for line in lines), (name, what, lines, error)
        if case % 4 == 0:
            make()
            assert files(folder) == before, (name, what)
        restore(folder, before)


def test_a_changed_byte_of_a_part_that_is_not_committed_is_found_by_the_next_run(sources, tmp_path):
    folder, draws = tmp_path / "C", random.Random(0)
    presize(sources / "pictures", folder, 8, **PLAIN)
    before = files(folder)
    (part,) = folder.glob("part-*")
    for _ in range(24):
        (folder / "_cache.json").unlink()
        what, data = changed(before[part.name], draws)
        part.write_bytes(data)
        presize(sources / "pictures", folder, 8, **PLAIN)
        assert files(folder) == before, what
        restore(folder, before)


@pytest.mark.parametrize("what", ["part-*", "_index-*"])
@pytest.mark.parametrize("tfms", ["None", "[Resize(8)]"])
def test_a_file_that_is_cut_while_it_is_mapped_ends_no_process(sources, tmp_path, what, tfms):
    """Where the system would send a signal; in a process of its own, and right behind the look at the file's size."""
    program = f"""
import os
from pathlib import Path
from onewarp.errors import CacheError
from onewarp.pipeline import Loader, presize
from onewarp.transforms import Resize
folder = Path({str(tmp_path / "C")!r})
presize({str(sources / "pictures")!r}, folder, 8, encoding="raw")
for epochs in range(3):
    presize({str(sources / "pictures")!r}, folder, 8, encoding="raw")
    loader = Loader(folder, batch_size=2, threads=2, batch_tfms={tfms}, reading="map", checking="never")
    for _ in range(epochs):
        list(loader)
    batches = iter(loader)
    next(batches)
    path, = folder.glob({what!r})
    whole = path.read_bytes()
    os.truncate(path, 0)
    try:
        for _ in range(9):
            list(batches)
            batches = iter(loader)
        print("not found")
    except CacheError:
        print("refused")
    path.write_bytes(whole)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "refused\n" * 3), run.stderr
