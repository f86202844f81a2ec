"""The columns of a cache: those that the module's tables name, of the types that readers of Parquet understand."""

import json
import re

import pyarrow as pa
import pytest

from onewarp.pipeline.cache import schema
from onewarp.pipeline.cache.schema import (
    index_schema,
    part_schema,
    pictures_of,
    pixels_field,
    small_fields,
    target_fields,
)

TARGETS = [
    {"name": "label", "kind": "category", "vocab": ["cat", 7]},
    {"name": "label2", "kind": "multicategory", "vocab": ["x"]},
    {"name": "mask", "kind": "mask", "vocab": None},
    {"name": "points", "kind": "points", "vocab": None},
    {"name": "boxes", "kind": "boxes", "vocab": None},
    {"name": "depth", "kind": "depth", "vocab": None},
]


def test_each_kind_of_target_has_its_columns_and_an_unknown_one_none():
    columns = {field.name: str(field.type) for field in target_fields(TARGETS, splits=True)}
    assert columns == {
        "label": "int64",
        "label2": "list<item: int64>",
        "split": "string",
        "mask_length": "int64",
        "mask_checksum": "uint32",
        "points": "list<item: fixed_size_list<item: float>[2]>",
        "boxes": "list<item: fixed_size_list<item: float>[4]>",
        "targets_sha256": "string",
    }
    assert [field.name for field in target_fields(TARGETS[:1], splits=False)] == ["label"]


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_every_column_stands_in_the_tables_of_the_page(encoding):
    names = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", schema.__doc__, re.MULTILINE))))
    small = small_fields(target_fields(TARGETS, splits=True))
    columns = part_schema(pixels_field(encoding, None), small, TARGETS).names + index_schema(small).names
    assert {name for name in columns if name != "label2"} <= names
    assert schema.REJECTED.names == ["key", "reason", "bytes", "sha256"]


def test_pixels_are_of_a_fixed_size_where_all_sizes_agree():
    assert pixels_field("raw", 12).type == pa.binary(12)
    assert pixels_field("raw", None).type == pa.binary()
    assert not pixels_field("raw", 12).nullable
    assert (pixels_field("png", 12).name, str(pixels_field("png", 12).type)) == (
        "image",
        "struct<bytes: binary, path: string>",
    )


def test_hugging_face_is_told_what_is_an_image_and_what_a_class():
    def features(encoding, targets):
        small = small_fields(target_fields(targets, splits=False))
        metadata = part_schema(pixels_field(encoding, None), small, targets).metadata
        return metadata and json.loads(metadata[b"huggingface"])["info"]["features"]

    classes = {"names": ["cat", "7"], "_type": "ClassLabel"}
    assert features("raw", []) is None
    assert features("jpeg", []) == {"image": {"_type": "Image"}}
    assert features("raw", TARGETS[:1]) == {"label": classes}
    assert features("png", TARGETS) == {"image": {"_type": "Image"}, "label": classes, "mask": {"_type": "Image"}}


@pytest.mark.parametrize(("encoding", "first"), [("raw", "pixels"), ("webp", "image")])
def test_pixels_and_masks_come_behind_the_key_and_are_found_by_their_type(encoding, first):
    part = part_schema(pixels_field(encoding, None), small_fields(target_fields(TARGETS, splits=True)), TARGETS)
    assert part.names[:3] == ["key", first, "mask"]
    assert pictures_of(part) == {first: "", "mask": "mask_"}
    assert len(set(part.names)) == len(part.names)


def test_an_index_has_an_offset_for_each_length_and_no_pixels():
    small = small_fields(target_fields(TARGETS, splits=True))
    index = index_schema(small)
    assert index.names[: len(small)] == [field.name for field in small]
    assert index.names[len(small) :] == ["key_hash", "part", "mask_offset", "offset"]
    assert pictures_of(index) == {}
