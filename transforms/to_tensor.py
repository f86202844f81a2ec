"""Pictures of other libraries as typed tensors."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import UsageError
from .overloads import encodes
from .transform import Transform
from .types import TensorImage


class ToTensor(Transform):
    """A Pillow image or an array `uint8[h, w, 3]` to a `TensorImage` `uint8[3, h, w]`; what is typed already passes.

    >>> ToTensor()(Image.new("L", (4, 2), 7)).shape
    torch.Size([3, 2, 4])
    """

    order = 5
    passthrough = True

    @encodes
    def of_pillow(self, x: Image.Image) -> TensorImage:
        """The pixels of an image of any mode, in RGB."""
        return image_tensor(np.array(x.convert("RGB")))

    @encodes
    def of_array(self, x: np.ndarray) -> TensorImage:
        """The pixels, with the channels in front; `UsageError` for an array that is no such picture."""
        if x.dtype != np.uint8 or x.ndim != 3 or x.shape[2] != 3 or not x.size:
            raise UsageError(
                f"a picture as an array must be uint8[h, w, 3], but got {x.dtype}{list(x.shape)}: convert it, or give "
                f"Pillow's Image.fromarray of it"
            )
        return image_tensor(x)


def image_tensor(pixels: "np.ndarray[Any, Any]") -> TensorImage:
    """`uint8[h, w, 3]` as `TensorImage` `uint8[3, h, w]`, over the same memory."""
    return TensorImage(torch.from_numpy(pixels).permute(2, 0, 1))
