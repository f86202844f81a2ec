"""The loader over caches that presize made, from photos on a disk to augmented batches."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.errors import CacheError, UsageError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.datablock.dataloaders import DataLoaders
from onewarp.pipeline.dataset.items import get_image_files
from onewarp.pipeline.loading.decoded_rows import rows_of_files
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.augment import aug_transforms
from onewarp.transforms.decoding.resizing import Sizing
from onewarp.transforms.geometry import Resize

TFMS = [Resize(24), *aug_transforms(max_lighting=0.4)]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Batches this small gain nothing by threads within an operation, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for i in range(31):
        smooth = Image.fromarray(random.integers(0, 256, (4, 5, 3), np.uint8)).resize((60 + i, 50 + i % 7))
        (folder / "ab"[i % 2]).mkdir(exist_ok=True)
        smooth.save(folder / "ab"[i % 2] / f"{i:02}.png")
    return folder


@pytest.fixture(scope="module", params=["raw", "jpeg"])
def cache(request, photos, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / "cache"
    presize(photos, path, 40, label="parent", split="hash:0.3", encoding=request.param)
    return Cache.open(path)


def samples(loader, steps=None):
    found = {}
    for batch in itertools.islice(loader, steps):
        for key, x, y in zip(batch.keys, batch[0], batch[1], strict=True):
            assert key not in found
            found[key] = (x.clone(), int(y))
    return found


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[k][0], expected[k][0]) and found[k][1] == expected[k][1] for k in expected)


def test_rows_are_those_of_the_cache(cache):
    seen = 0
    for batch in Loader(cache, batch_size=7):
        x, y = batch
        for i, key in enumerate(batch.keys):
            row = cache[key]
            assert np.array_equal(x[i].numpy(), row.pixels)
            assert cache.vocab[int(y[i])] == row.label == key[0]
            assert np.array_equal(batch.matrix[i], row.matrix)
            seen += 1
    assert seen == len(cache)


def test_a_path_is_a_cache_and_splits_are_its_own(cache):
    for split, count in cache.splits.items():
        loader = Loader(str(cache.path), split, batch_size=4, batch_tfms=TFMS)
        assert len(samples(loader)) == count
    with pytest.raises(UsageError, match="split must be one of"):
        Loader(cache, "holdout")


def test_pixels_depend_on_seed_epoch_and_key_alone(cache):
    expected = samples(Loader(cache, batch_size=31, batch_tfms=TFMS, threads=1, seed=5))
    for batch_size, threads, reading in [(1, 3, "map"), (8, 2, "pread"), (5, 1, "map")]:
        loader = Loader(cache, batch_size=batch_size, batch_tfms=TFMS, threads=threads, seed=5, reading=reading)
        assert_same(samples(loader), expected)
    other = samples(Loader(cache, batch_size=8, batch_tfms=TFMS, seed=6))
    assert not any(torch.equal(other[key][0], expected[key][0]) for key in expected)


@pytest.mark.parametrize(("before", "after"), [(1, 3), (2, 8), (3, 1), (8, 2)])
def test_a_run_goes_on_at_any_world_size_with_the_same_pixels(cache, before, after):
    def ranks(world):
        return [Loader(cache, batch_size=2, batch_tfms=TFMS, rank=r, world_size=world, threads=1) for r in range(world)]

    expected = samples(Loader(cache, batch_size=31, batch_tfms=TFMS))
    found = {}
    for loader in ranks(before):
        found |= samples(loader, steps=1)
        state = loader.state_dict()
    assert len(found) == 2 * before
    for loader in ranks(after):
        loader.load_state_dict(state)
        rest = samples(loader)
        assert not rest.keys() & found.keys()
        found |= rest
    assert_same(found, expected)


def test_replay_is_the_copy_in_the_batch(cache):
    loader = Loader(cache, batch_size=9, batch_tfms=TFMS)
    loader.set_epoch(4)
    for batch in loader:
        for i, key in enumerate(batch.keys):
            x, y = loader.replay(key, epoch=4)
            assert torch.equal(x, batch[0][i])
            assert y == batch[1][i]


def test_a_state_of_another_cache_is_refused(cache, photos, tmp_path):
    (tmp_path / "fewer").mkdir()
    for path in get_image_files(photos)[:9]:
        (tmp_path / "fewer" / path.name).write_bytes(path.read_bytes())
    presize(tmp_path / "fewer", tmp_path / "cache", 40, encoding=cache.encoding)
    with pytest.raises(UsageError, match="its rows are not those of this loader"):
        Loader(cache).load_state_dict({**Loader(tmp_path / "cache").state_dict(), "order": "Shuffled(size=31)"})


def test_with_and_without_a_cache_the_same_pixels_come_out(cache, photos):
    if cache.encoding != "raw":
        pytest.skip("a lossy cache changes pixels")
    rows = rows_of_files(get_image_files(photos), photos, Sizing(40))
    from_files = Loader(rows, batch_size=8, batch_tfms=TFMS)
    from_cache = Loader(cache, batch_size=8, batch_tfms=TFMS)
    for one, other in zip(from_files, from_cache, strict=True):
        assert one.keys == other.keys
        assert torch.equal(one[0], other[0])
        assert torch.equal(one.matrix, other.matrix)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_loaders_of_a_cache_are_copied_without_its_rows_and_stand_where_they_stood(cache, copied):
    dls = DataLoaders.of_cache(cache, [Resize(32), *aug_transforms()], bs=3, threads=1)
    loop = iter(dls.train)
    next(loop)
    again = copied(dls)
    assert again.train.rows is again.valid.rows
    assert again.train.state_dict() == dls.train.state_dict()
    again.train.load_state_dict(again.train.state_dict())
    for mine, theirs in zip(loop, again.train, strict=True):
        assert mine.keys == theirs.keys
        assert torch.equal(mine[0], theirs[0])
    assert len(pickle.dumps(dls)) < 20_000


def test_a_copy_of_a_loader_whose_cache_was_made_anew_is_refused(photos, tmp_path):
    presize(photos, tmp_path / "C", 16)
    kept = pickle.dumps(Loader(tmp_path / "C"))
    presize(photos, tmp_path / "C", 24, overwrite=True)
    with pytest.raises(CacheError):
        pickle.loads(kept)


def test_a_loader_of_files_is_copied_with_their_names_alone(photos):
    loader = Loader(rows_of_files(sorted(photos.rglob("*.png")), photos, Sizing(24)), batch_size=4, threads=1)
    again = pickle.loads(pickle.dumps(loader))
    assert [batch.keys for batch in again] == [batch.keys for batch in loader]
    assert len(pickle.dumps(loader)) < 20_000
