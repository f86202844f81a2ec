"""Presizing what a DataBlock says: `onewarp presize SRC CACHE --block FILE.json`."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from onewarp.cli import main
from onewarp.errors import SpecError
from onewarp.pipeline import (
    Cache,
    CategoryBlock,
    ColReader,
    ColSplitter,
    DataBlock,
    ImageBlock,
    MultiCategoryBlock,
    RandomSplitter,
    RegexLabeller,
    get_image_files,
    presize,
    using_attr,
)
from onewarp.transforms import Resize, aug_transforms

BREEDS = DataBlock(
    blocks=(ImageBlock, CategoryBlock),
    get_items=get_image_files,
    splitter=RandomSplitter(seed=42),
    get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
    item_tfms=Resize(64),
    batch_tfms=aug_transforms(size=48),
)


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def parts(cache):
    return {path.name: path.read_bytes() for path in cache.glob("part-*")}


def test_a_block_in_a_file_says_what_label_and_split_would_say(pets, tmp_path):
    """The same parts, byte by byte, at the size of the block's `Resize`; the block without its augmentation is kept."""
    (tmp_path / "block.json").write_text(BREEDS.to_json())
    told = run("presize", pets, tmp_path / "B", "--block", tmp_path / "block.json", "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["rows"] == 489
    presize(pets, tmp_path / "L", 64, label=r"regex:(.+)_\d+.jpg$", split="random:0.2:42")
    assert parts(tmp_path / "B") == parts(tmp_path / "L")
    cache = Cache.open(tmp_path / "B")
    assert (len(cache.vocab), cache.splits) == (37, {"train": 392, "valid": 97})
    kept = dict(cache.footer["pipeline"]["items"])["block"]
    assert DataBlock.from_json(json.dumps(kept)) == replace(BREEDS, item_tfms=(), batch_tfms=())
    again = run("presize", pets, tmp_path / "B", "--block", tmp_path / "block.json", "--json")
    assert json.loads(again.stdout)["kept"] == 489


def test_the_rows_of_a_table_are_the_items_of_a_block_without_get_items(pictures, tmp_path):
    keys = ["cat/0.png", "dog/1.png", "cat/2.png", "dog/3.png"]
    told = {"image": keys, "tags": [["a"], [], ["b", "a"], ["b"]], "kind": ["cat", "dog", "cat", "dog"]}
    table = pa.table({**told, "split": ["train", "train", "test", "valid"]})
    pq.write_table(table, pictures / "t.parquet")
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock(vocab=("b", "a")), CategoryBlock),
        splitter=ColSplitter("split"),
        get_y=[ColReader("tags"), ColReader("kind")],
    )
    presize(pictures / "t.parquet", tmp_path / "C", 16, block=block)
    cache = Cache.open(tmp_path / "C")
    assert cache.index.column("key").to_pylist() == sorted(keys)
    assert cache.index.column("label").to_pylist() == [[1], [0, 1], [], [0]]
    assert cache.index.column("label2").to_pylist() == [0, 0, 1, 1]
    assert cache.splits == {"test": 1, "train": 2, "valid": 1}
    assert list(cache.targets.values()) == [
        {"name": "label", "kind": "multicategory", "vocab": ["b", "a"]},
        {"name": "label2", "kind": "category", "vocab": ["cat", "dog"]},
    ]


def test_other_labels_of_a_block_rewrite_columns_without_decoding(pets, tmp_path):
    presize(pets, tmp_path / "C", block=BREEDS)
    kinds = replace(BREEDS, get_y=using_attr(RegexLabeller(r"^([A-Z]|.)"), "name"))
    done = presize(pets, tmp_path / "C", block=kinds)
    assert (done.decoded, done.copied) == (0, 489)
    assert len(Cache.open(tmp_path / "C").vocab) < 37
    presize(pets, tmp_path / "fresh", block=kinds)
    assert parts(tmp_path / "C") == parts(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("text", "options", "code", "message"),
    [
        (BREEDS.to_json(), ["--label", "parent"], 2, "a block says what labels and splits are, but label is given too"),
        (BREEDS.to_json(), ["--split", "none"], 2, "but split is given too: leave one of them out"),
        ("no JSON", [], 2, "the pipeline's JSON cannot be read: Expecting value"),
        ('{"kind": "DataBlok"}', [], 2, "unknown name 'DataBlok' in the pipeline's JSON: did you mean DataBlock"),
        ('{"kind": "DataBlock", "labels": 1}', [], 2, "DataBlock has no setting labels"),
        ('{"kind": "Resize", "size": 9}', [], 2, "the JSON must be that of a DataBlock, but is that of a Resize"),
        ('{"kind": "get_image_files"}', [], 2, 'must stand as {"kind": "function", "name": "get_image_files"}'),
        ('{"kind": "DataBlock", "blocks": ["ImageBlock"]}', [], 2, "blocks must be made of ImageBlock"),
        (replace(BREEDS, get_y=ColReader("breed")).to_json(), [], 1, "column 'breed' must be in the row"),
        (None, [], 2, "block must be a file with the JSON of a DataBlock"),
    ],
)
def test_what_goes_wrong_is_one_line(pictures, tmp_path, text, options, code, message):
    if text is not None:
        (tmp_path / "block.json").write_text(text)
    told = run("presize", pictures, tmp_path / "C", "--block", tmp_path / "block.json", *options)
    assert (told.exit_code, told.stderr.count("\n"), told.stdout) == (code, 1, "")
    assert message in told.stderr
    assert not (tmp_path / "C").exists()


def test_a_function_without_a_name_cannot_be_written_but_can_be_presized(pictures, tmp_path):
    block = replace(BREEDS, get_y=lambda path: path.parent.name)
    with pytest.raises(SpecError, match="lambda"):
        block.to_json()
    presize(pictures, tmp_path / "C", block=block)
    assert Cache.open(tmp_path / "C").vocab == ["cat", "dog"]
