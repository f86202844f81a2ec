"""Typed samples as rows that a loader reads: pictures decoded and presized, targets moved into their pixels."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DecodeError, LabelError, MissingLabelError
from ...transforms.category import is_missing
from ...transforms.decoding.resizing import Sizing
from ..dataset.samples import Samples
from ..dataset.spatial_targets import SPATIAL_KINDS, size_of_file, to_row_pixels
from ..loading.decoded_rows import DecodedRows, load_picture
from ..loading.rows import Kind

RowGeometry = tuple[tuple[int, int], NDArray[np.float64]]
"""The height and width of a row, and the matrix from its pixels to the file's."""


def sample_rows(
    samples: Samples, keys: Sequence[str], splits: Sequence[str | None], sizing: Sizing | None
) -> DecodedRows:
    """The rows of `samples`, presized by `sizing` (None: as large as they are), under `keys`, in named splits."""
    reader = _Reader(samples, sizing)
    targets = sample_targets(samples, keys, reader.geometry)
    return DecodedRows(range(len(samples)), keys, reader.load, targets=targets, splits=splits)


def sample_targets(
    samples: Samples, keys: Sequence[str], geometry: Callable[[int], RowGeometry]
) -> dict[str, tuple[Kind, Callable[[int], Tensor]]]:
    """By name, the kind of each target and a function of the sample's number that gives it, in pixels of its row.

    Labels are looked up and encoded here, all of them, so that a wrong one is found before training begins.
    """
    targets: dict[str, tuple[Kind, Any]] = {}
    for n, block in enumerate(samples.blocks[1:], 1):
        name = column_name(samples, n)
        if block.kind in ("category", "multicategory"):
            targets[name] = (block.kind, encode_labels(samples, n, keys).__getitem__)
        elif block.kind != "image":
            targets[name] = (block.kind, partial(_move_target, samples=samples, block=n, geometry=geometry))
    return targets


def column_name(samples: Samples, block: int) -> str:
    """The name of a target in a cache and in a batch: `label`, `mask`, `points` or `boxes`, numbered from the second
    of a name on.
    """
    names = ["label" if "category" in b.kind else b.kind for b in samples.blocks[1 : block + 1]]
    count = names.count(names[-1])
    return names[-1] if count == 1 else f"{names[-1]}{count}"


def encode_labels(samples: Samples, block: int, keys: Sequence[str]) -> Tensor:
    """The labels of all samples as one tensor; an unknown or missing one is an error that names its item."""
    labels = labels_or_missing(samples, block, keys)
    missing = [key for key, label in zip(keys, labels, strict=True) if label is None]
    if missing:
        raise MissingLabelError(
            f"{len(missing)} of {len(keys)} labels are missing, the first that of {missing[0]}: leave these items out, "
            "make a class of them by add_na=True, or use a cache, which sets them aside"
        )
    present = [label for label in labels if label is not None]
    return torch.stack(present) if present else torch.empty(0, dtype=torch.int64)


def labels_or_missing(samples: Samples, block: int, keys: Sequence[str]) -> list[Tensor | None]:
    """The label of each sample as a tensor, None where it is missing; an error names its item."""
    encode, labels = samples.blocks[block], list[Tensor | None]()
    for key, value in zip(keys, samples.values(block, samples.items), strict=True):
        try:
            labels.append(encode(value).plain())
        except MissingLabelError:
            labels.append(None)
        except LabelError as error:
            raise LabelError(f"{key}: {error}") from None
    return labels


def _move_target(row: int, samples: Samples, block: int, geometry: Callable[[int], RowGeometry]) -> Tensor:
    """A mask, points or boxes, given in pixels of the file, in pixels of the row."""
    size, to_file = geometry(row)
    kind = samples.blocks[block].kind
    try:
        return to_row_pixels(kind, samples.element(row, block).plain(), size, to_file, size_of_file(size, to_file))
    except LabelError as error:
        raise LabelError(f"{column_name(samples, block)}: {error}") from None


class _Reader:
    """Reads item by item; for targets that lie in the picture it remembers how each picture was presized."""

    def __init__(self, samples: Samples, sizing: Sizing | None) -> None:
        self.samples, self.sizing = samples, sizing
        self._geometry: dict[int, RowGeometry] = {}

    @cached_property
    def _has_places(self) -> bool:
        return any(block.kind in SPATIAL_KINDS for block in self.samples.blocks)

    def load(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """The picture `uint8[h, w, 3]`, and the matrix from its pixels to the file's."""
        try:
            source = self.samples.raw(row, 0)
        except OSError as error:
            raise DecodeError(f"cannot be read: {error.strerror or error}") from error
        if is_missing(source):
            raise DecodeError("cannot be read: the item names no picture")
        if isinstance(source, str | PathLike):
            pixels, matrix = load_picture(Path(source), self.sizing)
        elif isinstance(source, bytes):
            pixels, matrix = load_picture(source, self.sizing)
        else:
            pixels = self.samples.element(row, 0).plain().permute(1, 2, 0).contiguous().numpy()
            matrix = np.eye(3)
        if self._has_places:
            self._geometry[row] = (pixels.shape[0], pixels.shape[1]), matrix
        return pixels, matrix

    def geometry(self, row: int) -> RowGeometry:
        """The size and the matrix that a row was read with."""
        if row not in self._geometry:
            self.load(row)
        return self._geometry[row]
