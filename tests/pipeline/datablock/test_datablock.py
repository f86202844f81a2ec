"""The chapter's workflow on real photos: from a folder to batches, with its numbers."""

import shutil
from dataclasses import replace
from itertools import repeat

import pytest
import torch

from onewarp.errors import DamagedRowError, LabelError, UsageError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.composition.spec import from_json, to_json
from onewarp.pipeline.datablock.datablock import DataBlock
from onewarp.pipeline.dataset.blocks import (
    BBoxBlock,
    CategoryBlock,
    ImageBlock,
    MaskBlock,
    MultiCategoryBlock,
    PointBlock,
)
from onewarp.pipeline.dataset.items import get_image_files
from onewarp.pipeline.dataset.labels import RegexLabeller, parent_label, using_attr
from onewarp.pipeline.dataset.splits import FuncSplitter, RandomSplitter
from onewarp.pipeline.loading.loader import Loader
from onewarp.transforms.augment import aug_transforms
from onewarp.transforms.geometry import Resize
from onewarp.transforms.mix import MixUp
from onewarp.transforms.types import TensorCategory, TensorImage, TensorPoint

BREED = using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name")
CHAPTER = DataBlock(
    blocks=(ImageBlock, CategoryBlock),
    get_items=get_image_files,
    splitter=RandomSplitter(seed=42),
    get_y=BREED,
    item_tfms=Resize(460),
    batch_tfms=aug_transforms(size=224, min_scale=0.75),
)


@pytest.fixture(scope="session")
def few(pets, tmp_path_factory):
    """Three breeds, six photos each, in a folder."""
    folder = tmp_path_factory.mktemp("few")
    for breed in ("Abyssinian", "great_pyrenees", "samoyed"):
        for photo in sorted(pets.glob(f"{breed}_*.jpg"))[:6]:
            shutil.copy(photo, folder)
    return folder


@pytest.fixture(scope="session")
def dls(pets):
    return CHAPTER.dataloaders(pets, bs=64)


def test_the_vocabulary_is_the_chapters(dls):
    vocab = dls.categorize.vocab
    assert dls.c == len(vocab) == 37
    assert list(vocab) == sorted(vocab)
    assert all(name[0].isupper() for name in vocab[:12])
    assert all(name[0].islower() for name in vocab[12:])
    assert (vocab[21], vocab[31]) == ("great_pyrenees", "samoyed")
    number = dls.categorize("great_pyrenees")
    assert (number.item(), type(number), dls.categorize.decode(number)) == (21, TensorCategory, "great_pyrenees")


def test_an_unknown_label_is_a_clear_error_that_names_it(dls):
    with pytest.raises(LabelError, match="label 'cow' is not among the 37"):
        dls.categorize("cow")


def test_one_batch_is_64_labels_and_square_pictures(dls):
    x, y = dls.one_batch()
    assert (x.shape, x.dtype) == ((64, 3, 224, 224), torch.float32)
    assert len(y) == 64
    assert 0 <= y.min() <= y.max() <= 36
    assert 0 <= x.min() < x.max() <= 1
    assert torch.equal(x, dls.one_batch()[0])  # asking moves nothing


def test_the_splits_are_the_chapters(pets):
    datasets = CHAPTER.datasets(pets)
    assert [len(split) for split in datasets.splits] == [392, 97]
    image, label = datasets.train[0]
    assert (type(image), type(label)) == (TensorImage, TensorCategory)


def test_a_hundred_copies_of_one_image(pets):
    """`parent_label`, `Resize(460)`, bs=8: 80 training items, vocab ['images'], a batch of 8 squares, eight zeros."""
    photo = pets / "great_pyrenees_182.jpg" if (pets / "great_pyrenees_182.jpg").exists() else get_image_files(pets)[99]
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=lambda source: list(repeat(source, 100)),
        splitter=RandomSplitter(seed=42),
        get_y=parent_label,
        item_tfms=Resize(460),
    )
    dls = block.dataloaders(photo, bs=8)
    x, y = dls.one_batch()
    assert len(block.datasets(photo).train) == 80
    assert list(dls.vocab) == ["images"]
    assert x.shape == (8, 3, 460, 460)
    assert y.tolist() == [0] * 8


def test_endless_indices_repeat_one_item(few):
    dls = CHAPTER.dataloaders(few, bs=4, indices=repeat(0))
    batch = dls.one_batch()
    assert batch[1].unique().numel() == 1
    assert not torch.equal(batch[0][0], batch[0][1])  # each repeat is drawn anew


