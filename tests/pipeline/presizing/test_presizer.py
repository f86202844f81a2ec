import os
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from onewarp.errors import CacheError, LabelError, SourceError, UsageError
from onewarp.pipeline import Beside, DataBlock, ImageBlock, MaskBlock
from onewarp.pipeline.cache.footer import COMMIT, footer_bytes
from onewarp.pipeline.cache.inspection import describe
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.dataset.items import get_image_files
from onewarp.pipeline.dataset.labels import RegexLabeller, parent_label
from onewarp.pipeline.dataset.splits import HashSplitter
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.decoding.decode import Decoding, decode_pixels
from onewarp.transforms.decoding.resizing import Sizing, resize
from onewarp.transforms.geometry import Resize


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _part_bytes(cache: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in cache.glob("part-*")}


def test_the_chapters_photos(pets, tmp_path):
    """489 photos of 37 breeds, two of them with a name that says what they are not; none is rejected."""
    done = presize(pets, tmp_path / "C", 128, label=r"regex:(.+)_\d+.jpg$", split="random:0.2:42")
    assert (done.rows, done.rejected, done.encoding) == (489, [], "raw")
    cache = Cache.open(tmp_path / "C")
    said = describe(cache)
    assert (said["rows"], said["classes"], said["rejected"]) == (489, 37, 0)
    assert (said["vocab"][21], said["vocab"][31]) == ("great_pyrenees", "samoyed")
    assert cache.splits == {"train": 392, "valid": 97}
    assert cache["Abyssinian_34.jpg"].label == "Abyssinian"
    assert list(cache.verify()) == []


@pytest.mark.parametrize("square", [None, "crop", "squish", "pad"])
def test_a_row_is_the_file_decoded_and_resized(pictures, tmp_path, square):
    presize(pictures, tmp_path / "C", 16, label="parent", split="hash:0.5", square=square)
    cache = Cache.open(tmp_path / "C")
    assert cache.index.column("key").to_pylist() == sorted(cache.index.column("key").to_pylist())
    for key in ("cat/0.png", "dog/11.png"):
        pixels, matrix = resize(decode_pixels(pictures / key, 16), Sizing(16, square))
        row = cache[key]
        assert np.array_equal(row.pixels, pixels)
        assert np.array_equal(row.matrix, matrix)
        assert row.label == key.split("/")[0]
        assert row.split == HashSplitter(0.5).names([key], [key])[0]
    field = pq.read_schema(cache.parts[0]).field("pixels")
    assert str(field.type) == ("binary" if square is None else f"fixed_size_binary[{16 * 16 * 3}]")


@pytest.mark.parametrize(("encoding", "worst"), [("raw", 0), ("png", 0), ("webp", 0), ("jpeg", 40)])
def test_encodings(pictures, tmp_path, encoding, worst):
    presize(pictures, tmp_path / "C", 16, encoding=encoding)
    cache = Cache.open(tmp_path / "C")
    row = cache["cat/4.png"]
    pixels, _ = resize(decode_pixels(pictures / "cat/4.png", 16), Sizing(16))
    assert np.abs(row.pixels.astype(int) - pixels).max() <= worst
    assert (row.label, row.split, cache.vocab, cache.splits) == (None, None, None, {})


def test_auto_keeps_raw_within_the_budget_and_jpeg_beyond_it(pictures, tmp_path):
    assert presize(pictures, tmp_path / "raw", 16, budget=1 << 20).encoding == "raw"
    assert presize(pictures, tmp_path / "jpeg", 16, budget=1000).encoding == "jpeg"
    assert presize(pictures, tmp_path / "jpeg", 16).encoding == "jpeg"  # what is there goes on


def test_the_same_input_gives_the_same_bytes_wherever_it_lies(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "far" / "away", copy_function=shutil.copyfile)
    for source, cache in ((pictures, "A"), (tmp_path / "far" / "away", "B")):
        presize(source, tmp_path / cache, 16, label="parent", split="random:0.25:7")
    assert _files(tmp_path / "A") == _files(tmp_path / "B")
    text = b"".join(_files(tmp_path / "A").values())
    assert str(tmp_path).encode() not in text


