"""What a loader delivers from a cache it delivers from a service, to the bit: targets, orders, sizes, types."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.errors import DamagedRowError
from onewarp.pipeline import (
    BBoxBlock,
    Cache,
    DataBlock,
    DataLoaders,
    ImageBlock,
    Loader,
    MaskBlock,
    MultiCategoryBlock,
    PointBlock,
    Subset,
    Weighted,
    connect,
    get_image_files,
    presize,
)
from onewarp.pipeline.loading.cache_rows import rows_of
from onewarp.pipeline.loading.rows import views
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.server import Server, Service
from onewarp.transforms import CutMix, Flip, MixUp, Normalize, Packed, Resize, Rotate, Warp, fuse

COUNT = 23
RECIPE = [Resize(12), Flip(), Rotate(p=1.0), Warp(p=1.0)]


def number_of(path: Path) -> int:
    return int(path.stem)


def mask_of(path: Path) -> np.ndarray:
    """A mask as large as its picture; every third has numbers beyond 255."""
    with Image.open(path) as image:
        width, height = image.size
    grid = np.arange(height)[:, None] // 5 + np.arange(width) // 7
    return grid * (100 if number_of(path) % 3 == 0 else 3)


def narrow_mask_of(path: Path) -> np.ndarray:
    return mask_of(path) % 4


def points_of(path: Path) -> np.ndarray:
    return np.array([[number_of(path) % 9, 4], [11, 13]], np.float32)


def boxes_of(path: Path) -> np.ndarray:
    """As many boxes as the number says, sometimes none."""
    return np.array([[i, i + 1, i + 9, i + 12] for i in range(number_of(path) % 3)], np.float32).reshape(-1, 4)


def names_of(path: Path) -> list[str]:
    return [name for i, name in enumerate("abc") if number_of(path) % (i + 2) == 0]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(COUNT):
        pixels = np.random.default_rng(i).integers(0, 256, (5, 4, 3), np.uint8)
        Image.fromarray(pixels).resize((24 + i % 4, 20 + i % 3)).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def folders(photos, tmp_path_factory):
    """Folders of caches by name: `all` with every kind of target, `damaged` with two rows that are."""
    work = tmp_path_factory.mktemp("caches")
    block = DataBlock(
        (ImageBlock, MaskBlock, PointBlock, MultiCategoryBlock, BBoxBlock, MaskBlock),
        get_items=get_image_files,
        get_y=[mask_of, points_of, names_of, boxes_of, narrow_mask_of],
        splitter=lambda items: (list(range(5, COUNT)), list(range(5))),
    )
    presize(photos, work / "all", 16, block=block, encoding="png", quiet=True)
    presize(photos, work / "damaged", 16, label="regex:(.)", split="random:0.2:1", encoding="raw", quiet=True)
    stored = Cache.open(work / "damaged")
    for number in (3, 8):
        columns = stored.columns(number)
        part = stored.parts[columns["part"]]
        data = bytearray(part.read_bytes())
        data[columns["offset"] + 5] ^= 255
        part.write_bytes(data)
    return {"all": work / "all", "damaged": work / "damaged"}


@pytest.fixture(scope="module")
def served(folders):
    """served(name, augment): the cache behind an address."""
    server = Server(Service(ServedCaches(folders)), "grpc://127.0.0.1:0")
    caches = []

    def make(name, augment):
        caches.append(connect(f"grpc://127.0.0.1:{server.port}/{name}", augment=augment, timeout=60))
        return caches[-1]

    yield make
    for cache in caches:
        cache.close()
    server.stop(grace=5)


def assert_equal(first, second):
    """Tensors, lists and mappings that are the same: types, orders and bits."""
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert list(first) == list(second)
        for name in first:
            assert_equal(first[name], second[name])
    elif isinstance(first, list):
        for one, other in zip(first, second, strict=True):
            assert_equal(one, other)
    elif isinstance(first, torch.Tensor):
        assert first.dtype == second.dtype
        assert first.shape == second.shape
        assert first.stride() == second.stride()
        assert torch.equal(first, second)
    elif isinstance(first, Packed):
        for image, other in zip(packed_images(first), packed_images(second), strict=True):
            assert_equal(image, other)
    else:
        assert first == second


def packed_images(packed):
    """The images of a batch of several sizes."""
    return [torch.from_numpy(image) for image in views(packed)]


def assert_same_batches(local, remote, epochs=2):
    for _ in range(epochs):
        count = 0
        for one, other in zip(local, remote, strict=True):
            assert_equal(one[0], other[0])
            assert_equal(one[1], other[1])
            assert_equal(one.matrix, other.matrix)
            assert_equal(one.valid, other.valid)
            assert one.keys == other.keys
            count += 1
        assert count
        assert local.state_dict() == remote.state_dict()


@pytest.fixture(params=["client", "server"])
def both(request, folders, served):
    """both(name, split, batch_size, ...): a loader of the folder and one of the address."""

    def make(*words, name="all", targets=None, **settings):
        sources = folders[name], served(name, request.param)
        return [Loader(rows_of(source, targets=targets), *words, **settings) for source in sources]

    return make


@pytest.mark.parametrize("batch_size", [1, 6, 64])
def test_every_kind_of_target(both, batch_size):
    assert_same_batches(*both("train", batch_size, RECIPE, seed=4))
    assert_same_batches(*both("valid", batch_size, RECIPE), epochs=1)


def test_some_of_the_targets(both):
    names = list(both(None, 4, RECIPE)[0].rows.targets(np.arange(2)))
    for some in ([], names[:1], names[2:4], names[::-1]):
        assert_same_batches(*both(None, 4, RECIPE, targets=some), epochs=1)


def test_every_type_of_pixels(both):
    for dtype in (torch.float32, torch.uint8, torch.bfloat16, torch.float64):
        assert_same_batches(*both(None, 5, fuse(RECIPE, dtype=dtype)), epochs=1)
    normalized = fuse([*RECIPE, Normalize((0.5,) * 3, (0.25,) * 3)])
    for channels_last in (False, True):
        recipe = fuse([*normalized.transforms], channels_last=channels_last)
        assert_same_batches(*both(None, 5, recipe), epochs=1)


def test_without_transforms_rows_come_as_they_are(both):
    assert_same_batches(*both(None, 5), epochs=1)


@pytest.mark.parametrize("mix", [MixUp(classes=10), CutMix(classes=10)])
def test_mixed_samples(both, mix):
    local, remote = both("train", 6, [*RECIPE, mix], name="damaged", damaged="replace", seed=2)
    assert_same_batches(local, remote)
    assert local.peek()[1].shape == (6, 10)


def test_sizes_that_grow_with_the_epochs(both):
    local, remote = both("train", 6, RECIPE, size=lambda epoch: 8 + 4 * epoch)
    assert_same_batches(local, remote, epochs=3)
    assert next(iter(remote))[0].shape[-1] == 20


@pytest.mark.parametrize("indices", [Subset([3, 1, 7, 12]), Weighted([1.0, 5.0] * 9), [2, 2, 2, 0]])
def test_orders_of_every_kind(both, indices):
    assert_same_batches(*both("train", 3, RECIPE, indices=indices))


@pytest.mark.parametrize("world_size", [1, 3])
def test_ranks_that_go_on_in_the_middle_at_another_batch_size(both, world_size):
    begun, _ = both("train", 2, RECIPE, rank=0, world_size=world_size, keys=True)
    loop = iter(begun)
    for _ in range(2):
        next(loop)
    state = begun.state_dict()
    loop.close()
    for rank in range(world_size):
        local, remote = both("train", 5, RECIPE, rank=rank, world_size=world_size, keys=True)
        local.load_state_dict(state)
        remote.load_state_dict(state)
        assert_same_batches(local, remote, epochs=2)


@pytest.mark.parametrize("tail", ["drop", "pad", "ragged"])
def test_last_batches(both, tail):
    assert_same_batches(*both("train", 4, RECIPE, tail=tail, rank=1, world_size=2), epochs=1)


def test_damaged_rows_are_replaced_by_the_same_ones(both):
    local, remote = both(None, 4, RECIPE, name="damaged", damaged="replace")
    assert_same_batches(local, remote, epochs=3)
    assert local.set_aside.keys() == remote.set_aside.keys()
    assert len(remote.set_aside) == 2
    for loader in both(None, 4, RECIPE, name="damaged"):
        with pytest.raises(DamagedRowError, match=r"\(number [38] in part-"):
            list(loader)


def test_samples_are_replayed(both):
    local, remote = both("train", 6, RECIPE, seed=9)
    for key in ("7.png", "12.png"):
        for one, other in zip(local.replay(key, 3, repeat=1), remote.replay(key, 3, repeat=1), strict=True):
            assert_equal(one, other)


@pytest.mark.parametrize("augment", ["client", "server"])
def test_loaders_of_a_data_set(folders, served, augment):
    local, remote = (
        DataLoaders.of_cache(source, RECIPE, bs=4, seed=1) for source in (folders["all"], served("all", augment))
    )
    assert_same_batches(local.train, remote.train)
    assert_same_batches(local.valid, remote.valid)
    assert_equal(local.one_batch()[1], remote.one_batch()[1])
    assert (local.vocab, local.loss, local.to_json()) == (remote.vocab, remote.loss, remote.to_json())
