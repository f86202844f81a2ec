"""Plans carried out: batches and samples, dtypes and layouts, barriers between two warps, targets beside the pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.transforms.augment import aug_transforms, fuse
from onewarp.transforms.colour import (
    Normalize,
)
from onewarp.transforms.geometry import Dihedral, Flip, Resize, Rotate
from onewarp.transforms.types import TensorBBox, TensorCategory, TensorImage, TensorMask, TensorPoint
from onewarp.transforms.warp.packed import Packed

STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def test_a_barrier_may_come_first_even_on_images_of_mixed_sizes(batch):
    def invert(x: TensorImage):
        return 255 - x

    images = [batch[0].numpy(), batch[1][:50].contiguous().numpy()]
    fused, plain = fuse([invert, Resize(32)]), fuse([Resize(32)])
    inverted = Packed.of([255 - image for image in images])
    assert torch.equal(fused(Packed.of(images), split="valid"), plain(inverted, split="valid"))


def test_a_barrier_that_changes_the_size_is_refused(smooth):
    def crop(x: TensorImage):
        return x[..., 1:]

    with pytest.raises(UsageError, match="must keep the size"):
        fuse([crop, Resize(32)])(smooth(), keys="a")


def test_packed_images_of_mixed_sizes_are_one_batch(batch):
    images = [batch[0].numpy(), batch[1][:50].contiguous().numpy(), batch[2][:, 10:].contiguous().numpy()]
    fused = fuse([Resize(60), *aug_transforms(size=32, min_scale=0.75)])
    packed = fused(Packed.of(images), keys=["a", "b", "c"])
    for i, (image, key) in enumerate(zip(images, "abc", strict=True)):
        assert torch.equal(fused(torch.from_numpy(image)[None], keys=[key])[0], packed[i])


def test_mixed_sizes_without_a_size_say_what_to_add():
    images = Packed.of([np.zeros((4, 5, 3), np.uint8), np.zeros((6, 5, 3), np.uint8)])
    with pytest.raises(UsageError, match=r"add Resize\(n\)"):
        fuse([Flip()])(images)


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10**6))
def test_targets_go_the_way_of_the_pixels(seed):
    """A bright spot, a mask of it, its point and its box stay together through everything."""
    y, x = 30 + seed % 37, 35 + seed % 29
    image = torch.zeros(3, 96, 96)
    image[:, y - 1 : y + 2, x - 1 : x + 2] = 1
    mask = TensorMask(image[0].to(torch.uint8))
    point = TensorPoint([[x + 0.5, y + 0.5]])
    box = TensorBBox([[x - 1.0, y - 1.0, x + 2.0, y + 2.0]])
    fused = fuse([*aug_transforms(max_lighting=0, pad_mode="zeros"), Dihedral()])
    moved, spot, at, around, label = fused((TensorImage(image), mask, point, box, TensorCategory(3)), seed=seed, keys=0)
    weight = moved[0].plain()
    if weight.sum() < 4:  # moved out of the frame
        return
    rows, columns = torch.meshgrid(torch.arange(96) + 0.5, torch.arange(96) + 0.5, indexing="ij")
    centre = torch.stack([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    assert (centre - at[0].plain()).abs().max() < 0.6
    middle = (around[0, :2] + around[0, 2:]).plain() / 2
    assert (centre - middle).abs().max() < 0.8
    assert spot.plain()[weight > 0.9].eq(1).all()
    assert set(spot.unique().tolist()) <= {0, 1}
    assert (type(moved), type(spot), type(at), type(around), label.item()) == (
        TensorImage,
        TensorMask,
        TensorPoint,
        TensorBBox,
        3,
    )


def test_a_box_out_of_sight_becomes_empty():
    fused = fuse([Resize(50)], min_visible=0.5)
    image = TensorImage(torch.zeros(3, 50, 100))
    boxes = TensorBBox([[0.0, 0, 20, 20], [40, 10, 60, 30], [20, 0, 32, 10]])
    kept = fused((image, boxes), split="valid")[1]
    assert kept.tolist() == [[0, 0, 0, 0], [15, 10, 35, 30], [0, 0, 7, 10]]


def test_a_float_image_keeps_its_dtype_and_uint8_too(smooth):
    assert fuse([Rotate()])(smooth().half(), keys="a").dtype == torch.float16
    assert fuse([Rotate()])(TensorImage(torch.zeros(3, 8, 8, dtype=torch.uint8)), keys="a").dtype == torch.uint8


def test_a_batch_lies_as_it_is_asked_for(batch):
    fused, plain = (fuse([Resize(8)], channels_last=last) for last in (True, False))
    done = fused(batch, split="valid")
    assert done.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(done, plain(batch, split="valid"))


@pytest.mark.parametrize("plain", [True, False])
def test_floats_that_are_no_picture_are_refused(plain):
    def shown(x):
        return x.permute(0, 2, 3, 1).contiguous() if plain else TensorImage(x)

    normal = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for transform in (fuse([Flip()]), fuse([Normalize(**STATISTICS)]), Flip()):
        transform(shown(normal), keys=["a", "b"])
        for wrong in (normal * 255, (normal - 0.5) / 0.2, torch.full_like(normal, torch.nan)):
            with pytest.raises(UsageError, match=r"must be in 0..1, but got .* divide one in 0..255 by 255"):
                transform(shown(wrong), keys=["a", "b"])
    with pytest.raises(UsageError, match=r"uint8 in 0..255 or floating in 0..1, but got torch.int64"):
        fuse([Flip()])(shown((normal * 255).long()), keys=["a", "b"])


def test_a_plain_batch_of_floats_is_augmented_too():
    batch = torch.rand(2, 8, 8, 3)
    assert torch.equal(fuse([Flip(draw=1)])(batch), batch.flip(2).permute(0, 3, 1, 2))
