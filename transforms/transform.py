"""A transform: typed, reversible, frozen.

`encode` says what happens to a value, `decode` takes it back, `setup` learns from data. `encode` and `decode` may be
written for several types in one class (`overloads.py`).
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from ..errors import DispatchError, UsageError
from .overloads import TransformType, find_overloads, keep_type
from .types import from_torchvision, to_torchvision_like

if TYPE_CHECKING:
    from plum import Function

Split = Literal["train", "valid"]
SPLITS = ("train", "valid")


class Transform(metaclass=TransformType, dispatcher=True):
    """One reversible step of a pipeline; its settings are its fields.

    A tuple (not a named tuple) is mapped element by element, a tuple within it too; an element that it has no overload
    for passes, as long as it has one for another. A value on its own without an overload is a `DispatchError`, unless
    `passthrough` is set. The result keeps its input's type, unless the overload's return annotation says otherwise:
    then it is of that type. torchvision's `tv_tensors` come back as such.

    >>> class Double(Transform):
    ...     def encode(self, x: int): return 2 * x
    ...     def encode(self, x: str): return x + x
    ...     def decode(self, y: int): return y // 2
    >>> Double()(4), Double()("ab"), Double()((1, None)), Double().decode(8)
    (8, 'abab', (2, None), 4)
    """

    order: ClassVar[int] = 0
    """Where it is sorted among the others in a `Pipeline`; ties keep their order."""
    split: ClassVar[Split | None] = None
    """Confines it to one split: elsewhere it does nothing."""
    passthrough: ClassVar[bool] = False
    """Whether a value that it has no overload for passes through."""
    takes_tuple: ClassVar[bool] = False
    """Whether a tuple comes whole to the overloads, not element by element."""

    _own_overloads: ClassVar[dict[str, list[FunctionType]]]
    _functions: ClassVar[dict[str, "Function | None"]]

    def setup(self, items: Sequence[Any]) -> Self:
        """A transform that knows what it learnt from `items`; this one is not changed."""
        return self

    def __call__(self, x: Any, *, split: Split | None = None) -> Any:
        """Encode `x`; where a `split` is given and the transform is confined to another, `x` comes back."""
        return self.encode(x) if self.runs_on(split) else x

    def runs_on(self, split: Split | None) -> bool:
        """Whether it does anything on a split; None stands for any."""
        check_split(split)
        return None in (split, self.split) or split == self.split

    def encode(self, x: Any) -> Any:
        """What the overload of `encode` for the type of `x` makes of it."""
        return self._dispatch("encode", x)

    def decode(self, y: Any) -> Any:
        """Back to what was before `encode`, by the overload of `decode` for the type of `y`; what has none passes."""
        return self._dispatch("decode", y)

    def overload_types(self, method: str) -> str:
        """The types that a method has overloads for, as a reader writes them."""
        function = self._function(method)
        types = [m.signature.types[1] for m in function.methods] if function else []
        return ", ".join(sorted(getattr(t, "__name__", str(t)) for t in types)) or "no type"

    @classmethod
    def _function(cls, method: str) -> "Function | None":
        """All overloads of `method`, looked up once."""
        if method not in cls._functions:
            cls._functions[method] = find_overloads(cls, method)
        return cls._functions[method]

    def _overload(self, method: str, x: Any, *args: Any) -> Callable[..., Any] | None:
        function = self._function(method)
        try:
            return cast("Any", function.resolve_method((self, x, *args))[0]) if function else None
        except LookupError:
            return None

    def _dispatch(self, method: str, x: Any, *args: Any) -> Any:
        value = from_torchvision(x)
        if type(x) is tuple and not self.takes_tuple:
            overloads = [self._overload(method, from_torchvision(element), *args) for element in flatten(x)]
            if any(overloads) or self.passthrough or method == "decode":
                following = iter(overloads)
                return tuple(self._map(element, following, *args) for element in x)
        elif found := self._overload(method, value, *args):
            return to_torchvision_like(x, keep_type(found, found(self, value, *args), value))
        elif self.passthrough or method == "decode":
            return x
        raise DispatchError(
            f"{type(self).__name__} cannot {method} {describe(x)}: it knows {self.overload_types(method)}. "
            f"Convert the value first, or write an overload for its type"
        )

    def _map(self, x: Any, overloads: Iterator[Callable[..., Any] | None], *args: Any) -> Any:
        """An element of a tuple by the next of the overloads, or a tuple within it by as many as it has elements."""
        if type(x) is tuple:
            return tuple(self._map(element, overloads, *args) for element in x)
        found, value = next(overloads), from_torchvision(x)
        return to_torchvision_like(x, keep_type(found, found(self, value, *args), value)) if found else x

    def __getstate__(self) -> dict[str, Any]:
        """What pickle and `copy` take: its settings, and nothing cached that was worked out from them."""
        cls = type(self)
        return {n: value for n, value in vars(self).items() if not isinstance(getattr(cls, n, None), cached_property)}

    def __repr__(self) -> str:
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.repr}
        return f"{type(self).__name__} -- {settings}" if settings else type(self).__name__


def describe(x: Any) -> str:
    """The type of `x`, and of its elements where it is a tuple, for messages."""
    return f"({', '.join(type(e).__name__ for e in x)})" if type(x) is tuple else type(x).__name__


def flatten(x: Any) -> Iterator[Any]:
    """The elements of a tuple, and of the tuples within it; a value on its own is one.

    >>> list(flatten((1, (2, ("a",)), [3])))
    [1, 2, 'a', [3]]
    """
    if type(x) is tuple:
        for element in x:
            yield from flatten(element)
    else:
        yield x


def check_split(split: Any) -> None:
    """`UsageError` unless it names a split that transforms know, or is None."""
    if split is not None and split not in SPLITS:
        raise UsageError(f"split must be 'train', 'valid' or None, but got {split!r}")


class ItemTransform(Transform):
    """A transform of the whole sample: its overloads get the tuple.

    >>> class Swap(ItemTransform):
    ...     def encode(self, sample: tuple): return sample[::-1]
    >>> Swap()((1, "a"))
    ('a', 1)
    """

    takes_tuple = True
