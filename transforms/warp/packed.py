"""Images of mixed sizes in one buffer, as the warp takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Packed:
    """A batch of images of mixed sizes in one buffer, without padding.

    `data` is `uint8[total]`, each image in it `uint8[h, w, 3]` contiguous at its byte offset; `offsets` is
    `int64[N]`, `sizes` is `int32[N, 2]` (height, width).

    >>> packed = Packed.of([np.zeros((2, 3, 3), np.uint8), np.ones((4, 1, 3), np.uint8)])
    >>> len(packed), packed.offsets.tolist(), tuple(packed[1].shape)
    (2, [0, 18], (4, 1, 3))
    """

    data: Tensor
    offsets: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, images: Sequence[np.ndarray[Any, Any] | Tensor]) -> Self:
        """Pack images `uint8[h, w, 3]` one behind the other."""
        arrays = [np.asarray(image) for image in images]
        lengths = np.array([a.size for a in arrays], np.int64)
        data = np.concatenate([a.reshape(-1) for a in arrays]) if arrays else np.empty(0, np.uint8)
        sizes = np.array([a.shape[:2] for a in arrays], np.int32).reshape(-1, 2)
        offsets = np.concatenate([[0], lengths.cumsum()[:-1]])[: len(arrays)].astype(np.int64)
        return cls(torch.from_numpy(data), torch.from_numpy(offsets), torch.from_numpy(sizes))

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, row: int) -> Tensor:
        """Image `row` as a view `uint8[h, w, 3]`."""
        h, w = self.sizes[row].tolist()
        start = int(self.offsets[row])
        return self.data[start : start + h * w * 3].view(h, w, 3)
