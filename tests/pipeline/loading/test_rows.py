"""Rows in memory, and memory for rows: dense where sizes agree, else packed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.pipeline.loading.rows import MemoryRows, Rows, allocate, gather, views
from onewarp.transforms.draw import hash_keys
from onewarp.transforms.warp.buffers import Buffers
from onewarp.transforms.warp.packed import Packed

SIZES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=6)


def images_of(sizes):
    random = np.random.default_rng(len(sizes))
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


@given(SIZES)
def test_images_lie_in_one_piece_of_memory_and_are_found_again(sizes):
    images = images_of(sizes)
    batch = gather(images, Buffers())
    assert isinstance(batch, torch.Tensor) == (len(sizes) > 0 and len(set(sizes)) == 1)
    assert len(views(batch)) == len(images)
    assert all(np.array_equal(view, image) for view, image in zip(views(batch), images, strict=True))
    if isinstance(batch, Packed):
        assert len(batch.data) == sum(image.size for image in images)


@given(SIZES.filter(len))
def test_what_is_written_to_a_view_stands_in_the_batch(sizes):
    batch = allocate(np.array(sizes, np.int32), Buffers())
    for number, view in enumerate(views(batch)):
        view[:] = number
    assert [view.shape[:2] for view in views(batch)] == sizes
    for number, view in enumerate(views(batch)):
        assert (view == number).all()


def test_slices_and_turned_images_are_copied_as_they_look():
    whole = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    odd = [whole[::2, ::3], whole[:2, :2].transpose(1, 0, 2)]
    for view, image in zip(views(gather(odd, Buffers())), odd, strict=True):
        assert np.array_equal(view, image)


@pytest.fixture
def rows():
    return MemoryRows(images_of([(2, 3)] * 3), keys=["a", "b", "c"], labels=[7, 8, 9], splits=["x", "y", "x"])


def test_rows_in_memory_answer_as_all_rows_do(rows):
    some = np.array([2, 0])
    assert isinstance(rows, Rows)
    assert (len(rows), rows.keys(some), rows.find("b")) == (3, ["c", "a"], 1)
    assert np.array_equal(rows.key_hashes(some), hash_keys(["c", "a"]))
    assert rows.targets(some)["y"].values.tolist() == [9, 7]
    assert (rows.select(None), rows.select("x").tolist()) == (None, [0, 2])
    images, matrix = rows.read(some, Buffers(), in_place=True)
    assert np.array_equal(images.numpy(), np.stack([rows._images[2], rows._images[0]]))
    assert np.array_equal(matrix, np.stack([np.eye(3)] * 2))
    with pytest.raises(UsageError, match="No row has the key 'd'"):
        rows.find("d")
    with pytest.raises(UsageError, match=r"split must be one of \['x', 'y'\], but got 'z'"):
        rows.select("z")


def test_rows_without_keys_are_called_by_their_numbers_and_have_no_target():
    rows = MemoryRows(images_of([(2, 3)] * 3))
    assert rows.keys(np.array([1])) == ["1"]
    assert rows.targets(np.array([1])) == {}
    with pytest.raises(UsageError, match=r"split must be one of \[\], but got 'train'"):
        rows.select("train")


@pytest.mark.parametrize("column", ["keys", "labels", "splits"])
def test_a_column_has_an_entry_for_each_image(column):
    with pytest.raises(UsageError, match=rf"{column} must have one entry per image \(3\), but got 2"):
        MemoryRows(images_of([(2, 3)] * 3), **{column: [1, 2]})


def test_a_fingerprint_is_of_keys_sizes_and_pixels(rows):
    images = images_of([(2, 3)] * 3)
    other = [image.copy() for image in images]
    other[1][0, 0, 0] ^= 1
    flat = [image.reshape(3, 2, 3) for image in images]
    prints = [
        MemoryRows(images, keys=["a", "b", "c"]).fingerprint,
        MemoryRows(images, keys=["a", "b", "d"]).fingerprint,
        MemoryRows(other, keys=["a", "b", "c"]).fingerprint,
        MemoryRows(flat, keys=["a", "b", "c"]).fingerprint,
    ]
    assert len(set(prints)) == 4
    assert rows.fingerprint == prints[0]  # which labels and splits do not change
