"""A random transform: what it decides is drawn by (seed, epoch, key of the sample, operation), and never stored."""

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UsageError
from .draw import Draw, Key, draw, draws, hash_keys
from .transform import Split, Transform, flatten
from .warp.packed import Packed

Params = dict[str, NDArray[Any]]
"""What a random transform decided for each sample of a batch: arrays with `N` rows."""

Keys = Key | PurePath | np.integer[Any] | Iterable[Key] | NDArray[np.uint64] | None


class RandTransform(Transform, dispatcher=True):
    """A random transform: `params(draw)` decides, `apply(x, params)` does it; no decision is ever stored.

    It is confined to training; on the validation split it applies `eval_params(n)`, which by default changes nothing.

    >>> class Scale(RandTransform):
    ...     draws = 1
    ...     def params(self, draw): return {"by": draw.uniform(0, 1, 2)}
    ...     def apply(self, x: float, params: dict): return x * params["by"][0]
    >>> first, again, later = (Scale()(10.0, keys=["a.jpg"], epoch=epoch) for epoch in (0, 0, 1))
    >>> bool(first == again), bool(first == later)
    (True, False)
    """

    draws: ClassVar[int] = 0
    """How many uniform numbers it takes for a sample."""
    split: ClassVar[Split | None] = "train"

    def params(self, draw: Draw) -> Params:
        """What happens to each of `len(draw)` samples."""
        return {}

    def active(self, split: Split | None) -> bool:
        """Whether it draws on this split."""
        return self.runs_on(split)

    def leaves_to_chance(self) -> bool:
        """Whether anything that it does follows from the numbers that it draws."""
        if not self.draws:
            return False
        first, *others = (self.params(Draw(np.full((1, self.draws), u))) for u in (0.0, 0.25, 0.5, 0.75, 1 - 2.0**-24))
        return any(not np.array_equal(first[name], other[name]) for other in others for name in first)

    def eval_params(self, n: int) -> Params | None:
        """What happens to each of `n` samples outside training; None for nothing at all."""
        return None

    def apply(self, x: Any, params: Params) -> Any:
        """What the overload of `apply` for the type of `x` makes of it."""
        return self._dispatch("apply", x, params)

    def __call__(
        self,
        x: Any,
        *,
        split: Split | None = None,
        seed: int = 0,
        epoch: int = 0,
        keys: Keys = None,
        operation: str | None = None,
    ) -> Any:
        """Draw for `x`, a sample or a batch, and apply it.

        `keys` names the sample or, one each, the samples of a batch (default: the row numbers); `operation` names
        the stream of numbers (default: the class). Raises `UsageError` where a sample that is no batch has no key, and
        something is left to chance.
        """
        n = batch_length(x)
        check_key((self,), x, keys, split)
        if self.active(split):
            hashes = sample_keys(keys, n)
            params: Params | None = self.params(draw(seed, epoch, hashes, operation or type(self).__name__, self.draws))
        else:
            params = self.eval_params(n)
        return x if params is None else self.apply(x, params)


def batch_length(x: Any) -> int:
    """How many samples `x` holds: 1, unless it is a batch of images or a tuple that begins with one."""
    first: Any = next(flatten(x), None)
    return len(first) if is_batch(first) else 1


def is_batch(x: Any) -> bool:
    """Whether `x` is a batch of images, or a tuple that begins with one."""
    first = next(flatten(x), None)
    return isinstance(first, Packed) or (isinstance(first, Tensor) and first.ndim == 4)


def check_key(transforms: Iterable[Transform], x: Any, keys: Keys, split: Split | None) -> None:
    """`UsageError` where `x` is a sample on its own without a key, and one of the transforms has to draw for it.

    In a batch the row numbers are keys; a sample on its own has none, and would be augmented alike for ever.
    """
    if keys is not None or is_batch(x):
        return
    for t in transforms:
        if isinstance(t, RandTransform) and t.active(split) and not getattr(t, "batch", False) and t.leaves_to_chance():
            raise UsageError(
                f"{type(t).__name__} draws at random, and a sample on its own has no number to draw by: "
                f"name it by keys=path (and epoch=epoch), decide yourself (draw=..., p=0 or 1), or use split='valid'"
            )


def sample_keys(keys: Keys, n: int) -> NDArray[np.uint64]:
    """The hashes `uint64[n]` of the keys of `n` samples; no keys: the row numbers."""
    if keys is None:
        keys = range(n)
    elif isinstance(keys, PurePath | np.integer):
        keys = [str(keys)]
    elif isinstance(keys, str | bytes | int):
        keys = [keys]
    hashes = hash_keys(keys)
    if len(hashes) != n:
        raise ValueError(f"keys must name {n} samples, one each, but got {len(hashes)} of them")
    return hashes


def decide(
    transforms: Sequence[Transform],
    names: Sequence[str],
    keys: NDArray[np.uint64],
    seed: int,
    epoch: int,
    split: Split | None,
) -> list[Params | None]:
    """The parameters of each transform for the samples `keys`; None for one that does nothing."""
    n = len(keys)
    by_sample: dict[str, int] = {}
    by_epoch: dict[str, int] = {}
    for t, name in zip(transforms, names, strict=True):
        if isinstance(t, RandTransform) and t.active(split):
            counts = by_epoch if getattr(t, "batch", False) else by_sample
            counts[name] = max(t.draws, counts.get(name, 0))
    numbers = draws(seed, epoch, keys, by_sample)
    if by_epoch:  # one decision for all samples of the epoch, which so does not depend on batch-mates either
        once = draws(seed, epoch, np.zeros(1, np.uint64), by_epoch)
        numbers |= {name: Draw(np.broadcast_to(d.values, (n, d.values.shape[1]))) for name, d in once.items()}
    decisions: list[Params | None] = []
    for t, name in zip(transforms, names, strict=True):
        if isinstance(t, RandTransform):
            decisions.append(t.params(numbers[name]) if t.active(split) else t.eval_params(n))
        else:
            decisions.append({} if split is None or t.split in (None, split) else None)
    return decisions
