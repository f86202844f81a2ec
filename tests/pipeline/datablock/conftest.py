"""The data block of the chapter, and photos of pets for it."""

import shutil

import pytest

from onewarp.pipeline.datablock.datablock import DataBlock
from onewarp.pipeline.dataset.blocks import (
    CategoryBlock,
    ImageBlock,
)
from onewarp.pipeline.dataset.items import get_image_files
from onewarp.pipeline.dataset.labels import RegexLabeller, using_attr
from onewarp.pipeline.dataset.splits import RandomSplitter
from onewarp.transforms.augment import aug_transforms
from onewarp.transforms.geometry import Resize

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
def breed():
    """A labeller: the breed in a file's name."""
    return BREED


@pytest.fixture(scope="session")
def chapter():
    """Breeds of pets at 460 pixels, augmented to 224."""
    return CHAPTER
