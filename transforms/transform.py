"""A transform: typed, reversible, frozen.

`encode` says what happens to a value, `decode` takes it back, `setup` learns from data. Each may be written several
times in one class, once per type: the annotation of the argument picks the one that runs (dispatch by `plum`).
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import Any, ClassVar, Literal, Self, cast, dataclass_transform

import numpy as np
from numpy.typing import NDArray
from plum import Function, Signature
from torch import Tensor

from ..errors import DispatchError
from .draw import Draw, Key, draw, hash_keys
from .types import Packed, TypedTensor, typed

Split = Literal["train", "valid"]
Params = dict[str, NDArray[Any]]
"""What a random transform decided for each sample of a batch: arrays with `N` rows."""

_OVERLOADED = ("encode", "decode", "apply")


class _Body(dict[str, Any]):
    """A class body that sets every `encode`, `decode`, `apply` aside: the methods of those names dispatch to them."""

    def __init__(self, dispatched: bool) -> None:
        super().__init__()
        self.dispatched = dispatched
        self.overloads: dict[str, list[FunctionType]] = {name: [] for name in _OVERLOADED}

    def __setitem__(self, name: str, value: Any) -> None:
        if self.dispatched and name in _OVERLOADED and isinstance(value, FunctionType):
            self.overloads[name].append(value)
        else:
            super().__setitem__(name, value)


@dataclass_transform(frozen_default=True)
class TransformType(type):
    """Makes each transform class a frozen dataclass, gathers its overloads, and registers it by name."""

    registry: ClassVar[dict[str, type]] = {}

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **kwargs: Any) -> _Body:
        return _Body(dispatched=bool(bases) and name != "RandTransform")

    def __new__(mcs, name: str, bases: tuple[type, ...], body: _Body, **kwargs: Any) -> Any:
        """A frozen dataclass of this body."""
        made: Any = super().__new__(mcs, name, bases, dict(body), **kwargs)
        made._own, made._functions = body.overloads, {}
        made = dataclasses.dataclass(frozen=True, repr=False)(made)
        TransformType.registry[spec_name(made)] = made
        return made


def spec_name(thing: Any) -> str:
    """The name of a class or function of a pipeline in JSON: short for ours, with its module for others.

    >>> spec_name(Transform)
    'Transform'
    """
    ours = thing.__module__.partition(".")[0] == __name__.partition(".")[0]
    return str(thing.__qualname__ if ours else f"{thing.__module__}:{thing.__qualname__}")


class Transform(metaclass=TransformType):
    """One reversible step of a pipeline; its settings are its fields.

    A tuple (not a named tuple) is mapped element by element; an element that it has no overload for passes, as long
    as it has one for another. A value on its own without an overload is a `DispatchError`, unless `passes` is set.
    The result keeps its input's type, unless the overload's return annotation says otherwise.

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
    passes: ClassVar[bool] = False
    """Whether a value that it has no overload for passes through."""
    whole: ClassVar[bool] = False
    """Whether a tuple comes whole to the overloads, not element by element."""

    _own: ClassVar[dict[str, list[FunctionType]]]
    _functions: ClassVar[dict[str, Function | None]]

    def setup(self, items: Sequence[Any]) -> Self:
        """A transform that knows what it learnt from `items`; this one is not changed."""
        return self

    def __call__(self, x: Any, *, split: Split | None = None) -> Any:
        """Encode `x`; where a `split` is given and the transform is confined to another, `x` comes back."""
        return x if split and self.split and split != self.split else self.encode(x)

    def encode(self, x: Any) -> Any:
        """What the overload of `encode` for the type of `x` makes of it."""
        return self._dispatch("encode", x)

    def decode(self, y: Any) -> Any:
        """Back to what was before `encode`, by the overload of `decode` for the type of `y`; what has none passes."""
        return self._dispatch("decode", y)

    def knows(self, method: str) -> str:
        """The types that a method has overloads for, as a reader writes them."""
        function = self._function(method)
        types = [m.signature.types[1] for m in function.methods] if function else []
        return ", ".join(sorted(getattr(t, "__name__", str(t)) for t in types)) or "no type"

    @classmethod
    def _function(cls, method: str) -> Function | None:
        """All overloads of `method`: those of this class over those of its bases."""
        if method not in cls._functions:
            bases = reversed(cls.__mro__)
            overloads = [f for base in bases for f in base.__dict__.get("_own", {}).get(method, ())]
            function = Function(overloads[0]) if overloads else None
            for f in overloads:
                cast("Function", function).register(f, signature_of(f))
            cls._functions[method] = function
        return cls._functions[method]

    def _overload(self, method: str, x: Any, *args: Any) -> Callable[..., Any] | None:
        function = self._function(method)
        try:
            return cast("Any", function.resolve_method((self, x, *args))[0]) if function else None
        except LookupError:
            return None

    def _dispatch(self, method: str, x: Any, *args: Any) -> Any:
        if type(x) is tuple and not self.whole:
            values = tuple(map(typed, x))
            overloads = [self._overload(method, value, *args) for value in values]
            if any(overloads) or self.passes or method == "decode":
                pairs = zip(overloads, values, strict=True)
                return tuple(keep_type(f, f(self, v, *args), v) if f else v for f, v in pairs)
        else:
            x = typed(x)
            if found := self._overload(method, x, *args):
                return keep_type(found, found(self, x, *args), x)
            if self.passes or method == "decode":
                return x
        raise DispatchError(
            f"{type(self).__name__} cannot {method} {describe(x)}: it knows {self.knows(method)}. "
            f"Convert the value first, or write an overload for its type"
        )

    def __repr__(self) -> str:
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.repr}
        return f"{type(self).__name__} -- {settings}" if settings else type(self).__name__


