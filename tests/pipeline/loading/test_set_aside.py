"""What became no row of a cache: set aside with its reason, counted, named; and no class without a row."""

import json
import os
import subprocess
import sys
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
from onewarp.pipeline.dataset.splits import FuncSplitter, RandomSplitter
from onewarp.pipeline.presizing.file_hashes import load_hash_memo
from onewarp.transforms import Resize

BLOCK = DataBlock(
    blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label, item_tfms=Resize(16)
)
HALF = RandomSplitter(0.5, seed=1)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


def test_a_class_has_a_number_as_long_as_it_has_a_row(littered, tmp_path, draw):
    """And the cache is the same whatever its history: broken first, mended, broken again."""
    cache = tmp_path / "C"
    assert presize(littered, cache, 16, label="parent").decoded == 12
    assert Cache.open(cache).vocab == ["cat", "dog"]
    before = files(cache)
    again = presize(littered, cache, 16, label="parent")
    assert (again.decoded, again.copied, again.kept, files(cache)) == (0, 0, 12, before)

    draw(littered / "bird" / "broken.jpg", 30)
    mended = presize(littered, cache, 16, label="parent")
    assert (mended.decoded, mended.copied, Cache.open(cache).vocab) == (1, 12, ["bird", "cat", "dog"])
    presize(littered, tmp_path / "fresh", 16, label="parent")
    assert files(cache) == files(tmp_path / "fresh")

    (littered / "bird" / "broken.jpg").write_bytes(b"nothing")
    assert presize(littered, cache, 16, label="parent").copied == 12
    assert files(cache) == before
    assert Cache.open(cache)["dog/1.png"].label == "dog"


def test_a_file_that_is_set_aside_before_it_is_read_comes_and_goes(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16)
    before = files(tmp_path / "C")
    (pictures / "cat" / "a.heic").touch()
    done = presize(pictures, tmp_path / "C", 16)
    assert (done.kept, [entry.key for entry in done.rejected]) == (12, ["cat/a.heic"])
    assert [entry["key"] for entry in Cache.open(tmp_path / "C").rejected()] == ["cat/a.heic"]
    (pictures / "cat" / "a.heic").unlink()
    presize(pictures, tmp_path / "C", 16)
    assert files(tmp_path / "C") == before


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


def test_a_row_whose_label_is_missing_is_set_aside_until_it_has_one(pictures, tmp_path):
    def table(*labels):
        names = ["cat/0.png", "dog/1.png", "cat/2.png"]
        lines = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
        (pictures / "t.csv").write_text("\n".join(["path,y", *lines]) + "\n")

    for labels, missing in ((("tom", "", "rex"), "dog/1.png"), (("7", "3", ""), "cat/2.png")):
        table(*labels)
        done = presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y")
        assert [(entry.key, entry.reason) for entry in done.rejected] == [(missing, "label: is missing")]
        presize(pictures / "t.csv", tmp_path / labels[0], 16, label="column:y")
        assert files(tmp_path / "C") == files(tmp_path / labels[0])
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


def test_several_labels_in_one_column_are_noticed(pictures, tmp_path):
    tags = ["yellow spring", "red spring", "red", "yellow", "yellow red", "spring"]
    (pictures / "t.csv").write_text(
        "path,y\n" + "".join(f"{'dog' if i % 2 else 'cat'}/{i}.png,{tag}\n" for i, tag in enumerate(tags))
    )
    (note,) = presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y").notes
    assert "'red spring' is one class of 6" in note
    assert "--label 'column:NAME: '" in note
    done = presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y: ")
    assert (done.notes, Cache.open(tmp_path / "C").vocab) == ((), ["red", "spring", "yellow"])


def test_a_class_that_no_training_item_has_is_named(pictures, tmp_path):
    rows = ["cat/0.png,tom,0", "dog/1.png,rex,1", "cat/2.png,tom,1"]
    (pictures / "t.csv").write_text("\n".join(["path,y,is_valid", *rows]))
    done = presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y", split="column:is_valid")
    assert done.notes == ("label: no training item has the label rex",)


