from dataclasses import replace

import pytest

from onewarp.errors import UsageError
from onewarp.pipeline import (
    CategoryBlock,
    ColReader,
    ColSplitter,
    DataBlock,
    ImageBlock,
    RandomSplitter,
    parent_label,
)
from onewarp.transforms import Resize

TABLE = DataBlock(
    blocks=(ImageBlock, CategoryBlock),
    splitter=ColSplitter(),
    get_y=ColReader("y"),
    item_tfms=Resize(16),
)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_tfms": 3}, "batch_tfms must be a list, but got 3"),
        ({"item_tfms": "Resize(9)"}, r"item_tfms must be a list, but got 'Resize\(9\)'"),
        ({"splitter": "oops"}, "splitter must be a function, but got 'oops'"),
        ({"splitter": RandomSplitter}, r"splitter must be made, as RandomSplitter\(\), but got the class"),
        ({"get_y": 17}, "get_y must be a function, but got 17"),
        ({"get_y": [parent_label, 17]}, "get_y must be a function, but got 17"),
        ({"get_y": [parent_label, parent_label]}, "get_y must have a function for each target, 1, but has 2"),
        ({"blocks": (ImageBlock, CategoryBlock, CategoryBlock)}, "get_y must have a function for each target, 2, but"),
        ({"get_y": None, "getters": [None]}, "getters must have a function for each block, 2, but has 1"),
        ({"getters": [None, parent_label]}, "getters give what each block takes, but get_x or get_y is given too"),
        ({"get_x": "image"}, "get_x must be a function, but got 'image'"),
        ({"get_items": "folder"}, "get_items must be a function, but got 'folder'"),
        ({"blocks": (CategoryBlock, ImageBlock)}, "blocks must be one ImageBlock, then blocks of targets"),
        ({"blocks": (ImageBlock, "CategoryBlock")}, "blocks must be made of ImageBlock, CategoryBlock"),
        ({"blocks": 3}, "blocks must be a list, but got 3"),
    ],
)
def test_what_cannot_be_used_is_refused_when_the_block_is_made(settings, message):
    with pytest.raises(UsageError, match=message):
        replace(TABLE, **settings)
