"""What became no row of a cache: set aside with its reason, counted, named; and no class without a row."""

import os
from dataclasses import replace

import pytest
from click.testing import CliRunner

from onewarp.cli import main
from onewarp.errors import CacheError, MissingLabelError
from onewarp.pipeline import (
    Cache,
    CategoryBlock,
    ColReader,
    DataBlock,
    ImageBlock,
    get_image_files,
    parent_label,
    presize,
)
from onewarp.pipeline.dataset.splits import RandomSplitter
from onewarp.transforms import Resize

BLOCK = DataBlock(
    blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label, item_tfms=Resize(16)
)
HALF = RandomSplitter(0.5, seed=1)


@pytest.fixture
def littered(pictures):
    """Twelve pictures of cats and dogs, and beside them what is found in folders and is no photo."""
    for name in ("fish/a.HEIC", "bird/broken.jpg", "cat/._0.png", "__MACOSX/cat/._0.png"):
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        (pictures / name).write_bytes(b"nothing")
    os.mkfifo(pictures / "cat" / "pipe.png")
    (pictures / "dog" / "again").symlink_to(pictures / "cat")
    (pictures / "cat" / "self.png").symlink_to("self.png")
    return pictures


REASONS = {
    "bird/broken.jpg": "is of no known image format",
    "cat/pipe.png": "is a named pipe, and no regular file",
    "cat/self.png": "is a link that leads to itself",
    "fish/a.HEIC": "is .heic, a format that is not read: convert it, as to JPEG or PNG",
}


def test_nothing_is_lost_without_a_word(littered, tmp_path):
    told = CliRunner().invoke(
        main, ["presize", str(littered), str(tmp_path / "C"), "--size", "16", "--label", "parent"]
    )
    assert told.exit_code == 0, told.output
    cache = Cache.open(tmp_path / "C")
    rejected = {entry["key"]: entry["reason"] for entry in cache.rejected()}
    assert rejected.keys() == REASONS.keys()
    assert all(rejected[key].startswith(reason) for key, reason in REASONS.items())
    assert all(f"rejected {key}: {reason}" in told.stderr for key, reason in REASONS.items())
    assert "12 rows" in told.stderr
    assert "4 rejected" in told.stderr
    noted = "passed by: __MACOSX/ is hidden, cat/._0.png is hidden, dog/again/ is the same folder as cat"
    assert noted in told.stderr
    with pytest.raises(CacheError, match="4 files were rejected, more than max_rejected=3"):
        presize(littered, tmp_path / "C", 16, label="parent", max_rejected=3)


def test_a_class_has_a_number_as_long_as_it_has_a_row(littered, tmp_path, draw, files_in):
    """And the cache is the same whatever its history: broken first, mended, broken again."""
    cache = tmp_path / "C"
    assert presize(littered, cache, 16, label="parent").decoded == 12
    assert Cache.open(cache).vocab == ["cat", "dog"]
    before = files_in(cache)
    again = presize(littered, cache, 16, label="parent")
    assert (again.decoded, again.copied, again.kept, files_in(cache)) == (0, 0, 12, before)

    draw(littered / "bird" / "broken.jpg", 30)
    mended = presize(littered, cache, 16, label="parent")
    assert (mended.decoded, mended.copied, Cache.open(cache).vocab) == (1, 12, ["bird", "cat", "dog"])
    presize(littered, tmp_path / "fresh", 16, label="parent")
    assert files_in(cache) == files_in(tmp_path / "fresh")

    (littered / "bird" / "broken.jpg").write_bytes(b"nothing")
    assert presize(littered, cache, 16, label="parent").copied == 12
    assert files_in(cache) == before
    assert Cache.open(cache)["dog/1.png"].label == "dog"


def test_a_file_that_is_set_aside_before_it_is_read_comes_and_goes(pictures, tmp_path, files_in):
    presize(pictures, tmp_path / "C", 16)
    before = files_in(tmp_path / "C")
    (pictures / "cat" / "a.heic").touch()
    done = presize(pictures, tmp_path / "C", 16)
    assert (done.kept, [entry.key for entry in done.rejected]) == (12, ["cat/a.heic"])
    assert [entry["key"] for entry in Cache.open(tmp_path / "C").rejected()] == ["cat/a.heic"]
    (pictures / "cat" / "a.heic").unlink()
    presize(pictures, tmp_path / "C", 16)
    assert files_in(tmp_path / "C") == before


