"""Recipes that clients send: JSON of transforms that are numbers alone, for outputs of a bounded size.

A stranger's JSON makes objects of the server's, so only transforms that fuse may stand in it. A barrier, a function and
another library's transform run code of their own, and are refused by name, before anything is made.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import OnewarpError, SpecError, UsageError
from ...transforms.augment import Fused, explain, fuse
from ...transforms.decoding.resizing import Sizing
from ...transforms.fusible import Fusible
from ...transforms.plan import Plan
from ..composition.compose import Pipeline
from ..composition.spec import from_spec, registry, to_json
from .limits import Limits

MOST_TRANSFORMS = 64

_SHAPES = ((480, 640), (640, 480), (500, 500), (31, 977), (977, 31), (1, 1))
"""Sizes of pictures (height, width) that a recipe is tried with, before it gets any."""


def recipe_json(fused: object) -> str:
    """Fused transforms as they are sent to a server, without those that mix samples: these act on whole batches.

    Raises `UsageError` where they are none, and for what cannot be written to JSON.
    """
    if not isinstance(fused, Fused):
        raise UsageError(f"a server must get fused transforms, but got {type(fused).__name__}: give them to fuse")
    try:
        return to_json(replace(fused, mixes=()))
    except SpecError as error:
        raise UsageError(f"a server must get transforms that JSON can say, but {error}") from None


@lru_cache(maxsize=64)
def read_recipe(text: str) -> Fused:
    """The fused transforms in a recipe that a client sent: the JSON of a `Fused`, a `Pipeline` or a list of transforms.

    Raises `UsageError` for anything else, and for what a client may not ask for.
    """
    try:
        spec = json.loads(text)
        _check_names(spec)
        fused = _fused(from_spec(spec))
    except OnewarpError as error:
        raise UsageError(f"the recipe cannot be used: {error}") from None
    except RecursionError:
        raise UsageError("the recipe must be JSON of transforms, but is nested too deeply") from None
    except Exception as error:  # whatever a transform says to settings of the wrong type
        raise UsageError(f"the recipe must be JSON of transforms, but is not ({type(error).__name__})") from None
    return fused


def explain_recipe(text: str) -> dict[str, Any]:
    """How a recipe is done, as plain values: how many resamplings, barriers, and lines for people."""
    said = explain(read_recipe(text))
    return {"resamplings": said.resamplings, "barriers": list(said.barriers), "lines": list(said.lines)}


def plan_of(fused: Fused, sizes: Any, hashes: Any, settings: Mapping[str, Any], limits: Limits) -> Plan:
    """What happens to images of `sizes` `[N, 2]`; `settings` are `seed`, `epoch` and `split`.

    Raises `UsageError`, before any pixel is made, where settings do not fit, and where a step makes larger images than
    a server allows.
    """
    try:
        plan = fused.plan(np.asarray(sizes), hashes, **settings)
    except OnewarpError as error:
        raise UsageError(f"the recipe cannot be used: {error}") from None
    except Exception as error:
        raise UsageError(f"the recipe cannot be used: its settings do not fit ({type(error).__name__})") from None
    for height, width in filter(None, (plan.size, *(step.size for step in plan.steps))):
        if height * width > limits.output_pixels:
            raise UsageError(
                f"the recipe must make images of at most {limits.output_pixels:,} pixels, but makes {height} x {width}"
            )
    if not np.isfinite(plan.matrix).all():
        raise UsageError("the recipe must have finite matrices, but one of them is not")
    return plan


def size_of_output(recipe: Fused, sizing: Sizing | None, limits: Limits) -> tuple[int, int]:
    """The height and width that every picture leaves the validation pipeline with, whatever size it has.

    Raises `UsageError` where they differ, or are too large.
    """
    sizes = {size if sizing is None else sizing.size_for(*size) for size in _SHAPES}
    plans = [plan_of(recipe, [size], np.zeros(1, np.uint64), {"split": "valid"}, limits) for size in sorted(sizes)]
    first, *others = {plan.size for plan in plans}
    if others or first is None:
        raise UsageError("the recipe must make images of one size: add Resize(n), or a transform with size=n")
    return first


def _check_names(spec: Any) -> None:
    """Raise `UsageError` for a name that a client may not say, or for too many."""
    names = list(_names(spec))
    if len(names) > MOST_TRANSFORMS:
        raise UsageError(f"it must have at most {MOST_TRANSFORMS} transforms, but has {len(names)}")
    known = registry()
    for name in names:
        kind = known.get(name) if isinstance(name, str) else None
        if not (isinstance(kind, type) and issubclass(kind, Fusible | Fused | Pipeline)) and name != "dtype":
            raise UsageError(
                f"{str(name)[:60]!r} is no transform that a client may ask for: take those that are a homography or a "
                "colour map, as Resize and Normalize"
            )


def _names(spec: Any) -> Iterator[Any]:
    """The names of all objects in a JSON value."""
    if isinstance(spec, dict):
        yield spec.get("kind")
    for value in spec.values() if isinstance(spec, dict) else spec if isinstance(spec, list) else ():
        yield from _names(value)


def _fused(value: Any) -> Fused:
    if isinstance(value, Fused):
        if not all(isinstance(transform, Fusible) for transform in value.transforms):
            raise UsageError("a Fused must be made of transforms")
        fuse(value.transforms)  # which checks what a Fused in JSON has not been checked for
        return value
    return fuse(value.transforms if isinstance(value, Pipeline) else value if isinstance(value, tuple) else [value])
