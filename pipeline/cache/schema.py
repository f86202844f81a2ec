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
| `mask` | struct of `bytes` and `path` | a PNG file of one channel, `height` x `width`; an Image to `datasets` |
| `mask_length`, `mask_checksum` | int64, uint32 | bytes of the mask's file, and their CRC-32 |
| `points` | list of pairs of float32 | (x, y) in continuous pixels of the row |
| `boxes` | list of 4 float32 | (left, top, right, bottom) in continuous pixels of the row, not cut to it |
| `targets_sha256` | string | of what mask, points and boxes were made of: they are made anew where it changes |
| `length` | int64 | bytes of the row's pixels, or of its image file |
| `checksum` | uint32 | CRC-32 (zlib) of these bytes |
| `origin` | string | where the image came from: relative path, address, or table and row |
| `original_height`, `original_width` | int32 | of the file, before it is turned upright |
| `orientation` | int8 | EXIF, 1 to 8 |
| `sha256` | string | of the file's bytes, hexadecimal |
| `matrix` | 9 float64 | row-major 3x3 from continuous pixels of the row to those of the file |

Masks, points and boxes are there where a DataBlock has them. A second label or mask is `label2`, `mask2`, and so on.

The columns of pixels and of masks are uncompressed, PLAIN and without dictionary. The footer of a part holds JSON under
`onewarp`: the settings that its rows were made with, its targets, and the files of it that were rejected. The digest in
a part's name is that of all its bytes but the pixels and masks, whose checksums are among them (`frames.py`).

`_index-*.arrow` holds every column but the pixels and masks, in the order of the parts, and

| column | type | what it holds |
|---|---|---|
| `key_hash` | uint64 | `hash_key(key)`, from which every draw follows |
| `part` | int32 | number of the part in the footer's list `parts` |
| `offset` | int64 | where the row's bytes begin in the part |
| `mask_offset` | int64 | where the mask's bytes begin in the part |

It is a file of Arrow's IPC format, uncompressed, of one record batch: it is mapped when the cache is opened, so that
opening takes no longer and no more memory for more rows.

`_rejected-*.parquet` holds `key`, `reason`, `bytes` (int64, null where unknown) and `sha256` (null where unread).

`_cache.json` is the cache's footer, and the one file that is replaced: what it names is the cache, and nothing else is.
It is JSON that begins with `checksum`, the digest of all bytes behind it, and says

| key | what it holds |
|---|---|
| `format` | 3 |
| `parts`, `part_bytes` | the names of the parts, in order, and their sizes |
| `index` | `name`, `bytes`, and `checksums`, the CRC-32 of each 2**20 bytes |
| `rejections` | `name`, `bytes` and `checksum` of the list of rejected files |
| `rows`, `rejected` | how many there are |
| `targets`, `vocab`, `splits` | the columns of targets, the names of the classes, and how many rows each split has |
| `pixels`, `fingerprint` | what decides a row's pixels, and a name for it |
| `limits`, `pipeline`, `pipeline_fingerprint` | what else the cache was made with |

A reader leaves out columns, kinds of targets and keys that it does not know, so that what is added needs no new number
of the format.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..dataset.spatial_targets import SPATIAL_KINDS
from .encodings import Encoding

FOOTER = b"onewarp"
"""The key of onewarp's JSON among the metadata of every file of a cache."""

_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""The type of Hugging Face's images; with other nullable fields `datasets` shows a structure and no image."""

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
    return pa.field("image", _PICTURE)


def spatial_fields(name: str, kind: str) -> list[pa.Field]:
    """The columns of a mask, of points or of boxes, but a mask's pixels."""
    if kind == "mask":
        return [_non_null(f"{name}_length", pa.int64()), _non_null(f"{name}_checksum", pa.uint32())]
    return [_non_null(name, pa.list_(pa.list_(pa.float32(), 2 if kind == "points" else 4)))]


def pictures_of(schema: pa.Schema) -> dict[str, str]:
    """The columns of pixels and of masks, with the prefix of their `offset`, `length` and `checksum`."""
    names = [field.name for field in schema if field.name == "pixels" or field.type == _PICTURE]
    return {name: "" if name in ("pixels", "image") else f"{name}_" for name in names}


def small_fields(columns: Sequence[pa.Field]) -> list[pa.Field]:
    """All columns but the pixels and masks; `columns` are those of targets and splits."""
    return [
        _non_null("key", pa.string()),
        _non_null("height", pa.int32()),
        _non_null("width", pa.int32()),
        *columns,
        _non_null("length", pa.int64()),
        _non_null("checksum", pa.uint32()),
        _non_null("origin", pa.string()),
        _non_null("original_height", pa.int32()),
        _non_null("original_width", pa.int32()),
        _non_null("orientation", pa.int8()),
        _non_null("sha256", pa.string()),
        _non_null("matrix", pa.list_(pa.float64(), 9)),
    ]


def part_schema(pixels: pa.Field, small: list[pa.Field], targets: Sequence[Mapping[str, Any]]) -> pa.Schema:
    """The schema of a part, which tells Hugging Face `datasets` what is an image and what a class.

    `targets` says what the columns of targets are (`Catalogue.targets`).
    """
    features: dict[str, Any] = {"image": {"_type": "Image"}} if pixels.name == "image" else {}
    for target in targets:
        if target["kind"] == "category":
            names = [str(name) for name in target["vocab"]]
            features[target["name"]] = {"names": names, "_type": "ClassLabel"}
    masks = [target["name"] for target in targets if target["kind"] == "mask"]
    features |= {name: {"_type": "Image"} for name in masks}
    huggingface = json.dumps({"info": {"features": features}}, sort_keys=True)
    key, *others = small
    pictures = [pixels, *(pa.field(name, _PICTURE) for name in masks)]
    return pa.schema([key, *pictures, *others], metadata={"huggingface": huggingface} if features else None)


def target_fields(targets: Sequence[Mapping[str, Any]], splits: bool) -> list[pa.Field]:
    """The columns of labels and splits, then those of masks, points and boxes; unknown kinds of targets have none."""
    types = {"category": pa.int64(), "multicategory": pa.list_(pa.int64())}
    columns = [pa.field(target["name"], types[target["kind"]]) for target in targets if target["kind"] in types]
    columns += [pa.field("split", pa.string())] if splits else []
    spatial = [
        field
        for target in targets
        if target["kind"] in SPATIAL_KINDS
        for field in spatial_fields(target["name"], target["kind"])
    ]
    return [*columns, *spatial, *([_non_null("targets_sha256", pa.string())] if spatial else [])]


def index_schema(small: Sequence[pa.Field]) -> pa.Schema:
    """The schema of the index, given the small columns of the parts."""
    location = [_non_null("key_hash", pa.uint64()), _non_null("part", pa.int32())]
    lengths = [field.name for field in small if field.name == "length" or field.name.endswith("_length")]
    return pa.schema(
        [*small, *location, *(_non_null(name.replace("length", "offset"), pa.int64()) for name in lengths)]
    )


def _non_null(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)
