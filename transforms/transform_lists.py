"""Lists of transforms: plain functions among them, what is refused, and the name of each one's stream of numbers."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import UsageError
from .transform import Transform

Transforms = Iterable[Callable[..., Any]]
"""Transforms, and functions that stand for one."""


class FunctionTransform(Transform):
    """A plain function as a transform: the annotation of its first argument says which types it is for.

    >>> def shout(x: str): return x.upper() + "!"
    >>> FunctionTransform(shout)(("hey", 3))
    ('HEY!', 3)
    """

    function: Callable[[Any], Any]

    def _overload(self, method: str, x: Any, *args: Any) -> Callable[..., Any] | None:
        if method != "encode" or not isinstance(x, self._takes()):
            return None

        def encode(_: Any, value: Any) -> Any:
            return self.function(value)

        encode.__wrapped__ = self.function  # type: ignore[attr-defined]
        return encode

    def _takes(self) -> Any:
        try:
            first = next(iter(inspect.signature(self.function, eval_str=True).parameters.values()))
        except (TypeError, ValueError, StopIteration):  # a builtin may have no signature
            return object
        return object if first.annotation in (first.empty, Any) else first.annotation

    def overload_types(self, method: str) -> str:
        """The annotation of the function's argument."""
        return str(getattr(self._takes(), "__name__", self._takes()))

    def __repr__(self) -> str:
        return str(getattr(self.function, "__name__", self.function))


_ADAPTERS = {
    "torchvision": "TorchvisionTransform",
    "albumentations": "AlbumentationsTransform",
    "fastai": "FastaiTransform",
    "kornia": "Foreign",
}


def as_transforms(transforms: Any, name: str) -> list[Transform]:
    """A list of transforms, functions among them as transforms; `UsageError` names the first that is neither.

    `name` is what they are given to.

    >>> as_transforms([Transform, len], "fuse")
    Traceback (most recent call last):
    onewarp.errors.UsageError: fuse: transform 0 is the class Transform: write Transform() with its settings
    """
    if isinstance(transforms, str):
        hint = f"read a text by read_transforms({transforms!r}) of onewarp.pipeline.commands.transform_texts"
        raise UsageError(f"{name} takes a list of transforms, but got the text {transforms!r}: {hint}")
    if isinstance(transforms, Transform) or not isinstance(transforms, Iterable):
        raise UsageError(f"{name} takes a list of transforms, but got {transforms!r}: write [{transforms!r}]")
    return [_as_transform(t, f"{name}: transform {i}") for i, t in enumerate(transforms)]


def _as_transform(t: Any, place: str) -> Transform:
    if isinstance(t, Transform):
        return t
    if isinstance(t, type) and issubclass(t, Transform):
        raise UsageError(f"{place} is the class {t.__name__}: write {t.__name__}() with its settings")
    if not callable(t):
        raise UsageError(f"{place} is {t!r}, but must be a transform or a function")
    return FunctionTransform(t)


def check_origin(t: Transform) -> None:
    """`UsageError` for another library's transform without the adapter that draws for it from the sample's key."""
    theirs = type(t.function) if isinstance(t, FunctionTransform) else Transform
    library = theirs.__module__.partition(".")[0]
    if library in _ADAPTERS:
        raise UsageError(
            f"{library}'s {theirs.__name__} would draw from a global generator: write "
            f"{_ADAPTERS[library]}({theirs.__name__}(...)), of onewarp.trainers.adapters"
        )


def name_operations(transforms: Sequence[Transform]) -> list[str]:
    """The name of each transform's stream of numbers: its class, numbered from the second of a kind on.

    >>> name_operations([Transform(), FunctionTransform(len), Transform()])
    ['Transform', 'FunctionTransform', 'Transform#1']
    """
    counts: dict[str, int] = {}
    names = []
    for transform in transforms:
        if stream := getattr(transform, "stream", None):  # transforms that share their numbers say so
            names.append(stream)
            continue
        kind = type(transform).__name__
        names.append(f"{kind}#{counts[kind]}" if counts.get(kind) else kind)
        counts[kind] = counts.get(kind, 0) + 1
    return names
