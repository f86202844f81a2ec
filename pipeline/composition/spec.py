"""Pipelines as JSON and back: names and settings, nothing that is evaluated.

Every dataclass that stands in a registry, and every registered function, is written as `{"kind": name, settings...}`.
A lambda has no name to be found by, so it is refused; an unknown name is refused with the names that are near it.
"""

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

import numpy as np
import torch

from ... import pipeline, transforms
from ...errors import SpecError
from ...transforms.overloads import TransformType, spec_name

T = TypeVar("T", bound=Callable[..., Any])
_REGISTRY: dict[str, Any] = {}
_WHERE = "the pipeline's JSON"


def register(thing: T) -> T:
    """Let a dataclass or a module's function stand in JSON under its name; a decorator. Transforms do so by themselves.

    A class of your own must have been imported before a pipeline that names it is read.
    """
    if getattr(thing, "__name__", "") == "<lambda>" or "<locals>" in thing.__qualname__:
        raise SpecError(f"{thing.__qualname__} cannot be found by its name: define it at the top of a module")
    _REGISTRY[spec_name(thing)] = thing
    return thing


def registry() -> dict[str, Any]:
    """Everything that a name in JSON can stand for, by name."""
    return {**TransformType.registry, **_REGISTRY}


def to_spec(value: object) -> Any:
    """`value` in terms of JSON. Raises `SpecError` for what has no place there, by name."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.generic():
            return value.item()
        case PurePath():
            return value.as_posix()
        case torch.dtype():
            return {"kind": "dtype", "name": str(value).removeprefix("torch.")}
        case list() | tuple():
            return [to_spec(element) for element in value]
        case dict():
            return {"kind": "dict", "items": [[to_spec(k), to_spec(v)] for k, v in value.items()]}
    name = spec_name(value if hasattr(value, "__qualname__") else type(value))
    if registry().get(name) is value:
        return {"kind": "function", "name": name}
    if dataclasses.is_dataclass(value) and registry().get(name) is type(value):
        settings = {
            _json_name(f.name): to_spec(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if _is_recorded(f, value)
        }
        return {"kind": name, **settings}
    raise SpecError(
        f"{getattr(value, '__qualname__', None) or repr(value)} cannot be written to JSON: "
        f"use a named class or function, and `register` it"
    )


def from_spec(spec: object) -> Any:
    """What `to_spec` wrote. Raises `SpecError` for an unknown name or setting. Lists come back as tuples."""
    if isinstance(spec, list):
        return tuple(from_spec(element) for element in spec)
    if not isinstance(spec, dict):
        return spec
    kind = spec.get("kind")
    if kind == "dtype":
        return _dtype(str(spec.get("name")))
    if kind == "dict":
        return {from_spec(k): from_spec(v) for k, v in spec.get("items", [])}
    if kind == "function":
        return find(spec.get("name"), registry, _WHERE)
    cls = find(kind, registry, _WHERE)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise SpecError(f'{kind} is a function: it must stand as {{"kind": "function", "name": "{kind}"}}')
    fields = {f.name for f in dataclasses.fields(cls) if f.init}
    settings = {_field_name(name): from_spec(value) for name, value in spec.items() if name != "kind"}
    if unknown := sorted(set(settings) - fields):
        raise SpecError(f"{kind} has no setting {', '.join(unknown)}: it has {', '.join(sorted(fields)) or 'none'}")
    if missing := sorted(_mandatory_fields(cls) - set(settings)):
        raise SpecError(f"{kind} needs the setting {', '.join(missing)}, and the pipeline's JSON has it not")
    return cls(**settings)


def _is_recorded(field: "dataclasses.Field[Any]", value: object) -> bool:
    """Whether a setting is written; one that a later version added only where it is set, so that fingerprints stay."""
    return field.init and not (field.metadata.get("added") and getattr(value, field.name) == field.default)


def _json_name(field: str) -> str:
    """A field's name in JSON, where `kind` is taken."""
    return "kind_" if field == "kind" else field


def _field_name(name: str) -> str:
    return "kind" if name == "kind_" else name


def _mandatory_fields(cls: Any) -> set[str]:
    """The fields without a default."""
    nothing = dataclasses.MISSING
    return {f.name for f in dataclasses.fields(cls) if f.init and f.default is nothing and f.default_factory is nothing}


def _dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise SpecError(f"unknown dtype {name!r} in the pipeline's JSON: it must be one of torch's, as float32")
    return dtype


def find(name: object, names: Callable[[], Mapping[str, Any]], where: str) -> Any:
    """What a name stands for among `names()`. Raises `SpecError` with the names that are near an unknown one.

    Names of ours may not be loaded yet, so all that is public is loaded before a name is refused.
    """
    things = names()
    if name not in things:
        _load_public_names()
        things = names()
    if isinstance(name, str) and name in things:
        return things[name]
    foreign = ":" in str(name)  # of a module that is not ours
    near = [] if foreign else difflib.get_close_matches(str(name), things, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else "import the module that defines it first (--import MODULE)"
    raise SpecError(f"unknown name {name!r} in {where}: {hint}")


def _load_public_names() -> None:
    """Load what `onewarp.transforms` and `onewarp.pipeline` export: classes and functions register when defined."""
    for package in (transforms, pipeline):
        for name in dir(package):
            getattr(package, name)


def to_json(value: object) -> str:
    """JSON text, the same for the same value."""
    return json.dumps(to_spec(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_json(text: str | bytes) -> Any:
    """What `to_json` wrote."""
    try:
        spec = json.loads(text)
    except ValueError as error:  # no JSON, or no UTF-8
        raise SpecError(f"the pipeline's JSON cannot be read: {error}") from None
    return from_spec(spec)


def can_write(value: object) -> bool:
    """Whether `value` can be written to JSON."""
    try:
        to_spec(value)
    except SpecError:
        return False
    return True


def fingerprint(value: object) -> str:
    """A name for what `value` is: 32 hexadecimal digits of the SHA-256 of its JSON."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()[:32]
