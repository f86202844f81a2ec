"""Whether the footer and the index of a cache are possible: a cache may come from a stranger."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import CacheError
from .checksums import BLOCK
from .digest_blocks import Test
from .encodings import ENCODINGS

PART_NAME = re.compile(r"part-[0-9]{5,9}-[0-9a-f]{16}\.parquet")
_INDEX_NAME = re.compile(r"_index-[0-9a-f]{16}\.arrow")
_REJECTED_NAME = re.compile(r"_rejected-[0-9a-f]{16}\.parquet")
_CLASSES = ("category", "multicategory")
KINDS = (*_CLASSES, "mask", "points", "boxes")
_MOST = 1 << 60  # of rows, and of bytes in a file
_MOST_SIDE = 1 << 20  # pixels


def refuse_footer(values: object, path: Path) -> None:
    """Raise `CacheError` where the footer of a cache lacks an entry, or has an impossible one."""
    footer = _Mapping(values, path, "")
    for name in ("fingerprint", "pipeline_fingerprint"):
        footer.text(name)
    footer.number("rows", 1)
    footer.number("rejected", 0)
    _refuse_pixels(footer.mapping("pixels"))
    _refuse_parts(footer)
    if footer.get("format") != 2:
        _refuse_lists(footer)
    _refuse_targets(footer)


def _refuse_pixels(pixels: "_Mapping") -> None:
    pixels.choice("encoding", ENCODINGS)
    pixels.number("size", 1, _MOST_SIDE)
    pixels.choice("square", (None, "crop", "squish", "pad"))
    pixels.choice("enlarge", (False, True))


def _refuse_parts(footer: "_Mapping") -> None:
    parts, sizes = footer.entries("parts"), footer.entries("part_bytes")
    if not all(isinstance(name, str) and PART_NAME.fullmatch(name) for name in parts) or len({*parts}) < len(parts):
        raise footer.wrong("parts", "names of part files, no two alike")
    if len(sizes) != len(parts) or not all(_is_number(size, 0, _MOST) for size in sizes):
        raise footer.wrong("part_bytes", "the size of each part")


def _refuse_lists(footer: "_Mapping") -> None:
    index, rejections = footer.mapping("index"), footer.mapping("rejections")
    index.name("name", _INDEX_NAME)
    index.number("bytes", 1)
    checksums, blocks = index.entries("checksums"), -(-index.values["bytes"] // BLOCK)
    if len(checksums) != blocks or not all(_is_number(checksum, 0, 2**32 - 1) for checksum in checksums):
        raise index.wrong("checksums", f"a number for each {BLOCK} bytes")
    rejections.name("name", _REJECTED_NAME)
    rejections.number("bytes", 1)
    rejections.number("checksum", 0, 2**32 - 1)


def _refuse_targets(footer: "_Mapping") -> None:
    names = []
    for target in footer.entries("targets"):
        entry = _Mapping(target, footer.path, "targets ")
        entry.text("name")
        entry.text("kind")
        names.append(entry.values["name"])
        vocab = entry.vocabulary("vocab")
        if entry.values["kind"] in _CLASSES and vocab is None:
            raise entry.wrong("vocab", "the names of classes")
    if len({*names}) < len(names):
        raise footer.wrong("targets", "columns of different names")
    footer.vocabulary("vocab")
    splits = footer.get("splits")
    if splits is None:
        return
    if not isinstance(splits, dict) or not all(
        _is_number(count, 0, footer.values["rows"]) for count in splits.values()
    ):
        raise footer.wrong("splits", "how many rows each split has")
    if sum(splits.values()) > footer.values["rows"]:
        raise footer.wrong("splits", f"no more rows than the {footer.values['rows']} of the cache")


class _Mapping:
    """A mapping of the footer; each method raises `CacheError` where a value is not what it must be."""

    def __init__(self, values: object, path: Path, within: str) -> None:
        self.path, self._within = path, within
        if not isinstance(values, dict):
            name = within.strip() or "the footer"
            raise CacheError(f"{path}: {name} must be a mapping, but is {_abbreviate(values)}: {_CURE}")
        self.values: dict[str, Any] = values

    def wrong(self, name: str, expected: str) -> CacheError:
        """The error for the entry `name`, which must be `expected`."""
        actual = _abbreviate(self.values[name]) if name in self.values else "missing"
        return CacheError(f"{self.path}: {self._within}{name} must be {expected}, but is {actual}: {_CURE}")

    def get(self, name: str) -> Any:
        """The entry `name`, which must be there."""
        if name not in self.values:
            raise self.wrong(name, "there")
        return self.values[name]

    def mapping(self, name: str) -> "_Mapping":
        """The entry `name`, which must be a mapping."""
        return _Mapping(self.get(name), self.path, f"{name} ")

    def entries(self, name: str) -> list[Any]:
        """The entry `name`, which must be a list."""
        value = self.get(name)
        if not isinstance(value, list):
            raise self.wrong(name, "a list")
        return value

    def text(self, name: str) -> None:
        """Refuse the entry `name` unless it is a text."""
        if not isinstance(self.get(name), str):
            raise self.wrong(name, "a text")

    def name(self, name: str, pattern: re.Pattern[str]) -> None:
        """Refuse the entry `name` unless it is a file name like `pattern`."""
        if not isinstance(self.get(name), str) or not pattern.fullmatch(self.values[name]):
            raise self.wrong(name, f"a name like {pattern.pattern}")

    def number(self, name: str, least: int, most: int = _MOST) -> None:
        """Refuse the entry `name` unless it is a whole number from `least` to `most`."""
        if not _is_number(self.get(name), least, most):
            raise self.wrong(name, f"a whole number from {least} to {most}")

    def choice(self, name: str, choices: tuple[object, ...]) -> None:
        """Refuse the entry `name` unless it is one of `choices`."""
        if not any(
            self.get(name) is choice or (isinstance(choice, str) and self.values[name] == choice) for choice in choices
        ):
            raise self.wrong(name, f"one of {', '.join(map(str, choices))}")

    def vocabulary(self, name: str) -> list[Any] | None:
        """The entry `name`, which must be a list of class names, or null."""
        value = self.get(name)
        if value is not None and not (isinstance(value, list) and all(type(entry) in (str, int) for entry in value)):
            raise self.wrong(name, "a list of names or whole numbers")
        return value


_CURE = "the cache was damaged, or not made by onewarp"


def _is_number(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _abbreviate(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def tests_of(footer: Mapping[str, Any]) -> dict[str, Test]:
    """By column of the index, a function that tells which of its values are impossible, given the footer."""
    tests: dict[str, Test] = {
        "part": _outside(0, len(footer["parts"]) - 1),
        "orientation": _outside(1, 8),
        "matrix": _singular,
        **dict.fromkeys(("height", "width"), _outside(1, _MOST_SIDE)),
        **dict.fromkeys(("original_height", "original_width"), _outside(1, (1 << 31) - 1)),
        **dict.fromkeys(("length", "offset"), _outside(0, _MOST)),
    }
    for target in footer["targets"]:
        name, kind = target["name"], target["kind"]
        if kind in _CLASSES:
            tests[name] = _outside(0, len(target["vocab"]) - 1)
        elif kind == "mask":
            tests |= dict.fromkeys((f"{name}_length", f"{name}_offset"), _outside(0, _MOST))
        elif kind in KINDS:
            tests[name] = _not_finite
    return tests


def _outside(least: int, most: int) -> Test:
    def test(values: NDArray[Any]) -> NDArray[np.bool_]:
        outside: NDArray[np.bool_] = (values < least) | (values > most)
        return outside

    return test


def _not_finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which points or boxes `float32[n, k]` are not of finite numbers."""
    bad: NDArray[np.bool_] = ~np.isfinite(values).all(-1)
    return bad


def _singular(matrices: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of `float64[n, 9]` cannot be inverted."""
    with np.errstate(all="ignore"):
        a, b, c, d, e, f, g, h, i = matrices.T
        determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
        bad: NDArray[np.bool_] = ~(np.abs(determinant) > 1e-18) | ~np.isfinite(matrices).all(-1)
        return bad
