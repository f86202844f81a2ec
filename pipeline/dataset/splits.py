"""Which items train and which validate.

A splitter is a frozen dataclass. Called with the items it gives two lists of indices, training and validation;
`names` says for each item the name of its split, or None where it belongs to none.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...errors import LabelError, UsageError
from ...transforms.category import is_missing
from ..composition.spec import register
from .labels import column_of, describe

TRAIN, VALID = "train", "valid"


@dataclass(frozen=True)
class Splitter:
    """What all splitters share: two lists of indices out of one name per item."""

    def names(self, items: Sequence[Any], keys: Sequence[str] | None = None) -> list[str | None]:
        """The split of each item; `keys` are the items' relative keys, for splitters that go by them."""
        raise NotImplementedError

    def __call__(self, items: Sequence[Any], keys: Sequence[str] | None = None) -> tuple[list[int], list[int]]:
        """The indices of the training items and those of the validation items."""
        names = self.names(items, keys)
        return [i for i, name in enumerate(names) if name == TRAIN], [
            i for i, name in enumerate(names) if name == VALID
        ]


@register
@dataclass(frozen=True)
class RandomSplitter(Splitter):
    """A share of the items, drawn by `torch.randperm` from a generator of its own.

    Items whose `keys` are alike are copies, and go where the first of them goes.

    >>> train, valid = RandomSplitter(seed=42)(range(7390))
    >>> len(train), len(valid), valid[:5]
    (5912, 1478, [4512, 4290, 5770, 706, 2200])
    """

    valid_pct: float = 0.2
    seed: int = 42

    def __post_init__(self) -> None:
        _check_share(self.valid_pct)

    def __call__(self, items: Sequence[Any], keys: Sequence[str] | None = None) -> tuple[list[int], list[int]]:
        """The indices in the order in which they were drawn."""
        generator = torch.Generator().manual_seed(self.seed)
        order: list[int] = torch.randperm(len(items), generator=generator).tolist()
        cut = int(self.valid_pct * len(items))
        if keys is None or len(set(keys)) == len(keys):
            return order[cut:], order[:cut]
        valid, first = set(order[:cut]), {key: i for i, key in reversed([*enumerate(keys)])}
        sides = [first[key] in valid for key in keys]
        return [i for i in order if not sides[i]], [i for i in order if sides[i]]

    def names(self, items: Sequence[Any], keys: Sequence[str] | None = None) -> list[str | None]:
        """`train` or `valid` for each item."""
        names: list[str | None] = [TRAIN] * len(items)
        for index in self(items, keys)[1]:
            names[index] = VALID
        return names


@register
@dataclass(frozen=True)
class HashSplitter(Splitter):
    """A share of the items by the BLAKE2b hash of their key: an item never changes sides when others come or go.

    The key is the path relative to the source; without `keys`, relative to the folder that all items share. Copies of
    one file in a table have one path, and so one side.

    >>> HashSplitter(0.5).names(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], ["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    ['train', 'train', 'valid', 'train']
    """

    valid_pct: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        _check_share(self.valid_pct)

    def names(self, items: Sequence[Any], keys: Sequence[str] | None = None) -> list[str | None]:
        """`train` or `valid` for each item."""
        keys = _common_keys(items) if keys is None else keys
        return [VALID if self._unit(key) < self.valid_pct else TRAIN for key in keys]

    def _unit(self, key: str) -> float:
        salt = self.seed.to_bytes(8, "little", signed=True)
        digest = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8, salt=salt).digest()
        return int.from_bytes(digest, "little") / 2**64


