"""A cache that is finished: found to be so without a write, whatever was asked again."""

import os

import pytest
from PIL import Image

from onewarp.pipeline import Beside, DataBlock, ImageBlock, MaskBlock
from onewarp.pipeline.dataset.items import get_image_files
from onewarp.pipeline.dataset.splits import HashSplitter
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.geometry import Resize


def snapshot(folder):
    """What any write to a folder would change: its own times, and name, inode and times of its files."""
    return {
        (p.name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
        for p in [folder, *folder.iterdir()]
        for s in [p.stat()]
    }


def test_a_finished_cache_is_not_written_to(pictures, tmp_path):
    (pictures / "bad.png").write_bytes(b"bad")
    settings = {"label": "parent", "split": "hash:0.3"}
    first = presize(pictures, tmp_path / "C", 16, **settings)
    before = snapshot(tmp_path / "C")
    again = presize(pictures, tmp_path / "C", 16, **settings)
    assert (again.rows, again.kept, again.rejected) == (first.rows, 12, first.rejected)
    assert snapshot(tmp_path / "C") == before
    os.utime(pictures / "cat" / "0.png")  # read again, and found to be the same
    assert presize(pictures, tmp_path / "C", 16, **settings).kept == 12
    assert snapshot(tmp_path / "C") == before
    assert presize(pictures, tmp_path / "C", 16, label="parent").copied == 12
    assert snapshot(tmp_path / "C") != before


def test_dataloaders_over_a_finished_cache_write_nothing(pictures, tmp_path):
    """With masks, of which only reading tells whether they are still the same."""
    (tmp_path / "masks").mkdir()
    for path in get_image_files(pictures):
        with Image.open(path) as image:
            Image.new("L", image.size, 1).save(tmp_path / "masks" / path.name)
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock),
        get_items=get_image_files,
        splitter=HashSplitter(0.3),
        get_y=Beside("../../masks", ".png"),
        item_tfms=Resize(16),
    )
    block.dataloaders(pictures, cache=tmp_path / "C")
    before = snapshot(tmp_path / "C")
    assert len(block.dataloaders(pictures, cache=tmp_path / "C", bs=4).one_batch()[0]) == 4
    assert snapshot(tmp_path / "C") == before


WAYS = {
    "an index that is gone": lambda folder: next(folder.glob("_index-*")).unlink(),
    "an index that is cut": lambda folder: os.truncate(next(folder.glob("_index-*")), 90),
    "an index with a changed byte": lambda folder: change(next(folder.glob("_index-*"))),
    "a list of rejected files that is gone": lambda folder: next(folder.glob("_rejected-*")).unlink(),
    "a changed list of rejected files": lambda folder: change(next(folder.glob("_rejected-*"))),
    "a footer that is gone": lambda folder: (folder / "_cache.json").unlink(),
    "a footer of other files": lambda folder: change(folder / "_cache.json"),
    "a part that is gone": lambda folder: next(folder.glob("part-*")).unlink(),
    "a file of a run that was killed": lambda folder: (folder / ".writing-1").touch(),
    "a lock of a run that was killed": lambda folder: (folder / ".lock").touch(),
    "a part of a former cache": lambda folder: (folder / "part-00007-0123456789abcdef.parquet").touch(),
}


def change(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_missing_damaged_or_too_much_a_cache_is_not_finished_and_is_made_so(
    pictures, tmp_path, files_in, way
):
    (pictures / "bad.png").write_bytes(b"bad")
    presize(pictures, tmp_path / "C", 16, label="parent")
    before, state = files_in(tmp_path / "C"), snapshot(tmp_path / "C")
    WAYS[way](tmp_path / "C")
    presize(pictures, tmp_path / "C", 16, label="parent")
    assert files_in(tmp_path / "C") == before
    assert snapshot(tmp_path / "C") != state
