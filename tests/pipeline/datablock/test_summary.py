import pytest

from onewarp.errors import UsageError
from onewarp.pipeline.datablock.datablock import DataBlock
from onewarp.pipeline.dataset.blocks import (
    CategoryBlock,
    ImageBlock,
)
from onewarp.pipeline.dataset.items import get_image_files
from onewarp.pipeline.dataset.splits import RandomSplitter


def test_summary_narrates_and_ends_in_the_four_shapes(few, capsys, breed):
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, splitter=RandomSplitter(seed=42), get_y=breed
    )
    with pytest.raises(UsageError, match="Could not collate the 0-th members of your tuples") as caught:
        block.summary(few, bs=4)
    told = capsys.readouterr().out
    assert "Found 18 items" in told
    assert "2 datasets of sizes 15,3" in told
    assert "Categorize -- {'vocab': None, 'sort': True, 'add_na': False}" not in told  # it is set up by then
    assert "TensorImage of size 3x" in told
    assert str(caught.value).count("(3, ") == 4


def test_summary_of_a_block_that_works_ends_in_a_batch(few, capsys, chapter):
    chapter.summary(few)
    assert "A batch of 4 images of size 3x224x224" in capsys.readouterr().out