@register
@dataclass(frozen=True)
class GrandparentSplitter(Splitter):
    """By the name of the folder two levels above the file, as in `train/birman/1.jpg`.

    Either name may be a tuple of names that mean the same. An item under any other folder belongs to no split.

    >>> GrandparentSplitter()(["train/cat/1.jpg", "valid/cat/2.jpg", "test/cat/3.jpg"])
    ([0], [1])
    """

    train_name: str | tuple[str, ...] = TRAIN
    valid_name: str | tuple[str, ...] = VALID

    def names(self, items: Sequence[Any], keys: Sequence[str] | None = None) -> list[str | None]:
        """`train`, `valid` or None for each item; `UsageError` where no item lies under either folder."""
        names = [self._name(Path(item).parent.parent.name) for item in items]
        if items and not any(names):
            raise UsageError(
                f"items must lie under {self.train_name!r} or {self.valid_name!r} two folders up, "
                f"but {os.fspath(items[0])} and all others do not: rename the folders, or split in another way"
            )
        return names

    def _name(self, folder: str) -> str | None:
        if folder in _as_tuple(self.train_name):
            return TRAIN
        return VALID if folder in _as_tuple(self.valid_name) else None


@register
@dataclass(frozen=True)
class FuncSplitter(Splitter):
    """By a function of the item that is true for validation.

    >>> FuncSplitter(str.isupper)(["a", "B", "c"])
    ([0, 2], [1])
    """

    func: Callable[[Any], bool]

    def names(self, items: Sequence[Any], keys: Sequence[str] | None = None) -> list[str | None]:
        """`train` or `valid` for each item."""
        return [VALID if self.func(item) else TRAIN for item in items]


@register
@dataclass(frozen=True)
class ColSplitter(Splitter):
    """By a column of a table: true (or 1) is validation; a name is taken as the name of the split; empty is none.

    `on` is the value, or tuple of values, that means validation, and all others mean training.

    >>> ColSplitter()([{"is_valid": False}, {"is_valid": True}])
    ([0], [1])
    >>> ColSplitter("split").names([{"split": "train"}, {"split": "test"}])
    ['train', 'test']
    """

    col: str = "is_valid"
    on: Any = None

    def names(self, items: Sequence[Any], keys: Sequence[str] | None = None) -> list[str | None]:
        """The split of each row; `LabelError` where the column is missing or holds what says nothing."""
        return [self._name(column_of(row, self.col), row) for row in items]

    def _name(self, value: Any, row: Any) -> str | None:
        if self.on is not None:
            return VALID if value in (self.on if isinstance(self.on, tuple) else (self.on,)) else TRAIN
        if is_missing(value):
            return None
        if isinstance(value, str):
            return {"true": VALID, "false": TRAIN, "1": VALID, "0": TRAIN}.get(value.lower(), value)
        if value in (0, 1):
            return VALID if value else TRAIN
        raise LabelError(
            f"split column {self.col!r} must hold true, false or a name, but got {value!r} in {describe(row)}"
        )


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise UsageError(f"valid_pct must be a share from 0 to 1, but got {share}")


def _as_tuple(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _common_keys(items: Sequence[Any]) -> list[str]:
    paths = [Path(item) for item in items]
    if len(paths) < 2:
        return [path.name for path in paths]
    common = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(common).as_posix() for path in paths]


def splitter_from(text: str) -> Splitter | None:
    """The splitter that a command line names.

    `none`, `random:FRACTION:SEED`, `hash:FRACTION`, `folders` (train and valid, two levels up) or `column:NAME`.

    >>> splitter_from("random:0.2:42")
    RandomSplitter(valid_pct=0.2, seed=42)
    """
    kind, *rest = text.split(":")
    try:
        match kind, rest:
            case "none", []:
                return None
            case "folders", []:
                return GrandparentSplitter(valid_name=(VALID, "val", "validation"))
            case "random", [share, *seed] if len(seed) < 2:
                return RandomSplitter(float(share), *map(int, seed))
            case "hash", [share, *seed] if len(seed) < 2:
                return HashSplitter(float(share), *map(int, seed))
            case "column", [column]:
                return ColSplitter(column)
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
    usual = "none, random:FRACTION:SEED, hash:FRACTION, folders or column:NAME"
    raise UsageError(f"split must be {usual}, but got {text!r}")
