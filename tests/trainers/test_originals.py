"""Masks and points of a batch in the pixels of the files."""

import pytest
import torch

from onewarp.errors import UsageError
from onewarp.trainers.originals import masks_on_originals, points_on_originals

HALF = torch.tensor([[2.0, 0, 0], [0, 2, 0], [0, 0, 1]], dtype=torch.float64)  # a pixel of the batch is two of the file
MIRROR = torch.tensor([[-1.0, 0, 4], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)


def test_a_mask_lies_where_its_pixels_came_from():
    masks = torch.tensor([[[1, 2], [3, 4]], [[1, 2], [3, 4]]])
    shifted = torch.tensor([[1.0, 0, 1], [0, 1, 1], [0, 0, 1]], dtype=torch.float64)
    enlarged, moved = masks_on_originals(masks, torch.stack([HALF, shifted]), [(4, 4), (3, 4)], fill=9)
    assert enlarged.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert moved.tolist() == [[9, 9, 9, 9], [9, 1, 2, 9], [9, 3, 4, 9]]  # what the batch has not seen is the fill


def test_a_mirrored_mask_is_turned_back():
    (back,) = masks_on_originals(torch.tensor([[[1, 2, 3, 4]]]), MIRROR[None], [(1, 4)])
    assert back.tolist() == [[4, 3, 2, 1]]


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(UsageError, match="masks, matrix and sizes must be as many, but got 2, 1, 2"):
        masks_on_originals(torch.zeros(2, 2, 2, dtype=torch.long), HALF[None], [(4, 4)] * 2)


def test_points_go_the_way_of_the_batch(cache):
    from onewarp.pipeline import Loader
    from onewarp.transforms import Flip, Resize, fuse

    batch = next(iter(Loader(cache, "train", 4, fuse([Resize(32), Flip(draw=1)]))))
    points = torch.tensor([[[0.0, 0.0], [32.0, 16.0]]]).repeat(len(batch[0]), 1, 1)
    found = points_on_originals(points, batch)
    expected = torch.cat([points.double(), torch.ones(len(points), 2, 1, dtype=torch.float64)], -1) @ batch.matrix.mT
    torch.testing.assert_close(found, expected[..., :2] / expected[..., 2:])
    assert found.dtype == torch.float64
