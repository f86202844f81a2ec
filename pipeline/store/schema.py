"""The columns of a cache.

Part files `part-*.parquet`, one row per image, sorted by key:

| column | type | what it holds |
|---|---|---|
| `key` | string | the POSIX path relative to the source, or the key of the table's row |
| `pixels` (encoding raw) | binary, fixed-size where all sizes agree | `uint8[height, width, 3]`, sRGB, row by row |
| `image` (other encodings) | struct of `bytes` and `path` | a JPEG, PNG or WebP file; an Image to `datasets` |
| `height`, `width` | int32 | of the row's pixels |
| `label` | int64, or list of int64 | number in the vocabulary (or numbers); only where there are labels |
| `split` | string | name of the split, or null; only where there are splits |
| `length` | int64 | bytes of the row's pixels, or of its image file |
| `checksum` | uint32 | CRC-32 (zlib) of these bytes |
| `origin` | string | where the image came from: relative path, address, or table and row |
| `original_height`, `original_width` | int32 | of the file, before it is turned upright |
| `orientation` | int8 | EXIF, 1 to 8 |
| `sha256` | string | of the file's bytes, hexadecimal |
| `matrix` | 9 float64 | row-major 3x3 from continuous pixels of the row to those of the file |

The pixels' column is uncompressed, PLAIN and without dictionary. `_index.parquet` holds every column but the pixels,
in the same order, and

| column | type | what it holds |
|---|---|---|
| `key_hash` | uint64 | `hash_key(key)`, from which every draw follows |
| `part` | int32 | number of the part in the footer's list `parts` |
| `offset` | int64 | where the row's bytes begin in the part |

`_index.arrow` is the same table in Arrow's IPC format, uncompressed, one record batch: it is mapped when the cache is
opened, so that opening takes no longer and no more memory for more rows. A cache without it is read from
`_index.parquet`.

`_rejected.parquet` holds `key`, `reason`, `bytes` (int64, null where unknown) and `sha256` (null where unread).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from .encodings import Encoding

FOOTER = b"onewarp"
"""The key of onewarp's JSON among the metadata of every file of a cache."""

REJECTED = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("bytes", pa.int64()),
        pa.field("sha256", pa.string()),
    ]
)


def pixels_field(encoding: Encoding, fixed_length: int | None) -> pa.Field:
    """The column with the pixels: `fixed_length` bytes in every row, or any number."""
    if encoding == "raw":
        return pa.field("pixels", pa.binary(-1 if fixed_length is None else fixed_length), nullable=False)
    # As Hugging Face has it, down to what may be null: else it shows a structure and no image.
    return pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


def small_fields(told: Sequence[pa.Field]) -> list[pa.Field]:
    """All columns but the pixels; `told` are those of labels and splits."""
    return [
        _needed("key", pa.string()),
        _needed("height", pa.int32()),
        _needed("width", pa.int32()),
        *told,
        _needed("length", pa.int64()),
        _needed("checksum", pa.uint32()),
        _needed("origin", pa.string()),
        _needed("original_height", pa.int32()),
        _needed("original_width", pa.int32()),
        _needed("orientation", pa.int8()),
        _needed("sha256", pa.string()),
        _needed("matrix", pa.list_(pa.float64(), 9)),
    ]


def part_schema(pixels: pa.Field, small: list[pa.Field], targets: Mapping[str, Any]) -> pa.Schema:
    """The schema of a part, which tells Hugging Face `datasets` what is an image and what a class.

    `targets` says of each column of targets what it is (`Catalogue.targets`).
    """
    features: dict[str, Any] = {"image": {"_type": "Image"}} if pixels.name == "image" else {}
    for column in small:
        if targets.get(column.name, {}).get("kind") == "category":
            names = [str(name) for name in targets[column.name]["vocab"]]
            features[column.name] = {"names": names, "_type": "ClassLabel"}
    said = json.dumps({"info": {"features": features}}, sort_keys=True)
    key, *others = small
    return pa.schema([key, pixels, *others], metadata={"huggingface": said} if features else None)


def index_schema(small: list[pa.Field]) -> pa.Schema:
    """The schema of the index."""
    places = [_needed("key_hash", pa.uint64()), _needed("part", pa.int32()), _needed("offset", pa.int64())]
    return pa.schema([*small, *places])


def _needed(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)