def test_a_second_run_does_nothing_and_a_third_only_what_is_new_or_changed(pictures, tmp_path, draw):
    cache = tmp_path / "C"
    assert presize(pictures, cache, 16).decoded == 12
    before = _part_bytes(cache)
    again = presize(pictures, cache, 16)
    assert (again.decoded, again.copied, again.kept) == (0, 0, 12)
    assert _part_bytes(cache) == before

    draw(pictures / "cat" / "new.png", 50)
    draw(pictures / "dog" / "1.png", 51)
    (pictures / "dog" / "3.png").unlink()
    third = presize(pictures, cache, 16)
    assert (third.rows, third.decoded, third.copied) == (12, 2, 10)
    presize(pictures, tmp_path / "fresh", 16)
    assert _files(cache) == _files(tmp_path / "fresh")  # as if there had been no history
    with pytest.raises(UsageError, match=r"'dog/3\.png' is not"):
        Cache.open(cache)["dog/3.png"]


def test_a_touched_file_is_hashed_and_not_decoded(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16)
    for path in pictures.rglob("*.png"):
        path.touch()
    again = presize(pictures, tmp_path / "C", 16)
    assert (again.decoded, again.copied, again.kept) == (0, 0, 12)


def test_other_labels_and_splits_rewrite_columns_without_decoding(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16, label="parent")
    done = presize(pictures, tmp_path / "C", 16, label=RegexLabeller(r"(\d)\.png$"), split="random:0.5:1")
    assert (done.decoded, done.copied) == (0, 12)
    cache = Cache.open(tmp_path / "C")
    assert cache["dog/11.png"].label == "1"
    assert cache.splits == {"train": 6, "valid": 6}


def test_other_pixels_are_refused_with_the_difference_named(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16)
    before = _files(tmp_path / "C")
    with pytest.raises(CacheError, match=r"made with other settings \(size was 16, now 20\)"):
        presize(pictures, tmp_path / "C", 20)
    assert _files(tmp_path / "C") == before
    presize(pictures, tmp_path / "C", 20, overwrite=True)
    assert Cache.open(tmp_path / "C").index.column("height")[0].as_py() == 20


