"""What is drawn on a photo: read from what getters return, named by a digest, made into a row's columns."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from onewarp.errors import LabelError
from onewarp.pipeline.cache.encodings import decode_mask
from onewarp.pipeline.dataset.blocks import BBoxBlock, Block, MaskBlock, PointBlock
from onewarp.pipeline.presizing.target_values import RawTargets, read_targets, spatial_columns

ROW = {
    "height": 2,
    "width": 4,
    "original_height": 4,
    "original_width": 8,
    "matrix": [2.0, 0, 0, 0, 2.0, 0, 0, 0, 1.0],
}
"""Of a photo of 8 x 4 pixels that was made half as large."""


def png(numbers):
    stream = io.BytesIO()
    Image.fromarray(np.array(numbers, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


MASK = png([[5] * 4 + [9] * 4] * 4)


@pytest.mark.parametrize("way", ["path", "text", "bytes", "of Hugging Face", "a path of Hugging Face"])
def test_a_file_is_its_bytes_however_it_is_given_and_its_digest_is_of_them(tmp_path, way):
    path = tmp_path / "m.png"
    path.write_bytes(MASK)
    value = {
        "path": path,
        "text": str(path),
        "bytes": MASK,
        "of Hugging Face": {"bytes": MASK, "path": "elsewhere.png"},
        "a path of Hugging Face": {"bytes": None, "path": str(path)},
    }[way]
    raw = read_targets({"mask": value})
    assert raw.contents == {"mask": MASK}
    assert raw.digest == read_targets({"mask": MASK}).digest
    raw.refuse_missing()


def test_a_file_that_cannot_be_read_is_an_error_without_the_folders_of_this_machine(tmp_path):
    raw = read_targets({"points": [[1, 2]], "mask": tmp_path / "none.png"})
    with pytest.raises(LabelError, match=r"mask: none\.png cannot be read: No such file or directory") as caught:
        raw.refuse_missing()
    assert str(tmp_path) not in str(caught.value)
    assert raw.digest == read_targets({"points": [[1, 2]], "mask": tmp_path / "deep" / "none.png"}).digest


VALUES = st.lists(st.lists(st.floats(0, 9), min_size=2, max_size=2), max_size=4)


@given(VALUES, VALUES)
def test_a_digest_is_of_the_values(one, two):
    """As they are, in a list of tuples too."""
    assert read_targets({"points": one}).digest == read_targets({"points": [tuple(pair) for pair in one]}).digest
    if np.array(one).tobytes() != np.array(two).tobytes() or len(one) != len(two):
        assert read_targets({"points": one}).digest != read_targets({"points": two}).digest
    assert read_targets({"points": one}).digest != read_targets({"boxes": one}).digest


def test_a_digest_tells_types_shapes_and_ragged_lists_apart_and_there_is_none_of_nothing():
    values = [[1, 2], [1.0, 2.0], [[1, 2]], [[1], [2, 3]], [[1, 2], [3]], "nothing of the kind"]
    assert len({read_targets({"points": value}).digest for value in values}) == len(values)
    assert read_targets({}).digest is None


def test_columns_are_in_pixels_of_the_row():
    blocks = {"mask": MaskBlock(), "points": PointBlock(), "boxes": BBoxBlock()}
    raw = read_targets({"mask": MASK, "points": (6.0, 2.0), "boxes": [[0, 0, 8, 4], [2, 2, 2, 2]]})
    columns, pictures = spatial_columns(raw, blocks, ROW)
    assert decode_mask(pictures["mask"]).tolist() == [[5, 5, 9, 9]] * 2
    assert columns == {
        "mask_length": len(pictures["mask"]),
        "mask_checksum": zlib.crc32(pictures["mask"]),
        "points": [[3.0, 1.0]],
        "boxes": [[0.0, 0.0, 4.0, 2.0], [1.0, 1.0, 1.0, 1.0]],
        "targets_sha256": raw.digest,
    }
    assert spatial_columns(RawTargets({}, None), {}, ROW) == ({}, {})


def explode(value):
    raise RuntimeError("two\nlines")


class Exploding(Block):
    def __call__(self, value):
        return explode(value)


@pytest.mark.parametrize(
    ("name", "value", "block", "reason"),
    [
        ("mask", b"no picture", MaskBlock(), "mask: is of no known image format"),
        ("mask", png([[1, 2]]), MaskBlock(), "mask: must have the size of its photo's file, 8 x 4, but has 2 x 1"),
        ("points", [[9.0, 1.0]], PointBlock(), r"points: point 0 must lie in 0\.\.8 x 0\.\.4, but is \(9, 1\)"),
        ("points", [1, 2, 3], PointBlock(), r"points: points must be pairs \(x, y\), but got shape \(3,\)"),
        (
            "boxes",
            [[3, 0, 2, 1]],
            BBoxBlock(),
            r"boxes: box 0 must be .*, but is \(3, 0, 2, 1\)",
        ),
        ("mask", "none.png", MaskBlock(), r"mask: none\.png cannot be read"),
        ("points", [[1, 2]], Exploding("points"), "points: two$"),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_the_column(name, value, block, reason):
    with pytest.raises(LabelError, match=f"^{reason}") as caught:
        spatial_columns(read_targets({name: value}), {name: block}, ROW)
    assert "\n" not in str(caught.value)
