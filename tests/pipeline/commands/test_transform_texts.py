"""Transforms as text: calls with literal arguments, and nothing that is evaluated."""

from pathlib import Path

import pytest

from onewarp.errors import SpecError, UsageError
from onewarp.pipeline import CategoryBlock, DataBlock, ImageBlock, Pipeline, get_image_files, parent_label
from onewarp.pipeline.commands.transform_texts import read_block, read_fused, read_transforms
from onewarp.transforms import Brightness, Flip, MixUp, Resize, Rotate, aug_transforms, fuse


@pytest.mark.parametrize(
    ("text", "transforms"),
    [
        ("Resize(460)", [Resize(460)]),
        (" Resize(460)|Flip ", [Resize(460), Flip()]),
        ("Resize(size=(3, 4), method='pad') | Rotate(max_deg=5, p=1.0)", [Resize((3, 4), "pad"), Rotate(5, p=1.0)]),
        (
            "Resize(8) | aug_transforms(size=4, max_lighting=0) | Flip()",
            [Resize(8), *aug_transforms(size=4, max_lighting=0), Flip()],
        ),
        ("aug_transforms", aug_transforms()),
        ("Rotate(-10)", [Rotate(-10)]),
    ],
)
def test_a_text_is_calls_with_a_bar_between_them(text, transforms):
    assert read_transforms(text) == list(transforms)


def test_a_file_holds_a_text_or_the_json_of_a_pipeline(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    transforms = [Resize(8), Flip(p=1.0), MixUp()]
    for name, text in (
        ("pipeline.json", Pipeline(transforms).to_json()),
        ("fused.json", Pipeline([fuse(transforms)]).to_json()),
        ("text", "Resize(8) | Flip(p=1.0) | MixUp()"),
    ):
        Path(name).write_text(text)
        assert sorted(map(repr, read_transforms(name))) == sorted(map(repr, transforms))
        assert read_transforms(Path(name)) == read_transforms(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"transforms must read like 'Resize\(460\) \| Flip\(\)', but got ''"),
        ("Resize(460", "transforms must read like .*, but got 'Resize.*': '.' was never closed"),
        ("Resize(460) + Flip()", r"transforms must read like .*, but got 'Resize\(460\) \+ Flip\(\)'"),
        ("os.system('x')", r"transforms must read like .*, but got \"os\.system\('x'\)\""),
        ("7", "transforms must read like .*, but got '7' in '7'"),
        ("Resize(print('x'))", r"Resize\(print\('x'\)\): arguments must be literals, as 224 or \(0\.2, 0\.5\)"),
        ("Resize(**{'size': 3})", "arguments must be literals|unexpected keyword"),
        ("Resize(colour=3)", r"Resize\(colour=3\): .* unexpected keyword argument 'colour'"),
        ("Rotat(3)", r"unknown name 'Rotat' in 'Rotat\(3\)': did you mean Rotate"),
        ("__import__('os')", "unknown name '__import__'"),
        ('{"kind": "RegexLabeller", "pat": "(.)"}', "a pipeline must hold transforms, but got a RegexLabeller"),
        ("[1, 2]", "a pipeline must hold transforms, but got a int"),
        ("(" * 300 + "Flip()" + ")" * 300, "transforms must read like"),
    ],
)
def test_anything_else_is_refused_in_one_line(text, message):
    with pytest.raises(SpecError, match=message) as caught:
        read_transforms(text)
    assert "\n" not in str(caught.value)


def test_a_setting_that_cannot_be_is_refused_as_it_is_without_a_text():
    with pytest.raises(UsageError, match="size must be at least 1 pixel on each side, but got 0"):
        read_transforms("Resize(0)")


def test_the_transforms_of_a_text_are_fused():
    fused = read_fused("Resize(8) | Brightness() | MixUp()")
    assert [type(t) for t in fused.transforms] == [Resize, Brightness]
    assert [type(t) for t in fused.mixes] == [MixUp]


def test_a_block_is_read_from_its_json_and_what_is_none_names_its_file(tmp_path):
    block = DataBlock((ImageBlock, CategoryBlock), get_image_files, get_y=parent_label)
    path = tmp_path / "block.json"
    path.write_text(block.to_json())
    assert read_block(path).to_json() == block.to_json()
    for text, message in (
        ("{", "the pipeline's JSON cannot be read"),
        ('{"kind": "Flip"}', "must be that of a DataBlock"),
    ):
        path.write_text(text)
        with pytest.raises(SpecError, match=rf"{path}: .*{message}"):
            read_block(path)
    with pytest.raises(UsageError, match=r"block must be a file with the JSON of a DataBlock, but .*: No such file"):
        read_block(tmp_path / "none.json")
