"""A row's mask, points and boxes: read from what the getters return, and made into the row's columns.

Their digest stands in the row: a later run copies the row as long as neither its picture nor this digest changes.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import LabelError
from ..cache.checksums import checksum
from ..cache.encodings import encode_mask
from ..cache.recipe import canonical
from ..dataset.blocks import Block
from ..dataset.sources import read_file
from ..dataset.spatial_targets import to_row_pixels


@dataclass(frozen=True)
class RawTargets:
    """What the getters returned for each column: the bytes of a mask's file, values, or an error in their place.

    `digest` is the digest of all of them, None where there are no such columns.
    """

    contents: Mapping[str, Any]
    digest: str | None

    def refuse_missing(self) -> None:
        """Raise the first of the errors as a `LabelError`."""
        for name, content in self.contents.items():
            if isinstance(content, Exception):
                raise LabelError(f"{name}: {content}")


def read_targets(values: Mapping[str, object]) -> RawTargets:
    """What the getters returned, with the files that it names read."""
    contents = {name: _content(value) for name, value in values.items()}
    digests = {name: _digest(content) for name, content in contents.items()}
    return RawTargets(contents, sha256(canonical(digests).encode()).hexdigest() if digests else None)


def spatial_columns(
    raw: RawTargets, blocks: Mapping[str, Block], row: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The columns of a row's mask, points and boxes, and the pictures of its masks by column.

    Raises `LabelError` for a value that cannot be read, that its block does not take, or that does not fit the photo.
    """
    raw.refuse_missing()
    columns: dict[str, Any] = {}
    pictures: dict[str, bytes] = {}
    matrix = np.array(row["matrix"], np.float64).reshape(3, 3)
    for name, content in raw.contents.items():
        kind = blocks[name].kind
        try:
            value = blocks[name](content).plain()
            size, file_size = (row["height"], row["width"]), (row["original_height"], row["original_width"])
            value = to_row_pixels(kind, value, size, matrix, file_size)
            if kind != "mask":
                columns[name] = value.tolist()
                continue
            pictures[name] = encode_mask(value.numpy())
        except Exception as error:  # a block of the user's own, and Pillow, raise whatever they stumble over
            raise LabelError(f"{name}: {str(error) or type(error).__name__}".splitlines()[0]) from error
        columns |= {f"{name}_length": len(pictures[name]), f"{name}_checksum": checksum(pictures[name])}
    return columns if raw.digest is None else columns | {"targets_sha256": raw.digest}, pictures


def _content(value: object) -> Any:
    """What a path leads to, what a Hugging Face image holds, or the value itself."""
    if isinstance(value, Mapping):
        value = value.get("bytes") if value.get("bytes") is not None else value.get("path")
    if isinstance(value, str | os.PathLike):
        try:
            return read_file(value)
        except OSError as error:
            return LabelError(f"{Path(value).name} cannot be read: {error.strerror}")
    return value


def _digest(content: object) -> str:
    if isinstance(content, Exception):
        return str(content)
    if isinstance(content, bytes):
        return sha256(content).hexdigest()
    try:
        array = np.asarray(content)
    except ValueError:  # rows of unequal length
        array = np.array(repr(content))
    data = array.tobytes() if array.dtype != object else repr(content).encode()
    return f"{array.dtype}{array.shape}{sha256(data).hexdigest()}"
