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
    CategoryBlock,
    ImageBlock,
    MultiCategoryBlock,
)
from onewarp.pipeline.dataset.items import get_image_files
from onewarp.pipeline.dataset.labels import RegexLabeller, parent_label
from onewarp.pipeline.dataset.splits import RandomSplitter
from onewarp.transforms.augment import aug_transforms
from onewarp.transforms.geometry import Resize
from onewarp.transforms.mix import MixUp
from onewarp.transforms.types import TensorCategory, TensorImage


def test_the_splits_are_the_chapters(pets, chapter):
    datasets = chapter.datasets(pets)
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


def test_endless_indices_repeat_one_item(few, chapter):
    dls = chapter.dataloaders(few, bs=4, indices=repeat(0))
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


def test_the_naive_way_is_the_same_map_with_more_resamplings(few, chapter):
    fused, naive = chapter.dataloaders(few, bs=4), replace(chapter, fused=False).dataloaders(few, bs=4)
    a, b = fused.one_batch(), naive.one_batch()
    assert a.keys == b.keys
    assert torch.allclose(a.matrix, b.matrix)
    error = (a[0] - b[0])[..., 80:-80, 80:-80].square().mean()
    assert 10 * torch.log10(1 / error) > 25
    kinds = [s.kind for s in naive.transforms.segments]
    assert kinds.count("warp") == 6
    assert [s.kind for s in fused.transforms.segments] == ["warp"]


def test_several_labels(few, breed):
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_items=get_image_files,
        get_y=lambda p: ["cat"] if p.name[0].isupper() else ["dog", breed(p)],
        item_tfms=Resize(64),
    )
    dls = block.dataloaders(few, bs=4)
    assert list(dls.vocab) == ["cat", "dog", "great_pyrenees", "samoyed"]
    assert dls.one_batch()[1].shape == (4, 4)
    assert dls.loss == "multicategory"


def test_a_datablock_is_json(few, chapter):
    again = from_json(to_json(chapter))
    assert torch.equal(again.dataloaders(few, bs=4).one_batch()[0], chapter.dataloaders(few, bs=4).one_batch()[0])


def test_mixup_gives_soft_labels_in_training_and_replay_the_sample_alone(few, chapter):
    block = replace(chapter, batch_tfms=[*aug_transforms(size=32), MixUp()])
    dls = block.dataloaders(few, bs=6)
    batch = dls.one_batch()
    assert batch[1].shape == (6, 3)
    assert torch.allclose(batch[1].sum(1), torch.ones(6))
    assert next(iter(dls.valid))[1].dtype == torch.int64
    plain = replace(chapter, batch_tfms=aug_transforms(size=32)).dataloaders(few, bs=6).one_batch()
    assert torch.allclose(dls.train.replay(batch.keys[0], 0)[0], plain[0][0], atol=1e-6)


def test_a_cache_gives_the_batches_that_the_files_give(few, tmp_path, chapter):
    block = replace(chapter, batch_tfms=aug_transforms(size=64, min_scale=0.75))
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


def test_a_broken_photo_is_set_aside_by_a_cache_and_named_without_one(few, tmp_path, chapter):
    folder = tmp_path / "photos"
    shutil.copytree(few, folder)
    (folder / "Abyssinian_99.jpg").write_bytes(b"no picture")
    block = replace(chapter, batch_tfms=aug_transforms(size=32))
    dls = block.dataloaders(folder, bs=19, cache=tmp_path / "cache")
    assert len(dls.rows) == 18
    with pytest.raises(DamagedRowError, match=r"Abyssinian_99\.jpg"):
        [
            batch
            for loader in (block.dataloaders(folder, bs=4).train, block.dataloaders(folder, bs=4).valid)
            for batch in loader
        ]


def test_a_cache_needs_a_size(few, tmp_path, chapter):
    with pytest.raises(UsageError, match=r"give item_tfms=Resize\(n\)"):
        replace(chapter, item_tfms=()).dataloaders(few, cache=tmp_path / "c")


def test_blocks_must_begin_with_one_image(few):
    with pytest.raises(UsageError, match="blocks must be one ImageBlock, then blocks of targets, but got category"):
        DataBlock(blocks=(CategoryBlock,), get_items=get_image_files).datasets(few)


def test_an_empty_source_says_so(tmp_path, chapter):
    with pytest.raises(UsageError, match="no items were found"):
        chapter.datasets(tmp_path)
