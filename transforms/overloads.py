"""Methods written for several types: the annotation of the first argument picks the one that runs, as `plum` decides.

`encode`, `decode` and `apply` may stand several times in one class body. The decorators `encodes`, `decodes` and
`applies` let the methods for further types have names of their own, as type checkers want them to.
"""

import dataclasses
import inspect
from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, dataclass_transform

from torch import Tensor

from .eager import eager
from .types import TypedTensor

if TYPE_CHECKING:
    from plum import Function, Signature

_OVERLOADED = ("encode", "decode", "apply")
Method = TypeVar("Method", bound=Callable[..., Any])


def encodes(method: Method) -> Method:
    """Mark a method of a transform as its `encode` for the type that the first argument is annotated with.

    >>> from onewarp.transforms import Transform
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

    The former do not become methods of the class, for those of its bases dispatch to them. A dispatcher is such a
    base, whose methods are methods.
    """

    def __init__(self, dispatcher: bool) -> None:
        super().__init__()
        self.dispatcher = dispatcher
        self.overloads: dict[str, list[FunctionType]] = {name: [] for name in _OVERLOADED}

    def __setitem__(self, name: str, value: Any) -> None:
        overloaded = name in _OVERLOADED
        if not self.dispatcher and isinstance(value, FunctionType) and (overloaded or hasattr(value, "overload_of")):
            self.overloads[getattr(value, "overload_of", name)].append(value)
            if overloaded:
                return
        super().__setitem__(name, value)


@dataclass_transform(frozen_default=True)
class TransformType(type):
    """Makes each transform class a frozen dataclass, gathers its overloads, and registers it by name."""

    registry: ClassVar[dict[str, type]] = {}

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, *, dispatcher: bool = False, **kwargs: Any) -> _Body:
        return _Body(dispatcher)

    def __new__(
        mcs, name: str, bases: tuple[type, ...], body: _Body, *, dispatcher: bool = False, **kwargs: Any
    ) -> Any:
        """A frozen dataclass of this body."""
        parts = {key: eager(part) if key == "__call__" else part for key, part in body.items()}
        transform: Any = super().__new__(mcs, name, bases, parts, **kwargs)
        transform._own_overloads, transform._functions = body.overloads, {}
        transform = dataclasses.dataclass(frozen=True, repr=False)(transform)
        TransformType.registry[spec_name(transform)] = transform
        return transform


def spec_name(thing: Any) -> str:
    """The name of a class or function of a pipeline in JSON: short for ours, with its module for others.

    >>> spec_name(TypedTensor)
    'TypedTensor'
    """
    ours = thing.__module__.partition(".")[0] == __name__.partition(".")[0]
    return str(thing.__qualname__ if ours else f"{thing.__module__}:{thing.__qualname__}")


def find_overloads(cls: type, method: str) -> "Function | None":
    """All overloads of `method`: those of the class over those of its bases."""
    from plum import Function  # not above: a plan of fused transforms dispatches on no type

    bases = reversed(cls.__mro__)
    overloads = [f for base in bases for f in base.__dict__.get("_own_overloads", {}).get(method, ())]
    function = Function(overloads[0]) if overloads else None
    for f in overloads:
        cast("Function", function).register(f, signature_of(f))
    return function


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


def keep_type(function: Callable[..., Any], result: Any, x: Any) -> Any:
    """A tensor in the class that `function` is annotated with; without an annotation, in that of `x` where it is lost.

    >>> def mask(x: TypedTensor) -> Tensor: return x > 0
    >>> type(keep_type(mask, mask(TypedTensor([1.0])), TypedTensor([1.0]))).__name__
    'Tensor'
    """
    if not isinstance(result, Tensor):
        return result
    annotation = return_annotation(function)
    if annotation is inspect.Parameter.empty:
        lost = isinstance(x, TypedTensor) and type(result) is not type(x) and issubclass(type(x), type(result))
        return result.as_subclass(type(x)) if lost else result
    if not (isinstance(annotation, type) and issubclass(annotation, TypedTensor | Tensor)):
        return result
    return result if type(result) is annotation else result.as_subclass(annotation)


def return_annotation(function: Callable[..., Any]) -> Any:
    """What a function is annotated to return; `inspect.Parameter.empty` for nothing."""
    function = inspect.unwrap(function)
    try:
        return _read_annotation(function)
    except TypeError:  # it has no hash
        return _read_annotation.__wrapped__(function)


@lru_cache(maxsize=1024)
def _read_annotation(function: Callable[..., Any]) -> Any:
    try:
        return inspect.signature(function, eval_str=True).return_annotation
    except (TypeError, ValueError, NameError):  # a builtin may have no signature
        return inspect.Parameter.empty