@pytest.mark.parametrize("get_items", [get_image_files, None])
def test_a_data_block_says_what_the_command_says_and_has_the_caches_classes(littered, tmp_path, capfd, get_items):
    block = DataBlock(
        blocks=BLOCK.blocks, get_items=get_items, get_y=parent_label, item_tfms=Resize(16), splitter=BLOCK.splitter
    )
    dls = block.dataloaders(littered, bs=4, cache=tmp_path / "C")
    told = capfd.readouterr().err
    assert all(f"rejected {key}: {reason}" in told for key, reason in REASONS.items())
    assert list(dls.vocab) == Cache.open(tmp_path / "C").vocab == ["cat", "dog"]
    for batch in dls.valid:
        assert [dls.vocab[label] for label in batch[1]] == [key.split("/")[0] for key in batch.keys]
    assert list(block.dataloaders(littered, bs=4).vocab) == ["bird", "cat", "dog"]  # not read yet
    told = capfd.readouterr().err
    assert "rejected fish/a.HEIC" in told
    for i in range(9):
        (littered / f"{i}.svg").touch()
    block.dataloaders(littered, bs=4, cache=tmp_path / "C")
    assert "rejected 13 files in all" in capfd.readouterr().err


def test_a_row_whose_label_is_missing_is_set_aside_until_it_has_one(pictures, tmp_path, files_in):
    def table(*labels):
        names = ["cat/0.png", "dog/1.png", "cat/2.png"]
        lines = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
        (pictures / "t.csv").write_text("\n".join(["path,y", *lines]) + "\n")

    for labels, missing in ((("tom", "", "rex"), "dog/1.png"), (("7", "3", ""), "cat/2.png")):
        table(*labels)
        done = presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y")
        assert [(entry.key, entry.reason) for entry in done.rejected] == [(missing, "label: is missing")]
        presize(pictures / "t.csv", tmp_path / labels[0], 16, label="column:y")
        assert files_in(tmp_path / "C") == files_in(tmp_path / labels[0])
        assert presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y").kept == 2
    table("7", "3", "7")
    assert presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y").rejected == []
    assert Cache.open(tmp_path / "C").vocab == [3, 7]
    table("", "", "")
    with pytest.raises(MissingLabelError, match="labels are missing in all of 3 items"):
        presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y")


def test_a_missing_label_without_a_cache_is_refused_and_may_have_a_class(pictures, tmp_path):
    (pictures / "t.csv").write_text("path,y\ncat/0.png,tom\ndog/1.png,\ncat/2.png,tom\ndog/3.png,rex\n")
    plain = DataBlock((ImageBlock, CategoryBlock), splitter=HALF, get_y=ColReader("y"), item_tfms=Resize(16))
    with pytest.raises(MissingLabelError, match=r"1 of 4 labels are missing, the first that of dog/1\.png: leave"):
        plain.dataloaders(pictures / "t.csv")
    assert len(plain.dataloaders(pictures / "t.csv", cache=tmp_path / "C").rows) == 3
    named = replace(plain, blocks=(ImageBlock, CategoryBlock(add_na=True)))
    for cache in (None, tmp_path / "D"):
        dls = named.dataloaders(pictures / "t.csv", cache=cache)
        assert (len(dls.rows), list(dls.vocab)) == (4, ["#na#", "rex", "tom"])


def test_class_folders_and_names_that_are_not_utf8(tmp_path, draw):
    for i, folder in enumerate((b"caf\xe9", b"tea")):
        draw(tmp_path / "src" / os.fsdecode(folder) / os.fsdecode(b"\xe9%d.png" % i), i)
    for cache, how in (("C", {"label": "parent"}), ("D", {"block": BLOCK})):
        presize(tmp_path / "src", tmp_path / cache, 16, **how)
        opened = Cache.open(tmp_path / cache)
        assert opened.vocab == [r"caf\xe9", "tea"]
        assert opened[r"caf\xe9/\xe90.png"].label == r"caf\xe9"
    assert CliRunner().invoke(main, ["export", str(tmp_path / "C"), str(tmp_path / "out")]).exit_code == 0
