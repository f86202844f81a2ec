"""Presizing that is killed, crowded out, or finds no room: nothing is lost, and it goes on."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from onewarp.errors import CacheError
from onewarp.pipeline import Beside, DataBlock, ImageBlock, MaskBlock, get_image_files
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.presizing.lock import write_lock
from onewarp.pipeline.presizing.presizer import presize


def test_killed_at_any_instant_and_resumed_it_is_as_if_nothing_had_been(draw, tmp_path):
    """A few of the instants that `benchmarks/recovery.py` tries, with a mask for each picture but every tenth."""
    (tmp_path / "masks").mkdir()
    for i in range(400):
        draw(tmp_path / "many" / f"{i:03d}.png", i % 50, (90, 120))
        if i % 10:
            Image.new("L", (120, 90), i % 256).save(tmp_path / "masks" / f"{i:03d}.png")
    block = DataBlock(blocks=(ImageBlock, MaskBlock), get_items=get_image_files, get_y=Beside("../masks", ".png"))
    (tmp_path / "block.json").write_text(block.to_json())
    command = [sys.executable, "-m", "onewarp.benchmarks.recovery", str(tmp_path / "many"), "--size=80", "--kills=7"]
    command += ["--block", str(tmp_path / "block.json")]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert said["same"] == said["kills"] == 7
    assert said["between"] >= 3


def test_a_run_that_fails_in_the_middle_leaves_parts_that_the_next_takes_up(draw, tmp_path, monkeypatch, files_in):
    for i in range(400):
        draw(tmp_path / "many" / f"{i:03d}.png", i, (8, 12))
    presize(tmp_path / "many", tmp_path / "expected", 8)
    from onewarp.pipeline.presizing import part_task

    make, count = part_task._write, 0

    def failing(*args):
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(28, "No space left on device")
        return make(*args)

    monkeypatch.setattr(part_task, "_write", failing)
    with pytest.raises(CacheError, match=r"no space is left for .*: make room") as raised:
        presize(tmp_path / "many", tmp_path / "C", 8, workers=1)
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "C").glob(".writing-*"))
    assert not (tmp_path / "C" / "_cache.json").exists()
    monkeypatch.undo()
    done = presize(tmp_path / "many", tmp_path / "C", 8)
    assert done.kept > 0
    assert files_in(tmp_path / "C") == files_in(tmp_path / "expected")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_is_really_full(pictures, mounted):
    """A disk of 48 KB, inside a name space of its own."""
    program = f"""
from onewarp.pipeline.presizing.presizer import presize
from onewarp.errors import CacheError
try:
    presize({str(pictures)!r}, "/mnt/C", 200, enlarge=True)
except CacheError as error:
    print(error)
"""
    output = mounted("mount -t tmpfs -o size=48k none /mnt", program)
    assert "no space is left for /mnt/C (No space left on device): make room" in output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(pictures, tmp_path):
    (tmp_path / "C").mkdir(mode=0o500)
    with pytest.raises(CacheError, match="must be a folder that may be written to"):
        presize(pictures, tmp_path / "C", 16)


def test_readers_need_no_lock_and_keep_what_they_have_opened(pictures, tmp_path, draw):
    presize(pictures, tmp_path / "C", 16)
    cache = Cache.open(tmp_path / "C")
    with write_lock(tmp_path / "C", print):
        assert Cache.open(tmp_path / "C")["cat/0.png"].pixels.shape == (16, 21, 3)
    handle = os.open(cache.parts[0], os.O_RDONLY)
    draw(pictures / "cat" / "0.png", 99)
    presize(pictures, tmp_path / "C", 16)
    assert not cache.parts[0].exists()
    assert len(os.pread(handle, 100, 0)) == 100
    os.close(handle)
