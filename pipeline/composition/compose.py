"""Transforms one after the other, as one: set up in turn, encoded in order, decoded in reverse."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from ...errors import SpecError
from ...transforms.augment import Fused
from ...transforms.random_transform import Keys, RandTransform
from ...transforms.transform import Split, Transform, check_split
from ...transforms.transform_lists import Transforms, as_transforms, name_operations
from .show import can_show, show
from .spec import fingerprint, from_json, register, to_json


@register
@dataclass(frozen=True)
class Pipeline:
    """Transforms, sorted by their `order` (ties keep their place), as one function and back.

    >>> def shout(x: str): return x.upper()
    >>> Pipeline([shout, len])("hey")
    3
    """

    transforms: Sequence[Any] = ()
    split: Split | None = field(default=None, kw_only=True)
    """On which split it runs; None: each transform wherever it may."""

    def __post_init__(self) -> None:
        transforms = as_transforms(self.transforms, "Pipeline")
        check_split(self.split)
        object.__setattr__(self, "transforms", tuple(sorted(transforms, key=lambda t: t.order)))

    def setup(self, items: Sequence[Any]) -> Self:
        """A pipeline that knows what it learnt: each transform is set up on the items that passed those before it."""
        ready: list[Transform] = []
        for t in self.transforms:
            ready.append(t.setup(PipelineOutputs(items, type(self)(tuple(ready), split=self.split))))
        return type(self)(tuple(ready), split=self.split)

    def __call__(self, x: Any, *, seed: int = 0, epoch: int = 0, keys: Keys = None) -> Any:
        """Encode `x`, a sample or a batch, by all transforms in order.

        Random transforms draw by (seed, epoch, key, operation); `keys` names the sample, or each of a batch. Without
        keys the samples of a batch have their row numbers; a sample on its own has none, and where something is left
        to chance a `UsageError` says so.
        """
        for t, name in zip(self.transforms, self._names(), strict=True):
            if isinstance(t, RandTransform):
                x = t(x, split=self.split, seed=seed, epoch=epoch, keys=keys, operation=name)
            elif isinstance(t, Fused):  # it names its own operations
                x = t(x, split=self.split, seed=seed, epoch=epoch, keys=keys)
            else:
                x = t(x, split=self.split)
        return x

    def decode(self, y: Any) -> Any:
        """Take `y` back through all transforms that run on this split, the last first."""
        for t in self._way_back():
            y = t.decode(y)
        return y

    def _way_back(self) -> Iterator[Transform]:
        for t in reversed(self.transforms):
            parts = reversed(t.transforms) if isinstance(t, Fused) else (t,)
            yield from (part for part in parts if part.runs_on(self.split))

    def decode_to_show(self, y: Any) -> Any:
        """Take `y` back until it can be shown."""
        for t in self._way_back():
            if can_show(y):
                break
            y = t.decode(y)
        return y

    def show(self, y: Any, ax: Any = None) -> Any:
        """Draw `y`, decoded until it can be shown; returns the axes."""
        return show(self.decode_to_show(y), ax=ax)

    def to_json(self) -> str:
        """The pipeline as JSON text; a lambda is refused by name."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The pipeline that `to_json` wrote; nothing in the text is evaluated."""
        pipeline = from_json(text)
        if not isinstance(pipeline, cls):
            raise SpecError(f"the JSON must hold a {cls.__name__}, but got a {type(pipeline).__name__}")
        return pipeline

    @property
    def fingerprint(self) -> str:
        """A name for these transforms with these settings."""
        return fingerprint(self)

    def _names(self) -> list[str]:
        return name_operations(self.transforms)

    def __iter__(self) -> Iterator[Transform]:
        return iter(self.transforms)

    def __len__(self) -> int:
        return len(self.transforms)

    def __getitem__(self, i: int) -> Any:
        return self.transforms[i]

    def __add__(self, more: Transforms) -> Self:
        return type(self)((*self.transforms, *more), split=self.split)

    def __repr__(self) -> str:
        return "Pipeline: " + " -> ".join(map(repr, self.transforms))


class PipelineOutputs(Sequence[Any]):
    """The outputs of a pipeline for a sequence of items, each computed when it is read."""

    def __init__(self, items: Sequence[Any], pipeline: Pipeline) -> None:
        self.items, self.pipeline = items, pipeline

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int | slice) -> Any:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        return self.pipeline(self.items[i], keys=i)
