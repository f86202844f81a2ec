"""Tables as what a DataBlock is made from: files and frames, with a cache and without, by a command too."""

import csv
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from onewarp.cli import main
from onewarp.errors import UsageError
from onewarp.pipeline import (
    Cache,
    CategoryBlock,
    ColReader,
    ColSplitter,
    DataBlock,
    ImageBlock,
    MaskBlock,
    MultiCategoryBlock,
    RandomSplitter,
    get_image_files,
    parent_label,
    presize,
)
from onewarp.pipeline.dataset.labels import labeller_from
from onewarp.pipeline.dataset.tables import open_source
from onewarp.pipeline.presizing.catalogue import catalogue_of
from onewarp.transforms import Resize

TABLE = DataBlock(
    blocks=(ImageBlock, CategoryBlock),
    splitter=ColSplitter(),
    get_y=ColReader("y"),
    item_tfms=Resize(16),
)


@pytest.fixture
def table(pictures):
    names = ["cat/0.png", "dog/1.png", "cat/2.png", "dog/3.png"]
    frame = pd.DataFrame({"image": names, "y": ["tom", "rex", "tom", "rex"], "is_valid": [False, False, True, True]})
    frame.to_csv(pictures / "t.csv", index=False)
    frame.to_parquet(pictures / "t.parquet")
    return frame


def batches(dls):
    return {
        key: (x, y)
        for loader in (dls.train, dls.valid)
        for b in loader
        for key, x, y in zip(b.keys, *b[:2], strict=True)
    }


@pytest.mark.parametrize("get_x", [None, ColReader("image")])
@pytest.mark.parametrize("kind", ["t.csv", "t.parquet", "frame", "arrow"])
def test_a_table_is_its_rows_with_a_cache_and_without(pictures, table, tmp_path, monkeypatch, kind, get_x):
    """Paths are relative to the table, those of a table in memory to the working folder."""
    monkeypatch.chdir(pictures if kind in ("frame", "arrow") else tmp_path)
    source = {"frame": table, "arrow": pa.Table.from_pandas(table)}.get(kind, pictures / kind)
    block = replace(TABLE, get_x=get_x)
    plain, cached = block.dataloaders(source, bs=2), block.dataloaders(source, bs=2, cache=tmp_path / "C")
    assert list(plain.vocab) == list(cached.vocab) == Cache.open(tmp_path / "C").vocab == ["rex", "tom"]
    one, two = batches(plain), batches(cached)
    assert sorted(one) == sorted(two) == sorted(table["image"])
    assert all(torch.equal(one[key][0], two[key][0]) and one[key][1] == two[key][1] for key in one)
    presize(source, tmp_path / "P", 16, block=block)
    assert Cache.open(tmp_path / "P").index.equals(Cache.open(tmp_path / "C").index)


def test_bytes_in_a_table_and_new_items_beside_it(pictures, table, tmp_path):
    images = [(pictures / name).read_bytes() for name in table["image"]]
    pq.write_table(pa.table({"bytes": images, "y": table["y"], "is_valid": table["is_valid"]}), tmp_path / "b.parquet")
    dls = TABLE.dataloaders(tmp_path / "b.parquet", bs=2)
    want = batches(TABLE.dataloaders(pictures / "t.csv", bs=2))
    got = batches(dls)
    for i, name in [*enumerate(table["image"])][2:]:  # of the validation split, which no draw moves
        assert torch.equal(got[f"b/{i:09d}"][0], want[name][0])
    (x, _) = next(iter(dls.test_dl([pictures / "cat/2.png"])))
    assert torch.equal(x[0], want["cat/2.png"][0])


def test_masks_named_in_a_table_lie_beside_it_without_a_cache_too(pictures, table, tmp_path):
    for name in table["image"]:
        with Image.open(pictures / name) as image:
            Image.fromarray(np.full(image.size[::-1], 3, np.uint8)).save(pictures / f"{name}.mask.png")
    table.assign(mask=table["image"] + ".mask.png").to_csv(pictures / "m.csv", index=False)
    block = replace(TABLE, blocks=(ImageBlock, MaskBlock), get_y=ColReader("mask"))
    for cache in (None, tmp_path / "C"):
        for _, mask in batches(block.dataloaders(pictures / "m.csv", bs=2, cache=cache)).values():
            assert mask.unique().tolist() == [3]


def test_what_is_no_regular_file_is_not_waited_for_without_a_cache(pictures, table):
    os.mkfifo(pictures / "pipe.png")
    table.assign(image=["cat/0.png", "dog/1.png", "pipe.png", "dog/3.png"]).to_csv(pictures / "p.csv", index=False)
    with pytest.raises(UsageError, match=r"pipe\.png must be a regular file, but is none"):
        next(iter(TABLE.dataloaders(pictures / "p.csv", bs=2).valid))


def test_the_summary_of_a_table_in_memory_is_short(pictures, table, monkeypatch, capsys):
    monkeypatch.chdir(pictures)
    TABLE.summary(table)
    told = capsys.readouterr().out
    assert "Setting up the data of DataFrame\nFound 4 items" in told
    assert "A batch of 2 images of size 3x16x16" in told


