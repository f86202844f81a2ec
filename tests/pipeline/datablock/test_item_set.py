"""The items of a folder, a table or a list, with a function that finds them and without."""

from dataclasses import replace

import pandas as pd
import pytest

from onewarp.errors import SourceError, UsageError
from onewarp.pipeline import CategoryBlock, DataBlock, ImageBlock, RandomSplitter, get_image_files, parent_label
from onewarp.pipeline.datablock.item_set import items_of_function, items_of_source
from onewarp.transforms import Resize

BLOCK = DataBlock((ImageBlock, CategoryBlock), None, RandomSplitter(), get_y=parent_label, item_tfms=Resize(16))


def keys_of(dls):
    return {key for loader in (dls.train, dls.valid) for batch in loader for key in batch.keys}


def test_a_folder_and_a_list_need_no_get_items(pictures):
    keys = keys_of(replace(BLOCK, get_items=get_image_files).dataloaders(pictures, bs=4))
    assert keys_of(BLOCK.dataloaders(pictures, bs=4)) == keys
    assert keys_of(BLOCK.dataloaders(str(pictures), bs=4)) == keys
    assert len(keys_of(BLOCK.dataloaders(get_image_files(pictures), bs=4))) == 12


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.csv", "does not exist"),
        (7, "source must be a folder, a table or a list of items, but got 7"),
        (pd.DataFrame({"a": ["1"]}), "the table must have a column of paths or bytes, but none of a has a usual name"),
        (pd.DataFrame({"image": []}), "the table must hold rows"),
        (pd.DataFrame([["1.png", "2.png"]], columns=["image", "image"]), "columns must have names of their own"),
        ([], "no items were found"),
    ],
)
def test_what_is_no_source_is_refused(source, message):
    with pytest.raises((SourceError, UsageError), match=message):
        BLOCK.dataloaders(source)


def test_a_folder_knows_what_became_no_item_by_both_ways(pictures):
    (pictures / "a.heic").touch()
    one, two = items_of_source(pictures), items_of_function(get_image_files, pictures)
    assert list(one.keys) == list(two.keys) == list(one.origins) == list(two.origins)
    assert list(one.items) == list(two.items)
    assert one.listing.set_aside.keys() == two.listing.set_aside.keys() == {"a.heic"}
    assert (one.source_items is not None, two.source_items) == (True, None)
    assert one.source.where() == two.source.where() == str(pictures)


def test_copies_of_an_item_have_keys_of_their_own_and_in_a_table_one_origin(pictures):
    path = pictures / "cat" / "0.png"
    assert items_of_function(lambda source: [path] * 3, pictures).keys == ["cat/0.png", "cat/0.png#1", "cat/0.png#2"]
    (pictures / "t.csv").write_text("path\ncat/0.png\ncat/0.png\ndog/1.png\n")
    table = items_of_source(pictures / "t.csv")
    assert table.keys == ["cat/0.png", "cat/0.png#1", "dog/1.png"]
    assert table.origins == ["cat/0.png", "cat/0.png", "dog/1.png"]


def test_a_function_may_find_items_in_whatever_it_takes():
    item_set = items_of_function(lambda source: [source + i for i in range(3)], 40)
    assert (item_set.items, item_set.keys, item_set.source_items, item_set.listing) == (
        [40, 41, 42],
        ["0", "1", "2"],
        None,
        None,
    )
    with pytest.raises(UsageError, match="no items were found in 40: a data set needs at least one"):
        items_of_function(lambda source: [], 40)