def signature_of(overload: FunctionType) -> Signature:
    """What `plum` dispatches on: the annotation of the value alone, the first argument behind `self`."""
    parameters = list(inspect.signature(overload, eval_str=True).parameters.values())
    annotation = parameters[1].annotation
    return Signature(
        object,
        object if annotation in (Any, inspect.Parameter.empty) else annotation,
        *[object] * (len(parameters) - 2),
    )


def describe(x: Any) -> str:
    """The type of `x`, and of its elements where it is a tuple, for messages."""
    return f"({', '.join(type(e).__name__ for e in x)})" if type(x) is tuple else type(x).__name__


def keep_type(function: Callable[..., Any], result: Any, x: Any) -> Any:
    """`result` in the class of `x` where an operation lost it, unless `function` is annotated with what it returns."""
    if "return" in getattr(function, "__annotations__", {}) or not isinstance(x, TypedTensor):
        return result
    lost = isinstance(result, Tensor) and type(result) is not type(x) and issubclass(type(x), type(result))
    return result.as_subclass(type(x)) if lost else result


class ItemTransform(Transform):
    """A transform of the whole sample: its overloads get the tuple.

    >>> class Swap(ItemTransform):
    ...     def encode(self, sample: tuple): return sample[::-1]
    >>> Swap()((1, "a"))
    ('a', 1)
    """

    whole = True


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
        return lambda _, value: keep_type(self.function, self.function(value), value)

    def _takes(self) -> Any:
        try:
            first = next(iter(inspect.signature(self.function, eval_str=True).parameters.values()))
        except (TypeError, ValueError, StopIteration):  # a builtin may have no signature
            return object
        return object if first.annotation in (first.empty, Any) else first.annotation

    def knows(self, method: str) -> str:
        """The annotation of the function's argument."""
        return str(getattr(self._takes(), "__name__", self._takes()))

    def __repr__(self) -> str:
        return str(getattr(self.function, "__name__", self.function))


class RandTransform(Transform):
    """A random transform: `params(draw)` decides, `apply(x, params)` does it; no decision is ever stored.

    It is confined to training; on the validation split it applies `rest(n)`, which by default leaves `x` as it is.

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
        return self.split is None or split in (None, self.split)

    def rest(self, n: int) -> Params | None:
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
        keys: "Keys" = None,
        operation: str | None = None,
    ) -> Any:
        """Draw for `x`, a sample or a batch, and apply it.

        `keys` names the sample or, one each, the samples of a batch (default: the row numbers); `operation` names
        the stream of numbers (default: the class).
        """
        n = batch_length(x)
        if self.active(split):
            hashes = sample_keys(keys, n)
            params: Params | None = self.params(draw(seed, epoch, hashes, operation or type(self).__name__, self.draws))
        else:
            params = self.rest(n)
        return x if params is None else self.apply(x, params)


Keys = Key | Iterable[Key] | NDArray[np.uint64] | None


def batch_length(x: Any) -> int:
    """How many samples `x` holds: 1, unless it is a batch of images or a tuple that begins with one."""
    if type(x) is tuple:
        return batch_length(x[0]) if x else 1
    if isinstance(x, Packed):
        return len(x)
    return x.shape[0] if isinstance(x, Tensor) and x.ndim == 4 else 1


def sample_keys(keys: Keys, n: int) -> NDArray[np.uint64]:
    """The hashes `uint64[n]` of the keys of `n` samples; no keys: the row numbers."""
    if keys is None:
        keys = range(n)
    elif isinstance(keys, str | bytes | int):
        keys = [keys]
    hashes = hash_keys(keys)
    if len(hashes) != n:
        raise ValueError(f"keys must name {n} samples, one each, but got {len(hashes)} of them")
    return hashes


def name_operations(transforms: Sequence[Transform]) -> list[str]:
    """The name of each transform's stream of numbers: its class, numbered from the second of a kind on.

    >>> name_operations([Transform(), ItemTransform(), Transform()])
    ['Transform', 'ItemTransform', 'Transform#1']
    """
    seen: dict[str, int] = {}
    names = []
    for transform in transforms:
        if stream := getattr(transform, "stream", None):  # transforms that share their numbers say so
            names.append(stream)
            continue
        kind = type(transform).__name__
        names.append(f"{kind}#{seen[kind]}" if seen.get(kind) else kind)
        seen[kind] = seen.get(kind, 0) + 1
    return names
