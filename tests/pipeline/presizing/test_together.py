"""Several processes that want one cache at once: one makes it, the others wait and read it, whatever becomes of it."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = '''
import hashlib, json, os, signal, sys, time
from pathlib import Path
import distributed, torch  # before the forks, so that every child has them
from onewarp.errors import OnewarpError
from onewarp.pipeline import CategoryBlock, DataBlock, ImageBlock, RandomSplitter, get_image_files, parent_label
from onewarp.transforms import Resize

torch.set_num_threads(1)
photos, cache = Path(sys.argv[1]), Path(sys.argv[2])
block = DataBlock(
    blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label, splitter=RandomSplitter(seed=1),
    item_tfms=Resize(8),
)

def rank(number, world, source):
    """What a rank of a training script does; its batches, or why there are none."""
    try:
        dls = block.dataloaders(source, bs=4, cache=cache, rank=number, world_size=world, threads=1)
        return [[batch.keys, hashlib.sha256(batch[0].numpy().tobytes()).hexdigest()] for batch in dls.train]
    except OnewarpError as error:
        return str(error)

def start(number, world, source):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(rank(number, world, source)).encode())
        os._exit(0)
    os.close(writing)
    return child, reading

def together(world, source=photos, kill=False):
    children = [start(number, world, source) for number in range(world)]
    while kill:
        parts = [*cache.glob("part-*")]
        if parts:
            kill = False
            killed = json.loads((cache / ".lock").read_text())["process"]
            os.kill(killed, signal.SIGKILL)
    done = []
    for child, reading in children:
        with open(reading) as pipe:
            done.append(json.loads(pipe.read() or "null"))
        os.waitpid(child, 0)
    return done

def clear():
    for path in cache.iterdir():
        path.unlink()

def state():
    return [(path.name, path.stat().st_mtime_ns, path.stat().st_ino) for path in (cache, *sorted(cache.iterdir()))]

alone = together(1)
found = {"alone": alone[0], "cold": {}, "warm": {}}
for world in (2, 4):
    clear()
    found["cold"][world] = together(world)
    before = state()
    cache.chmod(0o555)  # which root may pass by: so times and inodes are compared
    found["warm"][world] = together(world)
    cache.chmod(0o755)
    found["unchanged"] = state() == before
clear()
found["killed"] = together(3, kill=True)
clear()
found["failed"] = together(2, source=photos.with_name("broken"))
found["left"] = sorted(path.name for path in cache.glob(".*"))
print(json.dumps(found))
'''


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What became of every rank, each a real process."""
    from PIL import Image

    root = tmp_path_factory.mktemp("together")
    for i in range(300):
        path = root / "photos" / ("cat", "dog")[i % 2] / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 10), (i % 256, i // 2, 99)).save(path)
    for i in range(2):
        path = root / "broken" / "cat" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no picture")
    (root / "C").mkdir()
    environment = {**os.environ, "XDG_CACHE_HOME": str(root / "xdg")}
    command = [sys.executable, "-c", SCRIPT, str(root / "photos"), str(root / "C")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {**json.loads(run.stdout), "said": run.stderr}


def whole(ranks):
    """The keys of all ranks, in the order of the epoch."""
    batches = [[keys for keys, _ in rank] for rank in ranks]
    return sorted(key for rank in batches for keys in rank for key in keys)


@pytest.mark.parametrize("way", ["cold", "warm"])
@pytest.mark.parametrize("world", ["2", "4"])
def test_ranks_that_start_together_share_one_epoch_of_one_cache(found, way, world):
    assert len(found[way][world]) == int(world)
    assert whole(found[way][world]) == whole([found["alone"]])


def test_those_that_wait_say_for_whom(found):
    assert "waiting for process" in found["said"]
    assert "which has been writing the cache for" in found["said"]


def test_a_finished_cache_is_read_without_permission_to_write_and_stays_as_it_is(found):
    assert found["unchanged"]


def test_where_the_one_that_builds_is_killed_another_takes_over(found):
    done = [rank for rank in found["killed"] if rank is not None]
    assert len(done) == 2
    assert all(isinstance(rank, list) and rank for rank in done)
    assert whole(done) == sorted(set(whole(done)))
    assert set(whole(done)) < set(whole([found["alone"]]))


def test_where_building_fails_every_rank_says_why(found):
    assert len(found["failed"]) == 2
    assert all("none of 2 files became a row" in reason for reason in found["failed"])
    assert found["left"] == []