def test_the_label_of_a_file_that_does_not_fit_is_named(pets):
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=RegexLabeller(r"(\d+)\.png$")
    )
    with pytest.raises(LabelError) as caught:
        block.datasets(pets)
    assert r"'(\\d+)\\.png$' was not found in" in str(caught.value)
    assert ".jpg'" in str(caught.value)


def test_show_batch_shows_pictures_with_their_breeds(few):
    figure = CHAPTER.dataloaders(few, bs=4).show_batch(nrows=1, ncols=3)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 3
    assert set(titles) <= {"Abyssinian", "great_pyrenees", "samoyed"}


def test_summary_narrates_and_ends_in_the_four_shapes(few, capsys):
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, splitter=RandomSplitter(seed=42), get_y=BREED
    )
    with pytest.raises(UsageError, match="Could not collate the 0-th members of your tuples") as caught:
        block.summary(few, bs=4)
    told = capsys.readouterr().out
    assert "Found 18 items" in told
    assert "2 datasets of sizes 15,3" in told
    assert "Categorize -- {'vocab': None, 'sort': True, 'add_na': False}" not in told  # it is set up by then
    assert "TensorImage of size 3x" in told
    assert str(caught.value).count("(3, ") == 4


def test_summary_of_a_block_that_works_ends_in_a_batch(few, capsys):
    CHAPTER.summary(few)
    assert "A batch of 4 images of size 3x224x224" in capsys.readouterr().out


def test_the_naive_way_is_the_same_map_with_more_resamplings(few):
    fused, naive = CHAPTER.dataloaders(few, bs=4), replace(CHAPTER, fused=False).dataloaders(few, bs=4)
    a, b = fused.one_batch(), naive.one_batch()
    assert a.keys == b.keys
    assert torch.allclose(a.matrix, b.matrix)
    error = (a[0] - b[0])[..., 80:-80, 80:-80].square().mean()
    assert 10 * torch.log10(1 / error) > 25
    kinds = [s.kind for s in naive.transforms.segments]
    assert kinds.count("warp") == 6
    assert [s.kind for s in fused.transforms.segments] == ["warp"]


def test_validation_is_deterministic_and_new_items_take_its_way(few):
    dls = CHAPTER.dataloaders(few, bs=8)
    batch = next(iter(dls.valid))
    assert torch.equal(batch[0], next(iter(dls.valid))[0])
    paths = [few / key for key in batch.keys]
    again = next(iter(dls.test_dl(paths)))
    assert torch.equal(again[0], batch[0])
    assert again[1] is None
    assert torch.equal(next(iter(dls.test_dl(paths, with_labels=True)))[1], batch[1])


def test_normalize_is_appended_once(few):
    dls = CHAPTER.dataloaders(few, bs=4)
    normal = dls.normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert normal.normalize((0.5,) * 3, (0.5,) * 3) is normal
    assert torch.allclose(normal.denormalize(normal.one_batch()[0]), dls.one_batch()[0], atol=1e-5)
    assert [s.kind for s in normal.transforms.segments] == ["warp"]


def test_points_masks_and_boxes_go_with_the_picture_and_come_back(pets, shared):
    trimaps = shared / "pets" / "annotations" / "trimaps"
    names = [p for p in get_image_files(pets) if (trimaps / f"{p.stem}.png").exists()][:8]
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock(codes=["?", "pet", "background", "border"]), PointBlock, BBoxBlock),
        splitter=FuncSplitter(lambda p: False),
        get_y=[lambda p: trimaps / f"{p.stem}.png", lambda p: (100.0, 80.0), lambda p: (60.0, 40.0, 140.0, 120.0)],
        item_tfms=Resize(200),
        batch_tfms=aug_transforms(size=128, max_lighting=0),
    )
    datasets = block.datasets(names)
    loader = Loader(block.rows(datasets), "train", 4, block.transforms(), shuffle=False)
    batch = next(iter(loader))
    y = batch[1]
    assert set(y) == {"mask", "points", "boxes"}
    assert (y["mask"].shape, y["points"].shape, y["boxes"].shape) == ((4, 128, 128), (4, 1, 2), (4, 1, 4))
    assert set(y["mask"].unique().tolist()) <= {0, 1, 2, 3}
    assert torch.allclose(batch.original_points(y["points"]), torch.tensor([100.0, 80.0]).double(), atol=1e-3)
    assert type(datasets[0][2]) is TensorPoint


