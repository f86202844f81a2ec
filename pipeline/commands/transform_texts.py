"""Transforms written as text: `Resize(460) | aug_transforms(size=224, min_scale=0.75)`, read without evaluating it;
and files that hold them, or a DataBlock, as JSON.
"""

import ast
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import SpecError, UsageError
from ...transforms.augment import Fused, aug_transforms, fuse
from ...transforms.overloads import TransformType
from ...transforms.policies import rand_augment, trivial_augment
from ...transforms.transform import Transform
from ..composition.compose import Pipeline
from ..composition.spec import find, from_json
from ..datablock.datablock import DataBlock

_RECIPES: dict[str, Callable[..., Any]] = {
    "aug_transforms": aug_transforms,
    "rand_augment": rand_augment,
    "trivial_augment": trivial_augment,
}


def read_transforms(text: str | Path) -> list[Transform]:
    """Transforms of a text, of a file that holds one, or of a pipeline's JSON.

    The text is calls of transforms and recipes with literal arguments, `|` between them. Raises `SpecError` for
    anything else: nothing is evaluated.

    >>> [type(t).__name__ for t in read_transforms("Resize(460) | Flip(p=1)")]
    ['Resize', 'Flip']
    """
    if isinstance(text, Path) or ((text.endswith(".json") or "(" not in text) and os.path.isfile(text)):
        text = Path(text).read_text(encoding="utf-8")
    if text.lstrip().startswith(("{", "[")):
        return _flat(from_json(text))
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # as ast.parse documents
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise SpecError(f"transforms must read like 'Resize(460) | Flip()', but got {text!r}: {reason}") from None
    return [t for call in _calls(tree) for t in _flat(_make(call, text))]


def _flat(value: object) -> list[Transform]:
    if isinstance(value, Pipeline):
        value = value.transforms
    if isinstance(value, Fused):
        return [*value.transforms, *value.mixes]
    if isinstance(value, list | tuple):
        return [t for element in value for t in _flat(element)]
    if isinstance(value, Transform):
        return [value]
    raise SpecError(f"a pipeline must hold transforms, but got a {type(value).__name__}")


def _calls(tree: ast.expr) -> list[ast.expr]:
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr):
        return [*_calls(tree.left), *_calls(tree.right)]
    return [tree]


def _make(call: ast.expr, text: str) -> Any:
    if isinstance(call, ast.Name):
        call = ast.Call(call, [], [])
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise SpecError(f"transforms must read like 'Resize(460) | Flip()', but got {ast.unparse(call)!r} in {text!r}")
    name = call.func.id
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except ValueError:
        raise SpecError(f"{ast.unparse(call)}: arguments must be literals, as 224 or (0.2, 0.5)") from None
    maker = find(name, lambda: {**TransformType.registry, **_RECIPES}, repr(text))
    try:
        return maker(*positional, **named)
    except TypeError as error:
        raise SpecError(f"{ast.unparse(call)}: {error}") from None


def read_block(path: Path) -> DataBlock:
    """The DataBlock in a file that holds its JSON; `SpecError` where it holds anything else."""
    try:
        return DataBlock.from_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"block must be a file with the JSON of a DataBlock, but {path}: {error.strerror}") from None
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def read_fused(text: str | Path) -> Fused:
    """The transforms of a text, fused."""
    return fuse(read_transforms(text))
