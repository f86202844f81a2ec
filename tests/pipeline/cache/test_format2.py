"""Caches that the version before wrote (commit 6b0924a), kept beside this file with the pictures they were made of."""

import json
import random
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from onewarp.errors import CacheError
from onewarp.pipeline import Cache, DataBlock, Loader, presize
from onewarp.pipeline.cache import recipe

STORED = Path(__file__).parent / "format2"
SETTINGS = {
    "raw": {"label": "parent", "split": "hash:0.4"},
    "places": {"block": DataBlock.from_json((STORED / "block.json").read_bytes()), "encoding": "png"},
}


@pytest.fixture(params=SETTINGS)
def kind(request, monkeypatch):
    """Which of them; today's decoder says that it is the one that they were made with."""
    said = json.loads((STORED / request.param / "_cache.json").read_bytes())
    monkeypatch.setattr(recipe, "decoder_build", lambda: said["pixels"]["decoder"])
    return request.param


def rows(folder):
    cache = Cache.open(folder)
    found = [cache.row(number) for number in range(len(cache))]
    places = [{name: place.tolist() for name, place in row.places.items()} for row in found]
    return [
        (r.key, r.pixels.tolist(), r.label, r.split, r.matrix.tolist(), p) for r, p in zip(found, places, strict=True)
    ]


def test_it_is_read(kind):
    cache = Cache.open(STORED / kind)
    assert (len(cache), cache.vocab, cache.splits) == (6, ["cat", "dog"], {"train": 4, "valid": 2})
    assert list(cache.verify()) == []
    assert [entry["key"] for entry in cache.rejected()] == ["cat/broken.png"]
    keys = []
    for split in ("train", "valid"):
        for batch in Loader(cache, split, 3, threads=1):
            for x, key in zip(batch[0], batch.keys, strict=True):
                assert np.array_equal(x.numpy(), cache[key].pixels)
                assert cache[key].label == key[:3]
                keys.append(key)
    assert sorted(keys) == [
        f"{name}/{i}.png" for name, i in zip(["cat"] * 3 + ["dog"] * 3, [0, 2, 4, 1, 3, 5], strict=True)
    ]


def test_presize_takes_its_rows_over_without_decoding(kind, tmp_path):
    shutil.copytree(STORED / kind, tmp_path / "C")
    done = presize(STORED / "pictures", tmp_path / "C", 8, **SETTINGS[kind])
    assert (done.decoded, done.copied, done.rows) == (0, 6, 6)
    assert rows(tmp_path / "C") == rows(STORED / kind)
    assert Cache.open(tmp_path / "C").footer["format"] == 3
    assert list(Cache.open(tmp_path / "C").verify()) == []
    assert not [path for path in (tmp_path / "C").iterdir() if path.name.startswith("_index.")]
    assert presize(STORED / "pictures", tmp_path / "C", 8, **SETTINGS[kind]).kept == 6


def test_its_damage_ends_no_process_and_is_not_taken_over(kind, tmp_path):
    expected, draws = rows(STORED / kind), random.Random(kind)
    for _ in range(24):
        shutil.rmtree(tmp_path / "C", ignore_errors=True)
        shutil.copytree(STORED / kind, tmp_path / "C")
        path = draws.choice(sorted((tmp_path / "C").glob("[_p]*.parquet")))
        data = bytearray(path.read_bytes())
        data[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
        path.write_bytes(data)
        with suppress(CacheError):
            rows(tmp_path / "C")
        presize(STORED / "pictures", tmp_path / "C", 8, **SETTINGS[kind])
        assert [row[0] for row in rows(tmp_path / "C")] == [row[0] for row in expected]
        assert [row[2:] for row in rows(tmp_path / "C")] == [row[2:] for row in expected]
        assert list(Cache.open(tmp_path / "C").verify()) == []