def test_several_labels(few):
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_items=get_image_files,
        get_y=lambda p: ["cat"] if p.name[0].isupper() else ["dog", BREED(p)],
        item_tfms=Resize(64),
    )
    dls = block.dataloaders(few, bs=4)
    assert list(dls.vocab) == ["cat", "dog", "great_pyrenees", "samoyed"]
    assert dls.one_batch()[1].shape == (4, 4)
    assert dls.loss == "multicategory"


def test_a_datablock_is_json(few):
    again = from_json(to_json(CHAPTER))
    assert torch.equal(again.dataloaders(few, bs=4).one_batch()[0], CHAPTER.dataloaders(few, bs=4).one_batch()[0])


def test_mixup_gives_soft_labels_in_training_and_replay_the_sample_alone(few):
    block = replace(CHAPTER, batch_tfms=[*aug_transforms(size=32), MixUp()])
    dls = block.dataloaders(few, bs=6)
    batch = dls.one_batch()
    assert batch[1].shape == (6, 3)
    assert torch.allclose(batch[1].sum(1), torch.ones(6))
    assert next(iter(dls.valid))[1].dtype == torch.int64
    plain = replace(CHAPTER, batch_tfms=aug_transforms(size=32)).dataloaders(few, bs=6).one_batch()
    assert torch.allclose(dls.train.replay(batch.keys[0], 0)[0], plain[0][0], atol=1e-6)


def test_a_cache_gives_the_batches_that_the_files_give(few, tmp_path):
    block = replace(CHAPTER, batch_tfms=aug_transforms(size=64, min_scale=0.75))
    cache = tmp_path / "pets.cache"
    first = block.dataloaders(few, bs=6, cache=cache)
    straight = block.dataloaders(few, bs=6)
    for cached, plain in zip(first.train, straight.train, strict=True):
        assert cached.keys == plain.keys
        assert torch.equal(cached[0], plain[0])
        assert torch.equal(cached[1], plain[1])
        assert torch.allclose(cached.matrix, plain.matrix)
    parts = {p.name: p.stat().st_mtime_ns for p in cache.glob("part-*")}
    again = replace(block, batch_tfms=aug_transforms(size=32)).dataloaders(few, bs=6, cache=cache)
    assert again.one_batch()[0].shape == (6, 3, 32, 32)
    assert parts == {p.name: p.stat().st_mtime_ns for p in cache.glob("part-*")}
    assert Cache.open(cache).vocab == ["Abyssinian", "great_pyrenees", "samoyed"]


def test_a_broken_photo_is_set_aside_by_a_cache_and_named_without_one(few, tmp_path):
    folder = tmp_path / "photos"
    shutil.copytree(few, folder)
    (folder / "Abyssinian_99.jpg").write_bytes(b"no picture")
    block = replace(CHAPTER, batch_tfms=aug_transforms(size=32))
    dls = block.dataloaders(folder, bs=19, cache=tmp_path / "cache")
    assert len(dls.rows) == 18
    with pytest.raises(DamagedRowError, match=r"Abyssinian_99\.jpg"):
        [
            batch
            for loader in (block.dataloaders(folder, bs=4).train, block.dataloaders(folder, bs=4).valid)
            for batch in loader
        ]


def test_points_come_out_alike_with_and_without_a_cache(few, tmp_path):
    block = DataBlock(
        blocks=(ImageBlock, PointBlock),
        get_items=get_image_files,
        get_y=lambda p: (50.0, 40.0),
        item_tfms=Resize(200),
        batch_tfms=aug_transforms(size=64),
    )
    cached = block.dataloaders(few, bs=4, cache=tmp_path / "cache").one_batch()
    assert torch.allclose(cached[1], block.dataloaders(few, bs=4).one_batch()[1], atol=1e-3)
    assert torch.allclose(cached.original_points(cached[1]), torch.tensor([50.0, 40.0]).double(), atol=1e-3)


def test_a_cache_needs_a_size(few, tmp_path):
    with pytest.raises(UsageError, match=r"give item_tfms=Resize\(n\)"):
        replace(CHAPTER, item_tfms=()).dataloaders(few, cache=tmp_path / "c")


def test_blocks_must_begin_with_one_image(few):
    with pytest.raises(UsageError, match="blocks must be one ImageBlock, then blocks of targets, but got category"):
        DataBlock(blocks=(CategoryBlock,), get_items=get_image_files).datasets(few)


def test_an_empty_source_says_so(tmp_path):
    with pytest.raises(UsageError, match="no items were found"):
        CHAPTER.datasets(tmp_path)
