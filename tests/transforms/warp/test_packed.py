"""Images of mixed sizes in one buffer."""

import numpy as np
import torch

from onewarp.transforms.warp.packed import Packed


def test_packed_gives_each_image_back():
    images = [
        np.random.default_rng(i).integers(0, 255, (h, w, 3), np.uint8) for i, (h, w) in enumerate([(2, 3), (5, 1)])
    ]
    packed = Packed.of(images)
    assert len(packed) == 2
    assert all(np.array_equal(packed[i], image) for i, image in enumerate(images))
    assert len(Packed.of([])) == 0


def test_images_lie_one_behind_the_other_and_are_viewed():
    images = [
        np.full((2, 3, 3), 1, np.uint8),
        torch.full((4, 1, 3), 2, dtype=torch.uint8),
        np.full((1, 1, 3), 3, np.uint8),
    ]
    packed = Packed.of(images)
    assert packed.offsets.tolist() == [0, 18, 30]
    assert packed.sizes.tolist() == [[2, 3], [4, 1], [1, 1]]
    assert packed.data.tolist() == [1] * 18 + [2] * 12 + [3] * 3
    packed.data[18] = 9
    assert packed[1][0, 0].tolist() == [9, 2, 2]
    assert (packed.offsets.dtype, packed.sizes.dtype) == (torch.int64, torch.int32)
