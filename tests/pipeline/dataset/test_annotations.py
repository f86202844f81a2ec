from pathlib import Path

import pytest

from onewarp.errors import LabelError
from onewarp.pipeline import Beside, VocBoxes
from onewarp.pipeline.composition.spec import from_json, to_json


def voc(*objects):
    """An annotation of objects, each (name, left, top, right, bottom)."""
    corners = ("xmin", "ymin", "xmax", "ymax")
    texts = [
        f"<object><name>{name}</name><bndbox>"
        + "".join(f"<{corner}>{value}</{corner}>" for corner, value in zip(corners, box, strict=True))
        + "</bndbox></object>"
        for name, *box in objects
    ]
    return f"<annotation><size><width>9</width></size>{''.join(texts)}</annotation>"


def test_a_file_beside_a_photo_has_its_stem_and_another_ending():
    beside = Beside("../masks", ".png")
    assert beside(Path("/a/photos/x.y.jpg")) == Path("/a/photos/../masks/x.y.png")
    assert beside("x.jpg") == Path("../masks/x.png")
    assert Beside(".", "_mask.png")(Path("a/x.jpg")) == Path("a/x_mask.png")
    assert Beside("/masks", ".png")(Path("/a/x.jpg")) == Path("/masks/x.png")


def test_boxes_are_in_continuous_pixels_and_the_last_pixel_belongs_to_them(tmp_path):
    """VOC counts from 1: a box of the one pixel in the corner is from 0 to 1."""
    (tmp_path / "x.xml").write_text(voc(("dog", 1, 1, 1, 1), ("cat", 4, 2, 9.5, 8)))
    assert VocBoxes(".")(tmp_path / "x.jpg") == [(0, 0, 1, 1), (3, 1, 9.5, 8)]
    assert VocBoxes(".", names=("cat", "cow"))(tmp_path / "x.jpg") == [(3, 1, 9.5, 8)]
    (tmp_path / "none.xml").write_text(voc())
    assert VocBoxes(".")(tmp_path / "none.jpg") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, r"annotation x\.xml cannot be read: No such file or directory"),
        ("<annotation>", r"annotation x\.xml must hold objects with a bndbox, but no element found"),
        (
            voc(("dog", 1, 1, "x", 1)),
            r"annotation x\.xml must hold .*, but could not convert .* 'x'",
        ),
        ("<a><object><name>dog</name></object></a>", r"annotation x\.xml must hold objects with a bndbox, but"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_one_line_without_folders(tmp_path, text, reason):
    if text is not None:
        (tmp_path / "x.xml").write_text(text)
    with pytest.raises(LabelError, match=reason) as caught:
        VocBoxes(".")(tmp_path / "x.jpg")
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_they_are_json():
    for getter in (Beside("../masks", ".png"), VocBoxes("../xmls", ("cat", "dog"))):
        assert from_json(to_json(getter)) == getter