LABELS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=5)
LABELS |= st.sampled_from(["007", "7", "7.0", "1e5", "true", "nan", "None", "inf", "#na#"])


@settings(max_examples=25, deadline=None)
@given(st.lists(LABELS.filter(lambda label: not label.startswith(".")), min_size=2, max_size=6))
def test_all_ways_give_the_same_classes(labels):
    """A folder, a table in three forms, by `--label` and by a data block, with a class in validation alone or not.

    But for columns of numbers with a point, or with a `nan`, which are numbers in a CSV, and names in a folder.
    """
    numbers = all(re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?|nan", label, re.IGNORECASE) for label in labels)
    assume(not numbers or not any("." in label or label.lower() == "nan" for label in labels))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for i, label in enumerate(labels):
            (root / "photos" / label).mkdir(parents=True, exist_ok=True)
            (root / "photos" / label / f"{i}.png").touch()
        rows = [(f"photos/{label}/{i}.png", label) for i, label in enumerate(labels)]
        with (root / "t.csv").open("w", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("image", "y"), *rows])
        frame = pd.DataFrame(rows, columns=["image", "y"], dtype=str)
        pq.write_table(pa.table({"image": [row[0] for row in rows], "y": labels}), root / "t.parquet")
        block = replace(TABLE, splitter=RandomSplitter(0.5, seed=len(labels)))
        ways = [catalogue_of(open_source(root / "photos"), parent_label, None).vocab]
        ways += [replace(block, get_y=parent_label, get_items=get_image_files).datasets(root / "photos").vocab]
        ways += [replace(block, get_y=parent_label).datasets(root / "t.csv").vocab]
        for source in (root / "t.csv", root / "t.parquet", frame):
            ways += [catalogue_of(open_source(source), labeller_from("column:y"), None).vocab]
            ways += [block.datasets(source).vocab]
    plain = all(isinstance(label, int) for label in ways[3])
    for way in ways:
        assert {str(label) for label in way} == set(labels)
        assert list(way) == sorted(way)
        assert list(way) == sorted(set(labels)) or plain


def test_a_class_in_validation_alone_is_a_class_by_both_ways(pictures, tmp_path):
    rows = ["cat/0.png,tom,False", "dog/1.png,rex,True", "cat/2.png,tom,True"]
    (pictures / "t.csv").write_text("\n".join(["path,y,is_valid", *rows]) + "\n")
    presize(pictures / "t.csv", tmp_path / "A", 16, label="column:y", split="column:is_valid")
    presize(pictures / "t.csv", tmp_path / "B", 16, block=TABLE)
    assert Cache.open(tmp_path / "A").vocab == Cache.open(tmp_path / "B").vocab == ["rex", "tom"]


def test_labels_of_lists_in_a_frame_and_of_text_with_a_sign_between(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(pictures)
    names = ["cat/0.png", "dog/1.png", "cat/2.png"]
    block = replace(TABLE, blocks=(ImageBlock, MultiCategoryBlock), splitter=RandomSplitter(0.5))
    lists = pd.DataFrame({"image": names, "y": [["a", "b"], [], ["b"]]})
    lists.to_parquet("t.parquet")
    texts = pd.DataFrame({"image": names, "y": ["a;b", None, "b"]})
    got = [block.datasets(lists), block.datasets(pd.read_parquet("t.parquet"))]
    got.append(replace(block, get_y=ColReader("y", label_delim=";")).datasets(texts))
    for datasets in got:
        assert list(datasets.vocab) == ["a", "b"]
        hot = {key: datasets[i][1].tolist() for i, key in enumerate(datasets.keys)}
        assert hot == {"cat/0.png": [1, 1], "dog/1.png": [0, 0], "cat/2.png": [0, 1]}


def test_a_function_of_ones_own_in_a_blocks_file(pictures, tmp_path, monkeypatch):
    """`--import` imports what the file names, from the working folder too."""
    monkeypatch.chdir(tmp_path)
    Path("own_labels.py").write_text(
        "from onewarp.pipeline.composition.spec import register\n\n"
        "@register\ndef by_folder(item):\n    return item.parent.name.upper()\n"
    )
    Path("block.json").write_text(
        '{"kind": "DataBlock", "blocks": [{"kind": "Block", "kind_": "image"}, {"kind": "Block", "kind_": "category", '
        '"type_tfms": [{"kind": "Categorize"}]}], "get_y": {"kind": "function", "name": "own_labels:by_folder"}}'
    )
    call = ["presize", str(pictures), "C", "--size", "16", "--block", "block.json"]
    told = CliRunner().invoke(main, call)
    assert (told.exit_code, told.stderr.count("\n")) == (2, 1)
    assert "import the module that defines it first (--import MODULE)" in told.stderr
    told = CliRunner().invoke(main, [*call, "--import", "own_lable"])
    assert (told.exit_code, told.stderr.count("\n")) == (2, 1)
    assert "--import must name a module that can be imported, but own_lable cannot: No module named" in told.stderr
    told = CliRunner().invoke(main, [*call, "--import", "own_labels"])
    assert told.exit_code == 0, told.stderr
    assert Cache.open("C").vocab == ["CAT", "DOG"]
    assert os.getcwd() == str(tmp_path)
