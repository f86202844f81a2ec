"""Loaders with their blocks and transforms: what a trainer knows of its data."""

import pytest
import torch
from PIL import Image

from onewarp.errors import LabelError, UsageError
from onewarp.pipeline import DataBlock, DataLoaders, ImageBlock, MaskBlock, PointBlock, RandomSplitter, presize
from onewarp.pipeline.datablock.dataloaders import know_classes
from onewarp.transforms import MixUp, Normalize, Resize, fuse
from onewarp.transforms.decoding.resizing import Sizing
from onewarp.transforms.types import TensorCategory, TensorImage


@pytest.fixture(scope="module")
def dls(pets, chapter):
    """The chapter's loaders over all photos."""
    return chapter.dataloaders(pets, bs=64)


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


def test_show_batch_shows_pictures_with_their_breeds(few, chapter):
    figure = chapter.dataloaders(few, bs=4).show_batch(nrows=1, ncols=3)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 3
    assert set(titles) <= {"Abyssinian", "great_pyrenees", "samoyed"}


def test_validation_is_deterministic_and_new_items_take_its_way(few, chapter):
    dls = chapter.dataloaders(few, bs=8)
    batch = next(iter(dls.valid))
    assert torch.equal(batch[0], next(iter(dls.valid))[0])
    paths = [few / key for key in batch.keys]
    again = next(iter(dls.test_dl(paths)))
    assert torch.equal(again[0], batch[0])
    assert again[1] is None
    assert torch.equal(next(iter(dls.test_dl(paths, with_labels=True)))[1], batch[1])


def test_normalize_is_appended_once(few, chapter):
    dls = chapter.dataloaders(few, bs=4)
    normal = dls.normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert normal.normalize((0.5,) * 3, (0.5,) * 3) is normal
    assert torch.allclose(normal.denormalize(normal.one_batch()[0]), dls.one_batch()[0], atol=1e-5)
    assert [s.kind for s in normal.transforms.segments] == ["warp"]


@pytest.fixture
def cache(pictures, tmp_path):
    """A cache of cats and dogs, with splits."""
    presize(pictures, tmp_path / "C", 16, label="parent", split="hash:0.4")
    return tmp_path / "C"


def test_loaders_over_a_cache_know_its_targets_and_its_size(cache):
    dls = DataLoaders.of_cache(cache, [Resize(8)], bs=3)
    assert ([block.kind for block in dls.blocks], list(dls.vocab), dls.c) == (["image", "category"], ["cat", "dog"], 2)
    assert (dls.loss, dls.sizing) == ("category", Sizing(16))
    assert dls.one_batch()[0].shape == (3, 3, 8, 8)
    assert len(dls.train.sample_keys()) + len(dls.valid.sample_keys()) == 12
    assert DataLoaders.of_cache(cache, fuse([Resize(8)]), bs=3).one_batch().keys == dls.one_batch().keys


def test_a_cache_without_splits_is_refused_with_the_cure(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16, label="parent")
    with pytest.raises(UsageError, match="must have splits train and valid, but has none: presize with --split"):
        DataLoaders.of_cache(tmp_path / "C")


def test_other_transforms_leave_rows_and_settings_as_they_are(cache):
    dls = DataLoaders.of_cache(cache, [Resize(8)], bs=3, seed=5, threads=1, tail="drop")
    other = dls.with_transforms(fuse([Resize(6)]))
    assert other.rows is dls.rows
    assert (other.train.batch_size, other.train.seed, other.train.tail, other.valid.tail) == (3, 5, "drop", "ragged")
    assert other.one_batch().keys == dls.one_batch().keys
    assert other.one_batch()[0].shape[-2:] == (6, 6)


def test_a_batch_is_decoded_into_pictures_and_names(cache):
    dls = DataLoaders.of_cache(cache, [Resize(8), Normalize((0.5,) * 3, (0.2,) * 3)], bs=3)
    batch = dls.one_batch()
    samples = dls.decode_batch(batch, max_n=2)
    assert [name for _, name in samples] == [key.split("/")[0] for key in batch.keys[:2]]
    for image, _ in samples:
        assert type(image) is TensorImage
        assert 0 <= image.min() <= image.max() <= 1
    assert torch.allclose(samples[0][0], dls.denormalize(batch[0])[0])


def test_classes_that_a_mixture_needs_are_those_of_the_labels(cache):
    dls = DataLoaders.of_cache(cache, [Resize(8), MixUp()], bs=4)
    assert dls.one_batch()[1].shape == (4, 2)
    fused = fuse([Resize(8), MixUp(classes=9)])
    assert know_classes(fused, dls.blocks).mixes[0].classes == 9
    assert know_classes(fuse([Resize(8)]), dls.blocks) == fuse([Resize(8)])
    assert know_classes(fused, dls.blocks[:1]) is fused


def test_what_a_model_has_to_give_follows_from_the_first_target(pictures):
    def loaders(block, **settings):
        data_block = DataBlock((ImageBlock, block), splitter=RandomSplitter(0.5), item_tfms=Resize(16), **settings)
        return data_block.dataloaders(pictures, bs=2)

    points = loaders(PointBlock, get_y=lambda path: [(1.0, 2.0), (3.0, 4.0)])
    assert (points.loss, points.vocab, points.c) == ("points", None, 4)
    masks = loaders(MaskBlock(("a", "b", "c")), get_y=lambda path: Image.open(path).convert("L"))
    assert (masks.loss, masks.c) == ("mask", 3)
    plain = loaders(MaskBlock, get_y=lambda path: Image.open(path).convert("L"))
    with pytest.raises(UsageError, match=r"the classes of masks are not known: give MaskBlock\(codes=\[\.\.\.\]\)"):
        plain.c  # noqa: B018
    with pytest.raises(UsageError, match="there is no CategoryBlock among the blocks"):
        plain.categorize  # noqa: B018
