"""Pictures of other libraries as typed tensors."""

import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.errors import UsageError
from onewarp.transforms import TensorImage, ToTensor


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_an_array_that_is_no_picture_is_refused(array):
    with pytest.raises(UsageError, match=r"must be uint8\[h, w, 3\], but got"):
        ToTensor()(array)


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "RGBA", "P", "CMYK"])
def test_a_pillow_image_of_any_mode_becomes_three_channels_of_bytes(mode):
    image = Image.new("RGB", (4, 2), (255, 0, 0)).convert(mode)
    tensor = ToTensor()(image)
    assert type(tensor) is TensorImage
    assert (tensor.dtype, tensor.shape) == (torch.uint8, (3, 2, 4))
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), np.asarray(image.convert("RGB")))


def test_an_array_is_viewed_and_not_copied():
    pixels = np.zeros((2, 4, 3), np.uint8)
    tensor = ToTensor()(pixels)
    pixels[1, 2] = 1, 2, 3
    assert tensor[:, 1, 2].tolist() == [1, 2, 3]


def test_what_is_a_tensor_already_and_a_label_pass():
    image = TensorImage(torch.zeros(3, 2, 4))
    passed, label = ToTensor()((image, "cat"))
    assert passed is image
    assert label == "cat"