def test_what_cannot_be_decoded_is_set_aside_with_its_reason(pictures, tmp_path):
    (pictures / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (pictures / "cat" / "empty.png").touch()
    done = presize(pictures, tmp_path / "C", 16, label="parent")
    assert done.rows == 12
    rejected = Cache.open(tmp_path / "C").rejected()
    assert [entry["key"] for entry in rejected] == ["cat/broken.jpg", "cat/empty.png"]
    assert rejected[1]["reason"] == "is empty"
    assert describe(Cache.open(tmp_path / "C"))["rejected"] == 2
    with pytest.raises(CacheError, match="2 files were rejected, more than max_rejected=1"):
        presize(pictures, tmp_path / "D", 16, max_rejected=1)
    assert presize(pictures, tmp_path / "D", 16, max_rejected=2).rows == 12


def test_a_rejected_file_is_tried_again_when_it_or_the_limits_change(pictures, tmp_path, draw):
    (pictures / "cat" / "broken.png").write_bytes(b"broken")
    tight = Decoding(max_pixels=900)
    first = presize(pictures, tmp_path / "C", 16, decoding=tight)
    assert {entry.key for entry in first.rejected} == {
        "cat/broken.png",
        "cat/2.png",
        "cat/8.png",
        "dog/5.png",
        "dog/11.png",
    }
    assert presize(pictures, tmp_path / "C", 16, decoding=tight).kept == first.rows
    draw(pictures / "cat" / "broken.png")
    done = presize(pictures, tmp_path / "C", 16)
    assert (done.rejected, done.decoded) == ([], 5)


def test_multiple_labels_and_numbers(tmp_path, draw):
    for i in range(3):
        draw(tmp_path / "src" / f"{i}.png", i)
    (tmp_path / "src" / "t.csv").write_text("image,tags,n\n0.png,b a,5\n1.png,,7\n2.png,b,5\n")
    from onewarp.pipeline.dataset.labels import ColReader

    presize(tmp_path / "src" / "t.csv", tmp_path / "C", 16, label=ColReader("tags", label_delim=" "))
    cache = Cache.open(tmp_path / "C")
    assert cache.index.column("label").to_pylist() == [[0, 1], [], [1]]
    assert cache["0.png"].label == ["a", "b"]
    presize(tmp_path / "src" / "t.csv", tmp_path / "D", 16, label="column:n")
    assert Cache.open(tmp_path / "D").vocab == [5, 7]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"source": "nowhere"}, SourceError, "does not exist"),
        ({"source": "empty"}, SourceError, "must hold image files"),
        ({"source": "text"}, SourceError, "must hold image files, but none of its 1 entries is one"),
        ({"label": r"regex:(\d+)\.jpg$"}, LabelError, r"pattern '\(\\\\d\+\)\\\\\.jpg\$' was not found in '0\.png'"),
        ({"label": "column:y"}, LabelError, "no row of a table"),
        ({"label": "mother"}, UsageError, "label must be none, parent"),
        ({"split": "random:x"}, UsageError, "split must be none, random"),
        ({"size": 0}, UsageError, "size must be a number of pixels from 1 up"),
        ({"encoding": "bmp"}, UsageError, "encoding must be one of raw"),
        ({"cache": "text/a.txt"}, UsageError, r"a\.txt is a file"),
        ({"cache": "text/a.txt/C"}, UsageError, "is a file"),
        ({"cache": "text"}, UsageError, r"holds a\.txt"),
        ({"scheduler": "gpu"}, UsageError, "scheduler must be threads, processes"),
        ({"workers": 0}, UsageError, "workers must be 1 or more"),
    ],
)
def test_bad_input_is_one_line(pictures, tmp_path, change, error, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").touch()
    settings = {"source": "pictures", "cache": "C", "size": 16, **change}
    source, cache = tmp_path / settings.pop("source"), tmp_path / settings.pop("cache")
    with pytest.raises(error, match=message) as raised:
        presize(source, cache, **settings)
    assert "\n" not in str(raised.value)


def test_nothing_but_broken_files_is_no_cache(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(CacheError, match=r"none of 1 files became a row; the first: a\.jpg is of no known"):
        presize(tmp_path / "src", tmp_path / "C", 16)


def test_what_is_no_cache_is_refused(pictures, tmp_path):
    with pytest.raises(CacheError, match="does not exist"):
        Cache.open(tmp_path / "C")
    with pytest.raises(CacheError, match="holds none"):
        Cache.open(pictures)
    presize(pictures, tmp_path / "C", 16)
    part = next((tmp_path / "C").glob("part-*"))
    whole = part.read_bytes()
    part.write_bytes(whole[:-100])
    with pytest.raises(CacheError, match=r"has [\d,]+ bytes, and the cache says"):
        Cache.open(tmp_path / "C")
    assert presize(pictures, tmp_path / "C", 16).decoded == 12
    assert part.read_bytes() == whole
    (tmp_path / "C" / "_cache.json").unlink()
    with pytest.raises(CacheError, match="not finished"):
        Cache.open(tmp_path / "C")
    assert presize(pictures, tmp_path / "C", 16).kept == 12


def test_a_damaged_row_is_named_and_made_anew(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16, label=parent_label)
    cache = Cache.open(tmp_path / "C")
    columns = cache.columns(5)
    with open(cache.parts[0], "r+b") as file:
        file.seek(columns["offset"] + 10)
        file.write(b"damaged")
    (line,) = Cache.open(tmp_path / "C").verify()
    assert columns["key"] in line
    assert cache.parts[0].name in line
    with pytest.raises(CacheError, match=r"is damaged: its checksum|was changed while it was read"):
        cache[columns["key"]]
    again = presize(pictures, tmp_path / "C", 16, label=parent_label)
    assert (again.decoded, again.copied) == (1, 11)
    assert list(Cache.open(tmp_path / "C").verify()) == []


def test_another_version_of_the_format_is_refused(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16)
    said = Cache.open(tmp_path / "C").footer
    (tmp_path / "C" / COMMIT).write_bytes(footer_bytes({**said, "format": 99}))
    with pytest.raises(CacheError, match=r"made by a newer version of onewarp \(format 99, this one reads 3\)"):
        Cache.open(tmp_path / "C")
    with pytest.raises(CacheError, match="newer version"):
        presize(pictures, tmp_path / "C", 16)


def test_a_jpeg_of_a_phone_is_upright_and_its_matrix_leads_to_the_file(shared, tmp_path):
    (tmp_path / "src").mkdir()
    shutil.copy(shared / "phone" / "images__ten_1.jpg", tmp_path / "src" / "a.jpg")
    presize(tmp_path / "src", tmp_path / "C", 100)
    cache = Cache.open(tmp_path / "C")
    columns, row = cache.columns(0), cache["a.jpg"]
    with Image.open(tmp_path / "src" / "a.jpg") as image:
        width, height = image.size
    assert (columns["original_height"], columns["original_width"], columns["orientation"]) == (height, width, 6)
    tall, wide = row.pixels.shape[:2]
    assert (row.matrix @ [0, 0, 1])[:2] == pytest.approx([0, height])
    assert (row.matrix @ [wide, tall, 1])[:2] == pytest.approx([width, 0])


def snapshot(folder):
    """What any write to a folder would change: its own times, and name, inode and times of its files."""
    return {
        (p.name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
        for p in [folder, *folder.iterdir()]
        for s in [p.stat()]
    }


def test_a_finished_cache_is_not_written_to(pictures, tmp_path):
    (pictures / "bad.png").write_bytes(b"bad")
    settings = {"label": "parent", "split": "hash:0.3"}
    first = presize(pictures, tmp_path / "C", 16, **settings)
    before = snapshot(tmp_path / "C")
    again = presize(pictures, tmp_path / "C", 16, **settings)
    assert (again.rows, again.kept, again.rejected) == (first.rows, 12, first.rejected)
    assert snapshot(tmp_path / "C") == before
    os.utime(pictures / "cat" / "0.png")  # read again, and found to be the same
    assert presize(pictures, tmp_path / "C", 16, **settings).kept == 12
    assert snapshot(tmp_path / "C") == before
    assert presize(pictures, tmp_path / "C", 16, label="parent").copied == 12
    assert snapshot(tmp_path / "C") != before


def test_dataloaders_over_a_finished_cache_write_nothing(pictures, tmp_path):
    """With masks, of which only reading tells whether they are still the same."""
    (tmp_path / "masks").mkdir()
    for path in get_image_files(pictures):
        with Image.open(path) as image:
            Image.new("L", image.size, 1).save(tmp_path / "masks" / path.name)
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock),
        get_items=get_image_files,
        splitter=HashSplitter(0.3),
        get_y=Beside("../../masks", ".png"),
        item_tfms=Resize(16),
    )
    block.dataloaders(pictures, cache=tmp_path / "C")
    before = snapshot(tmp_path / "C")
    assert len(block.dataloaders(pictures, cache=tmp_path / "C", bs=4).one_batch()[0]) == 4
    assert snapshot(tmp_path / "C") == before


def test_refused_files_do_not_choose_the_encoding(tmp_path, draw):
    """A header of a huge, or of a negative, width promises nothing."""
    for i in range(3):
        draw(tmp_path / "src" / f"{i}.png", i)
    draw(tmp_path / "src" / "negative.bmp")
    data = bytearray((tmp_path / "src" / "negative.bmp").read_bytes())
    data[18:22] = (-4).to_bytes(4, "little", signed=True)
    (tmp_path / "src" / "negative.bmp").write_bytes(data)
    done = presize(tmp_path / "src", tmp_path / "C", 16)
    assert (done.rows, done.encoding, [entry.key for entry in done.rejected]) == (3, "raw", ["negative.bmp"])


@pytest.mark.parametrize(("encoding", "longest"), [("jpeg", 65_500), ("webp", 16_383)])
def test_what_an_encoding_cannot_hold_is_set_aside_with_the_cure(tmp_path, draw, encoding, longest):
    draw(tmp_path / "src" / "a.png")
    draw(tmp_path / "src" / "long.png", size=(1, longest + 1))
    done = presize(tmp_path / "src", tmp_path / "C", 16, encoding=encoding)
    assert done.rows == 1
    assert [entry.key for entry in done.rejected] == ["long.png"]
    assert f"{encoding} holds {longest:,} on a side: keep it as png or raw" in done.rejected[0].reason


def test_a_file_that_is_accepted_though_it_is_cut_off_is_named_with_what_it_lacks(tmp_path, draw):
    draw(tmp_path / "src" / "a.jpg", size=(300, 400), quality=95)
    whole = (tmp_path / "src" / "a.jpg").read_bytes()
    (tmp_path / "src" / "b.jpg").write_bytes(whole[: len(whole) // 2])
    done = presize(tmp_path / "src", tmp_path / "C", 16, decoding=Decoding(truncated="accept"))
    assert done.rows == 2
    assert list(done.lacks) == ["b.jpg"]
    assert re.fullmatch(r"cut off: \d+% of its rows are missing", done.lacks["b.jpg"])


def test_the_rows_are_the_same_whatever_memory_and_workers_there_are(tmp_path, pictures):
    """A file that needs more than a worker's share waits, and is not refused."""
    expected = presize(pictures, tmp_path / "one", 16, workers=1)
    crowded = presize(pictures, tmp_path / "many", 16, workers=8, memory=1 << 16)
    assert (crowded.rows, crowded.rejected) == (expected.rows, [])
    one, many = ({path.name: path.read_bytes() for path in (tmp_path / c).iterdir()} for c in ("one", "many"))
    assert one == many
