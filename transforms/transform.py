"""A transform: typed, reversible, frozen.

`encode` says what happens to a value, `decode` takes it back, `setup` learns from data. `encode` and `decode` may be
written for several types in one class: the annotation of the argument picks the one that runs (dispatch by `plum`). The
decorators `encodes`, `decodes` and `applies` let the methods for further types have names of their own, as type
checkers want them to.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import PurePath
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar, cast, dataclass_transform

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DispatchError, UsageError
from .draw import Draw, Key, draw, hash_keys
from .eager import eager
from .types import TypedTensor, as_given, typed
from .warp.packed import Packed

if TYPE_CHECKING:
    from plum import Function, Signature

Split = Literal["train", "valid"]
SPLITS = ("train", "valid")
Params = dict[str, NDArray[Any]]
"""What a random transform decided for each sample of a batch: arrays with `N` rows."""

Transforms = Iterable[Callable[..., Any]]
"""Transforms, and functions that stand for one."""

_OVERLOADED = ("encode", "decode", "apply")
Method = TypeVar("Method", bound=Callable[..., Any])


def encodes(method: Method) -> Method:
    """Mark a method of a transform as its `encode` for the type that the first argument is annotated with.

    >>> class Double(Transform):
    ...     @encodes
    ...     def number(self, x: int) -> int: return 2 * x
    ...     @encodes
    ...     def text(self, x: str) -> str: return x + x
    >>> Double()(4), Double()("ab")
    (8, 'abab')
    """
    method.__dict__["overload_of"] = "encode"
    return method


def decodes(method: Method) -> Method:
    """Mark a method of a transform as its `decode` for the type that the first argument is annotated with."""
    method.__dict__["overload_of"] = "decode"
    return method


def applies(method: Method) -> Method:
    """Mark a method of a random transform as its `apply` for the type that the first argument is annotated with."""
    method.__dict__["overload_of"] = "apply"
    return method


class _Body(dict[str, Any]):
    """A class body that gathers overloads: every method called `encode`, `decode` or `apply`, and those marked so.

    The former do not become methods of the class, for those of its bases dispatch to them.
    """

    def __init__(self, dispatched: bool) -> None:
        super().__init__()
        self.dispatched = dispatched
        self.overloads: dict[str, list[FunctionType]] = {name: [] for name in _OVERLOADED}

    def __setitem__(self, name: str, value: Any) -> None:
        overloaded = name in _OVERLOADED
        if self.dispatched and isinstance(value, FunctionType) and (overloaded or hasattr(value, "overload_of")):
            self.overloads[getattr(value, "overload_of", name)].append(value)
            if overloaded:
                return
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
        parts = {key: eager(part) if key == "__call__" else part for key, part in body.items()}
        made: Any = super().__new__(mcs, name, bases, parts, **kwargs)
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

    A tuple (not a named tuple) is mapped element by element, a tuple within it too; an element that it has no overload
    for passes, as long as it has one for another. A value on its own without an overload is a `DispatchError`, unless
    `passes` is set. The result keeps its input's type, unless the overload's return annotation says otherwise: then it
    is of that type. torchvision's `tv_tensors` come back as such.

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

    def knows(self, method: str) -> str:
        """The types that a method has overloads for, as a reader writes them."""
        function = self._function(method)
        types = [m.signature.types[1] for m in function.methods] if function else []
        return ", ".join(sorted(getattr(t, "__name__", str(t)) for t in types)) or "no type"

    @classmethod
    def _function(cls, method: str) -> "Function | None":
        """All overloads of `method`: those of this class over those of its bases."""
        if method not in cls._functions:
            from plum import Function  # not above: a plan of fused transforms dispatches on no type

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
        value = typed(x)
        if type(x) is tuple and not self.whole:
            overloads = [self._overload(method, typed(element), *args) for element in flatten(x)]
            if any(overloads) or self.passes or method == "decode":
                following = iter(overloads)
                return tuple(self._mapped(element, following, *args) for element in x)
        elif found := self._overload(method, value, *args):
            return as_given(x, keep_type(found, found(self, value, *args), value))
        elif self.passes or method == "decode":
            return x
        raise DispatchError(
            f"{type(self).__name__} cannot {method} {describe(x)}: it knows {self.knows(method)}. "
            f"Convert the value first, or write an overload for its type"
        )

    def _mapped(self, x: Any, overloads: Iterator[Callable[..., Any] | None], *args: Any) -> Any:
        """An element of a tuple by the next of the overloads, or a tuple within it by as many as it has elements."""
        if type(x) is tuple:
            return tuple(self._mapped(element, overloads, *args) for element in x)
        found, value = next(overloads), typed(x)
        return as_given(x, keep_type(found, found(self, value, *args), value)) if found else x

    def __repr__(self) -> str:
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.repr}
        return f"{type(self).__name__} -- {settings}" if settings else type(self).__name__


def signature_of(overload: FunctionType) -> "Signature":
    """What `plum` dispatches on: the annotation of the value alone, the first argument behind `self`."""
    from plum import Signature

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


def keep_type(function: Callable[..., Any], result: Any, x: Any) -> Any:
    """A tensor in the class that `function` is annotated with; without an annotation, in that of `x` where it is lost.

    >>> def mask(x: TypedTensor) -> Tensor: return x > 0
    >>> type(keep_type(mask, mask(TypedTensor([1.0])), TypedTensor([1.0]))).__name__
    'Tensor'
    """
    if not isinstance(result, Tensor):
        return result
    wanted = returned(function)
    if wanted is inspect.Parameter.empty:
        lost = isinstance(x, TypedTensor) and type(result) is not type(x) and issubclass(type(x), type(result))
        return result.as_subclass(type(x)) if lost else result
    if not (isinstance(wanted, type) and issubclass(wanted, TypedTensor | Tensor)):
        return result
    return result if type(result) is wanted else result.as_subclass(wanted)


def returned(function: Callable[..., Any]) -> Any:
    """What a function is annotated to return; `inspect.Parameter.empty` for nothing."""
    function = inspect.unwrap(function)
    try:
        return _returned(function)
    except TypeError:  # it has no hash
        return _returned.__wrapped__(function)


@lru_cache(maxsize=1024)
def _returned(function: Callable[..., Any]) -> Any:
    try:
        return inspect.signature(function, eval_str=True).return_annotation
    except (TypeError, ValueError, NameError):  # a builtin may have no signature
        return inspect.Parameter.empty


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

        def called(_: Any, value: Any) -> Any:
            return self.function(value)

        called.__wrapped__ = self.function  # type: ignore[attr-defined]
        return called

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
        return self.runs_on(split)

    def leaves_to_chance(self) -> bool:
        """Whether anything that it does follows from the numbers that it draws."""
        if not self.draws:
            return False
        first, *others = (self.params(Draw(np.full((1, self.draws), u))) for u in (0.0, 0.25, 0.5, 0.75, 1 - 2.0**-24))
        return any(not np.array_equal(first[name], other[name]) for other in others for name in first)

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
        the stream of numbers (default: the class). Raises `UsageError` where a sample that is no batch has no key, and
        something is left to chance.
        """
        n = batch_length(x)
        check_key((self,), x, keys, split)
        if self.active(split):
            hashes = sample_keys(keys, n)
            params: Params | None = self.params(draw(seed, epoch, hashes, operation or type(self).__name__, self.draws))
        else:
            params = self.rest(n)
        return x if params is None else self.apply(x, params)


Keys = Key | PurePath | np.integer[Any] | Iterable[Key] | NDArray[np.uint64] | None


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
