"""A part: written row by row, found again byte by byte, and refused where it is not whole."""

import random
from contextlib import suppress

import numpy as np
import pyarrow.parquet as pq
import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache import parts
from onewarp.pipeline.cache.checksums import checksum
from onewarp.pipeline.cache.encodings import encode_mask
from onewarp.pipeline.cache.parts import (
    PartWriter,
    Rejection,
    bytes_at,
    read_frame,
    read_part,
    rejections_in,
    row_bytes,
)
from onewarp.pipeline.cache.schema import part_schema, pixels_field, small_fields, target_fields

FOOTER = {"format": 3, "pixels": {"encoding": "raw"}, "limits": {}, "rejected": []}
MASK = {"name": "mask", "kind": "mask", "vocab": None}


def row(number, data, mask):
    """The columns of a row of some bytes, and what no column is."""
    return {
        "key": f"{number}.png",
        "height": 1,
        "width": len(data) // 3,
        "split": "train",
        "mask_length": len(mask),
        "mask_checksum": checksum(mask),
        "targets_sha256": "",
        "length": len(data),
        "checksum": checksum(data),
        "origin": "",
        "original_height": 1,
        "original_width": 1,
        "orientation": 1,
        "sha256": "",
        "matrix": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "later": "left out",
    }


class PartFile:
    """A part of rows of some bytes, with a mask each, in a file of the name that it must have."""

    def __init__(self, folder, lengths, footer=FOOTER):
        draws = random.Random(len(lengths))
        self.pixels = [draws.randbytes(length) for length in lengths]
        self.masks = [encode_mask(np.full((2, 3), number)) for number in range(len(lengths))]
        small = small_fields(target_fields([MASK], splits=True))
        schema = part_schema(pixels_field("raw", None), small, [MASK])
        path = folder / "writing"
        with open(path, "w+b") as file:
            with PartWriter(file, schema) as writer:
                for number, (data, mask) in enumerate(zip(self.pixels, self.masks, strict=True)):
                    writer.add(row(number, data, mask), {"pixels": data, "mask": mask})
                writer.finish(footer)
            file.flush()
            self.digest = read_frame(file, path).digest
        self.path = path.rename(folder / f"part-00000-{self.digest}.parquet")


@pytest.mark.parametrize("group_bytes", [1, 40, 1 << 20])
def test_rows_and_their_bytes_are_found_again(tmp_path, monkeypatch, group_bytes):
    """In one row group, or in many."""
    monkeypatch.setattr(parts, "_GROUP_BYTES", group_bytes)
    part = PartFile(tmp_path, [9, 0, 30, 3, 12])
    assert pq.read_metadata(part.path).num_row_groups == {1: 5, 1 << 20: 1}.get(group_bytes, 5)
    read = read_part(part.path, verify=True)
    assert (read.rejected, read.damaged, read.footer, read.digest) == ([], (), FOOTER, part.digest)
    assert "later" not in read.rows.column_names
    for number, columns in enumerate(read.rows.to_pylist()):
        assert columns["key"] == f"{number}.png"
        assert row_bytes(part.path, columns["offset"], columns["length"]) == part.pixels[number]
        assert row_bytes(part.path, columns["mask_offset"], columns["mask_length"]) == part.masks[number]
    table = pq.read_table(part.path)
    assert table.column("pixels").to_pylist() == part.pixels
    assert table.column("mask").to_pylist()[2] == {"bytes": part.masks[2], "path": "2.png"}


def test_a_part_without_rows_lists_its_rejections(tmp_path):
    refused = {"key": "a.png", "reason": "is empty", "bytes": 0, "sha256": "e3b0", "targets": None}
    part = read_part(PartFile(tmp_path, [], {**FOOTER, "rejected": [refused]}).path)
    assert part.rows.num_rows == 0
    assert part.rejected == [Rejection("a.png", "is empty", 0, "e3b0")]


def test_a_part_that_is_cut_anywhere_is_refused(tmp_path):
    part = PartFile(tmp_path, [9, 30, 3])
    data = part.path.read_bytes()
    for length in range(0, len(data), 37):
        part.path.write_bytes(data[:length])
        with pytest.raises(CacheError, match=f"{part.path} is no whole part of a cache: ") as caught:
            read_part(part.path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("column", ["offset", "mask_offset"])
def test_a_damaged_row_is_numbered_where_its_bytes_are_read(tmp_path, column):
    part = PartFile(tmp_path, [9, 30, 3])
    data = bytearray(part.path.read_bytes())
    data[read_part(part.path).rows.column(column)[1].as_py()] ^= 1
    part.path.write_bytes(data)
    assert read_part(part.path).damaged == ()
    assert read_part(part.path, verify=True).damaged == (1,)


def test_every_other_byte_is_answered_for_by_the_name(tmp_path):
    """A changed byte is in a row's pixels or mask, or the part is refused."""
    part = PartFile(tmp_path, [9, 30, 3])
    data, rows = part.path.read_bytes(), read_part(part.path).rows.to_pylist()
    inside = {
        place
        for r in rows
        for p in ("", "mask_")
        for place in range(r[f"{p}offset"], r[f"{p}offset"] + r[f"{p}length"])
    }
    for place in range(len(data)):
        if place % 11 and place not in inside:
            continue
        part.path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        damaged = None
        with suppress(CacheError):
            damaged = read_part(part.path, verify=True).damaged
        assert (damaged is None) == (place not in inside), place
        assert damaged is None or len(damaged) == 1


def test_a_part_of_another_name_is_refused(tmp_path):
    part = PartFile(tmp_path, [9])
    other = part.path.rename(tmp_path / "part-00000-0123456789abcdef.parquet")
    with pytest.raises(
        CacheError, match=f"is damaged: its name says 0123456789abcdef, and what is in it {part.digest}"
    ):
        read_part(other)


def test_a_writer_that_was_left_before_its_end_leaves_no_part(tmp_path):
    schema = part_schema(pixels_field("raw", None), small_fields([]), [])
    with open(tmp_path / "a", "w+b") as file:
        with PartWriter(file, schema) as writer:
            writer.add(row(0, b"abc", b""), {"pixels": b"abc"})
        file.flush()
        with pytest.raises(CacheError, match="is no whole part of a cache: it was not written by onewarp"):
            read_frame(file, tmp_path / "a")


def test_what_a_later_version_says_of_a_rejection_is_left_out():
    later = {"key": "a", "reason": "is empty", "later": 3}
    assert rejections_in({**FOOTER, "rejected": [later]}) == [Rejection("a", "is empty")]
    for footer, message in (
        (None, "not written by onewarp"),
        ({**FOOTER, "limits": []}, r"limits must be a mapping, but is \[\]"),
    ):
        with pytest.raises(CacheError, match=message):
            rejections_in(footer)


def test_bytes_beyond_the_end_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    with open(tmp_path / "a", "rb") as file:
        assert bytes_at(file, 1, 4) == b"2345"
        with pytest.raises(CacheError, match="a must hold 4 bytes at 2, but ends before: it was cut off"):
            bytes_at(file, 2, 4)
