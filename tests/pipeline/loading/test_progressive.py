import numpy as np
import pytest
import torch

from onewarp.errors import UsageError
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.progressive import augmentations
from onewarp.pipeline.loading.rows import MemoryRows, Targets
from onewarp.transforms.augment import aug_transforms, fuse
from onewarp.transforms.barrier import Kornia
from onewarp.transforms.colour import Brightness
from onewarp.transforms.geometry import Flip, Resize


def photos(n=7):
    random = np.random.default_rng(0)
    small = [random.integers(0, 256, (3, 4, 3), np.uint8) for _ in range(n)]
    images = [image.repeat(8 + i % 2, 0).repeat(8, 1) for i, image in enumerate(small)]
    return MemoryRows(images, labels=range(n), splits=["train"] * (n - 2) + ["valid"] * 2)


def test_transforms_are_fused_into_the_loader():
    tfms = [Resize(16), *aug_transforms()]
    for batch_tfms in (tfms, fuse(tfms), tuple(tfms)):
        loader = Loader(photos(), batch_size=3, batch_tfms=batch_tfms)
        x, y = next(iter(loader))
        assert (x.dtype, tuple(x.shape)) == (torch.float32, (3, 3, 16, 16))
        again, label = loader.replay(str(int(y[1])), epoch=0)
        assert torch.equal(again, x[1])
        assert label == y[1]


def test_validation_is_not_augmented():
    loader = Loader(photos(), "valid", batch_tfms=[Resize(16), *aug_transforms()], shuffle=False)
    first, second = next(iter(loader))[0], loader.replay("6", epoch=5)[0]
    assert torch.equal(first[1], second)


def test_the_matrix_leads_from_the_output_to_the_file():
    loader = Loader(photos(), batch_tfms=[Resize(12, "squish")], split="valid", shuffle=False)
    (batch,) = loader
    corners = batch.original_points(torch.tensor([[[0.0, 0], [12, 12]]] * 2))
    assert corners[1].tolist() == [pytest.approx([0, 0]), pytest.approx([32, 24])]


def test_size_is_a_function_of_the_epoch():
    loader = Loader(photos(), batch_tfms=[Resize(16), Flip()], size=lambda epoch: 8 + 4 * epoch)
    shapes = [tuple(x.shape[2:]) for _ in range(3) for x, _ in loader]
    assert shapes == [(8, 8), (12, 12), (16, 16)]
    assert loader.replay("3", epoch=1)[0].shape == (3, 12, 12)
    x, _ = next(iter(Loader(photos(), batch_tfms=[Resize(16)], size=(8, 10))))
    assert tuple(x.shape[2:]) == (8, 10)


@pytest.mark.parametrize(("batch_tfms", "message"), [(None, "size needs"), ([Brightness()], "size needs")])
def test_a_size_needs_a_transform_with_a_size(batch_tfms, message):
    with pytest.raises(UsageError, match=message):
        augmentations(batch_tfms, size=20)


def test_what_is_no_transform_is_refused():
    with pytest.raises(UsageError, match="batch_tfms must be"):
        Loader(photos(), batch_tfms=3)


def test_threads_do_not_share_the_draws_of_a_barrier():
    noise = Kornia("RandomGaussianNoise", {"std": 0.3})
    rows = photos(24)
    one, many = (Loader(rows, batch_size=2, batch_tfms=[Resize(16), noise], threads=n) for n in (1, 4))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(one, many, strict=True))


class Located(MemoryRows):
    """Each picture white but for one black pixel block, with a mask, a point and a box around it."""

    places = ((8, 4), (20, 12), (3, 17))

    def __init__(self):
        images = []
        for x, y in self.places:
            image = np.full((24, 32, 3), 255, np.uint8)
            image[y : y + 4, x : x + 4] = 0
            images.append(image)
        super().__init__(images)

    def targets(self, rows):
        places = [self.places[row] for row in rows.tolist()]
        masks = [torch.from_numpy((self._images[row][..., 0] == 0).astype(np.int64)) for row in rows.tolist()]
        return {
            "mask": Targets("mask", masks),
            "points": Targets("points", [torch.tensor([[x + 2.0, y + 2.0]]) for x, y in places]),
            "boxes": Targets("boxes", [torch.tensor([[x, y, x + 4.0, y + 4.0]]) for x, y in places]),
        }


def test_masks_points_and_boxes_go_with_the_image():
    loader = Loader(Located(), batch_tfms=[Resize((48, 64), "squish"), Flip(p=1.0)], shuffle=False, seed=1)
    x, y = next(iter(loader))
    dark = x.mean(1) < 0.5
    assert (dark == y["mask"].bool()).float().mean() > 0.99
    for i, (left, top) in enumerate(Located.places):
        right = 64 - 2 * left  # flipped and twice as large
        assert y["points"][i].tolist() == [pytest.approx([right - 4, 2 * top + 4])]
        assert y["boxes"][i].tolist() == [pytest.approx([right - 8, 2 * top, right, 2 * top + 8])]
        rows, columns = torch.nonzero(dark[i], as_tuple=True)
        assert float(columns.float().mean()) + 0.5 == pytest.approx(right - 4, abs=0.6)
        assert float(rows.float().mean()) + 0.5 == pytest.approx(2 * top + 4, abs=0.6)
