"""Recipes that clients send: JSON of fused transforms, held against limits before any pixel is made."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import SpecError, UsageError
from ...transforms.augment import Fused, explain, fuse
from ...transforms.plan import Plan
from ...transforms.transform import Transform
from ..composition.spec import from_json, to_json
from .limits import Limits

_MOST_TRANSFORMS = 64
_DTYPES = ("float32", "float16", "uint8")
"""What an answer can hold: Arrow has no bfloat16."""


def recipe_json(fused: object) -> str:
    """Fused transforms as they are sent to a server.

    Raises `UsageError` where they are none, and for what cannot be written to JSON.
    """
    if not isinstance(fused, Fused):
        raise UsageError(
            f"augment='server' must have fused transforms, but got {type(fused).__name__}: give them to fuse"
        )
    _refuse_dtype(fused)
    try:
        return to_json(fused)
    except SpecError as error:
        raise UsageError(f"augment='server' must have transforms that JSON can say, but {error}") from None


@lru_cache(maxsize=64)
def read_recipe(text: str) -> Fused:
    """The fused transforms in a recipe that a client sent; `UsageError` for anything else that JSON may name."""
    try:
        fused = from_json(text)
    except (SpecError, UsageError) as error:
        raise UsageError(f"the recipe cannot be used: {error}") from None
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        raise UsageError(f"the recipe cannot be used: {type(error).__name__}") from None
    if not isinstance(fused, Fused) or not isinstance(fused.transforms, tuple):
        raise UsageError("the recipe must be fused transforms")
    if len(fused.transforms) > _MOST_TRANSFORMS:
        raise UsageError(f"the recipe must have at most {_MOST_TRANSFORMS} transforms, but has {len(fused.transforms)}")
    for transform in fused.transforms:
        if not isinstance(transform, Transform) or isinstance(transform, Fused):
            raise UsageError(f"the recipe must have transforms of onewarp, but has {type(transform).__name__}")
    _refuse_dtype(fused)
    try:
        return fuse(
            list(fused.transforms),
            dtype=fused.dtype,
            antialias=bool(fused.antialias),
            one_by_one=bool(fused.one_by_one),
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"the recipe cannot be used: {error}") from None


def explain_recipe(text: str) -> dict[str, Any]:
    """How a recipe is done, as plain values: how many resamplings, barriers, and lines for people."""
    said = explain(read_recipe(text))
    return {"resamplings": said.resamplings, "barriers": list(said.barriers), "lines": list(said.lines)}


def _refuse_dtype(fused: Fused) -> None:
    name = str(fused.dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise UsageError(f"the recipe must make {', '.join(_DTYPES)}, but makes {name}")


def refuse_sizes(plan: Plan, limits: Limits) -> None:
    """Raise `UsageError` where a step of a plan makes larger images than a server allows."""
    for step in plan.steps:
        if step.size is not None and step.size[0] * step.size[1] > limits.output_pixels:
            raise UsageError(
                f"the recipe must make images of at most {limits.output_pixels} pixels, but makes "
                f"{step.size[0]} x {step.size[1]}"
            )


def plan_of(fused: Fused, sizes: Any, hashes: Any, settings: Mapping[str, Any], limits: Limits) -> Plan:
    """What happens to images of `sizes` `[N, 2]`; `UsageError` where it is beyond the limits.

    `settings` are `seed`, `epoch` and `split`.
    """
    plan = fused.plan(np.asarray(sizes), hashes, **settings)
    refuse_sizes(plan, limits)
    return plan
