"""For data sets of other people: our order, by `OrderSampler`, and our augmentation, by `Augment`.

```python
sampler = OrderSampler(len(photos), seed=7)                 # under torchrun each process gets its share
batches = DataLoader(photos, batch_size=64, sampler=sampler, num_workers=4)
for epoch in range(3):                                      # every pass is over the next epoch
    for step, batch in enumerate(batches, 1):
        ...
sampler.seek(position)      # position: samples trained on so far, over all epochs and processes
```
"""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from torch.utils.data import Sampler

from ...errors import UsageError
from ...pipeline.loading.position import integer
from ...pipeline.order.orders import Order, Shuffled
from ...pipeline.order.ranks import Share, Tail, from_environment
from ...transforms import Fused, fuse
from ...transforms.transform import Split
from ...transforms.transform_lists import Transforms
from .epochs import EpochNumber

_AT_ONCE = 1 << 14  # positions whose rows are computed together


class OrderSampler(Sampler[int]):
    """The indices of a data set of `size` samples, in the order in which our loader delivers rows.

    Every pass is over the next epoch, each in another order, and of each position rank r takes those that are r modulo
    `world_size` (RANK and WORLD_SIZE, where they are not given). What is left over is dealt out as it is (`ragged`),
    filled up with repeats so that every rank has as many (`pad`), or left out (`drop`). `order` is another order than
    the permutation (`Weighted`, `Subset`, ...).

    Where it stands is one integer: `seek(n)` goes on behind n samples, counted over all epochs and ranks. It fits any
    number of processes and any batch size.

    >>> sampler = OrderSampler(5, rank=0, world_size=1)
    >>> whole = [list(sampler), list(sampler)]
    >>> sampler.seek(7)
    >>> whole[1][2:] == list(sampler)
    True
    """

    def __init__(
        self,
        size: int,
        seed: int = 0,
        *,
        rank: int | None = None,
        world_size: int | None = None,
        tail: Tail = "ragged",
        order: Order | None = None,
    ) -> None:
        self.order: Order = Shuffled(integer("size", size, 1)) if order is None else order
        if self.order.size is None:
            raise UsageError(f"OrderSampler must have an order that ends, but got {order}")
        self.seed, self.tail, self.total = integer("seed", seed), tail, self.order.size
        self.rank = from_environment("RANK", 0) if rank is None else rank
        self.world_size = from_environment("WORLD_SIZE", 1) if world_size is None else world_size
        self.epoch, self._start = 0, 0
        self._share(0)

    def _share(self, start: int) -> Share:
        return Share(self.total, 1, self.rank, self.world_size, self.tail, start)

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be over `epoch`, from its beginning."""
        self.epoch, self._start = integer("epoch", epoch, 0), 0

    def seek(self, position: int) -> None:
        """Let the next pass go on behind `position` samples, counted over all epochs and ranks."""
        self.epoch, self._start = divmod(integer("position", position, 0), self.total)

    def __len__(self) -> int:
        """Samples of this rank in a whole epoch."""
        return len(self._share(0))

    def __iter__(self) -> Iterator[int]:
        epoch, share = self.epoch, self._share(self._start)
        self.set_epoch(epoch + 1)
        for first in range(0, len(share), _AT_ONCE):
            slices = [share.slice(number) for number in range(first, min(first + _AT_ONCE, len(share)))]
            positions = np.concatenate([one.positions for one in slices])
            yield from self.order.at(positions, self.seed, epoch).rows.tolist()


Sample = TypeVar("Sample")


class Augment(EpochNumber):
    """A recipe for the `__getitem__` of a data set: `augment(image, key)`, with the draws of our loader for that key.

    `recipe` is a list of transforms, or what `fuse` made of them. The epoch is told by `set_epoch`, also to workers
    that live on.

    >>> import torch
    >>> from ...transforms import Rotate, TensorImage
    >>> augment = Augment([Rotate(p=1.0)])
    >>> image = TensorImage(torch.arange(192, dtype=torch.uint8).reshape(3, 8, 8))
    >>> bool((augment(image, "a.jpg") == augment(image, "a.jpg")).all())
    True
    >>> bool((augment(image, "a.jpg") == augment(image, "b.jpg")).all())
    False
    """

    def __init__(self, recipe: Fused | Transforms, seed: int = 0, split: Split = "train") -> None:
        super().__init__()
        self.fused = recipe if isinstance(recipe, Fused) else fuse(recipe)
        self.seed, self.split = integer("seed", seed), split

    def __call__(self, image: Sample, key: str) -> Sample:
        """The image (a typed tensor, `uint8[3, h, w]`, or a tuple of image and targets) as it is in this epoch."""
        augmented: Sample = self.fused(image, split=self.split, seed=self.seed, epoch=self.epoch, keys=key)
        return augmented
