"""Lists of transforms: functions among them, what is refused, and the names of the streams of numbers."""

import numpy as np
import pytest
import torch

from onewarp.errors import DispatchError, UsageError
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.transforms import (
    Flip,
    Rotate,
    TensorImage,
    fuse,
)
from onewarp.transforms.transform_lists import FunctionTransform


def test_a_function_is_a_transform_for_its_annotated_type():
    def mean(x: TensorImage):
        return x.float().mean(0, keepdim=True)

    image, label = FunctionTransform(mean)((TensorImage(torch.ones(3, 2, 2)), "cat"))
    assert (type(image), image.shape, label) == (TensorImage, (1, 2, 2), "cat")
    with pytest.raises(DispatchError, match="it knows TensorImage"):
        FunctionTransform(mean)(3)


class TestWhatIsNoTransform:
    @pytest.mark.parametrize(
        ("given_transforms", "message"),
        [
            ("Resize(460) | Flip()", r"takes a list of transforms, but got the text .* read_transforms\("),
            ([Rotate], r"transform 0 is the class Rotate: write Rotate\(\)"),
            ([Flip(), 3], "transform 1 is 3, but must be a transform or a function"),
            ([None], "transform 0 is None"),
            (["Flip()"], r"transform 0 is 'Flip\(\)'"),
            (Rotate(), r"takes a list of transforms, but got Rotate .* write \[Rotate"),
            (3, "takes a list of transforms, but got 3"),
        ],
        ids=str,
    )
    def test_it_is_refused_where_it_is_given(self, given_transforms, message):
        rows = MemoryRows([np.zeros((2, 2, 3), np.uint8)])
        with pytest.raises(UsageError, match=f"fuse.*{message}"):
            fuse(given_transforms)
        if not isinstance(given_transforms, int | Rotate):
            with pytest.raises(UsageError, match=message):
                Loader(rows, batch_tfms=given_transforms)

    def test_another_librarys_transform_is_named_with_its_adapter(self):
        v2 = pytest.importorskip("torchvision.transforms.v2")
        with pytest.raises(UsageError, match=r"TorchvisionTransform\(GaussianNoise\(...\)\)"):
            fuse([v2.GaussianNoise()])

    def test_an_augmentation_of_ones_own_has_all_that_loaders_ask_for(self):
        class Five:
            plan = images = masks = points = boxes = None

        rows = MemoryRows([np.zeros((2, 2, 3), np.uint8)])
        with pytest.raises(UsageError, match="an object with boxes, images, masks, mix, mixes, plan, points"):
            Loader(rows, batch_tfms=Five())

    def test_a_split_that_nobody_knows_is_refused(self):
        with pytest.raises(UsageError, match="split must be 'train', 'valid' or None, but got 'training'"):
            fuse([Rotate(p=1)])(torch.zeros(1, 4, 4, 3, dtype=torch.uint8), split="training")