@pytest.mark.parametrize("way", ["swap", "replace", "rewrite", "touch", "copy"])
def test_a_file_is_known_by_more_than_its_size_and_time(pictures, tmp_path, way):
    """What others put in a file's place with the same size and time is found, as git finds it."""
    one, two = pictures / "cat" / "0.png", pictures / "dog" / "3.png"
    data = one.read_bytes(), two.read_bytes()
    longest = max(map(len, data))
    for path, content in zip((one, two), data, strict=True):
        path.write_bytes(content.ljust(longest, b"\0"))
    for path in pictures.rglob("*.png"):
        os.utime(path, ns=(10**18, 10**18))
    settle(presize(pictures, tmp_path / "C", 16), pictures)
    first, second = one.read_bytes(), two.read_bytes()
    if way == "swap":
        os.rename(one, pictures / "aside")
        os.rename(two, one)
        os.rename(pictures / "aside", two)
    elif way in ("replace", "rewrite"):
        for path, content in ((one, second), (two, first)):
            if way == "replace":
                path.unlink()
            path.write_bytes(content)
            os.utime(path, ns=(10**18, 10**18))
    elif way == "touch":
        one.touch()
    else:
        (pictures / "cat" / "copy.png").write_bytes(first)
    done = presize(pictures, tmp_path / "C", 16)
    presize(pictures, tmp_path / "fresh", 16)
    assert files(tmp_path / "C") == files(tmp_path / "fresh")
    assert done.decoded == {"touch": 0, "copy": 1}.get(way, 2)


def settle(done, source):
    """What is remembered of files that changed a moment ago: as though the next run came an hour later."""
    memory, cache = load_hash_memo(os.path.abspath(source)), Cache.open(done.cache)
    rows = zip(cache.index.column("key").to_pylist(), cache.index.column("sha256").to_pylist(), strict=True)
    for key, digest in rows:
        found = os.stat(source / key)
        memory._entries[key] = ((found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino), digest)
    lines = [json.dumps([key, *stamp, digest]) + "\n" for key, (stamp, digest) in memory._entries.items()]
    memory.path.parent.mkdir(parents=True, exist_ok=True)
    memory.path.write_text("".join(lines))


def test_every_file_is_read_again_where_that_is_asked_for(pictures, tmp_path):
    done = presize(pictures, tmp_path / "C", 16)
    settle(done, pictures)
    wrong = pictures / "cat" / "0.png"
    memory = load_hash_memo(os.path.abspath(pictures))
    digest = memory.hash_of("cat/0.png", memory._entries["cat/0.png"][0])
    wrong.write_bytes((pictures / "cat" / "2.png").read_bytes())
    found = os.stat(wrong)
    stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    with memory.path.open("a") as file:  # a disk whose clock and inodes lie
        file.write(json.dumps(["cat/0.png", *stamp, digest]) + "\n")
    assert presize(pictures, tmp_path / "C", 16).kept == 12
    assert presize(pictures, tmp_path / "C", 16, rehash=True).decoded == 1


def test_a_user_without_a_home_can_presize(pictures, tmp_path):
    """No HOME, and no entry in the list of users, as in containers: files are hashed each time."""
    program = (
        "import os; from onewarp.pipeline.presizing.file_hashes import load_hash_memo; "
        "os.setgid(54321); os.setuid(54321); "
        "memory = load_hash_memo('/nowhere'); memory.add({'a': '0'}, {'a': (1, 2, 3, 4)}); print(memory.path)"
    )
    if os.geteuid() != 0:
        pytest.skip("needs the right to become another user")
    variables = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr


def by_folder(path):
    return path.parent.name


def test_a_function_of_ones_own_labels_and_splits(pictures, tmp_path):
    """It stands in the footer by its name alone; nothing is decoded for nothing."""
    for _ in range(2):
        done = presize(pictures, tmp_path / "C", 16, label=by_folder, split=FuncSplitter(lambda path: path.stem == "0"))
    assert (done.decoded, done.copied, done.kept) == (0, 0, 12)
    cache = Cache.open(tmp_path / "C")
    assert str(done.cache) not in str(cache.footer["pipeline"])
    assert "by_folder (not registered)" in str(cache.footer["pipeline"])
    assert " at 0x" not in str(cache.footer["pipeline"])  # the same in every process
    assert (cache.vocab, cache.splits) == (["cat", "dog"], {"train": 11, "valid": 1})
    assert presize(pictures, tmp_path / "C", 16, label="parent", split="none").copied == 12


def test_class_folders_and_names_that_are_not_utf8(tmp_path, draw):
    for i, folder in enumerate((b"caf\xe9", b"tea")):
        draw(tmp_path / "src" / os.fsdecode(folder) / os.fsdecode(b"\xe9%d.png" % i), i)
    for cache, how in (("C", {"label": "parent"}), ("D", {"block": BLOCK})):
        presize(tmp_path / "src", tmp_path / cache, 16, **how)
        opened = Cache.open(tmp_path / cache)
        assert opened.vocab == [r"caf\xe9", "tea"]
        assert opened[r"caf\xe9/\xe90.png"].label == r"caf\xe9"
    assert CliRunner().invoke(main, ["export", str(tmp_path / "C"), str(tmp_path / "out")]).exit_code == 0
