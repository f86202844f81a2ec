import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from onewarp.errors import CacheError, LabelError, SourceError, UsageError
from onewarp.pipeline.cache.inspection import describe
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.dataset.splits import HashSplitter
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.decoding.decode import decode_pixels
from onewarp.transforms.decoding.resizing import Sizing, resize


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


def test_the_same_input_gives_the_same_bytes_wherever_it_lies(pictures, tmp_path, files_in):
    shutil.copytree(pictures, tmp_path / "far" / "away", copy_function=shutil.copyfile)
    for source, cache in ((pictures, "A"), (tmp_path / "far" / "away", "B")):
        presize(source, tmp_path / cache, 16, label="parent", split="random:0.25:7")
    assert files_in(tmp_path / "A") == files_in(tmp_path / "B")
    text = b"".join(files_in(tmp_path / "A").values())
    assert str(tmp_path).encode() not in text


def test_a_second_run_does_nothing_and_a_third_only_what_is_new_or_changed(pictures, tmp_path, draw, files_in):
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
    assert files_in(cache) == files_in(tmp_path / "fresh")  # as if there had been no history
    with pytest.raises(UsageError, match=r"'dog/3\.png' is not"):
        Cache.open(cache)["dog/3.png"]


def test_a_touched_file_is_hashed_and_not_decoded(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16)
    for path in pictures.rglob("*.png"):
        path.touch()
    again = presize(pictures, tmp_path / "C", 16)
    assert (again.decoded, again.copied, again.kept) == (0, 0, 12)


def test_other_pixels_are_refused_with_the_difference_named(pictures, tmp_path, files_in):
    presize(pictures, tmp_path / "C", 16)
    before = files_in(tmp_path / "C")
    with pytest.raises(CacheError, match=r"made with other settings \(size was 16, now 20\)"):
        presize(pictures, tmp_path / "C", 20)
    assert files_in(tmp_path / "C") == before
    presize(pictures, tmp_path / "C", 20, overwrite=True)
    assert Cache.open(tmp_path / "C").index.column("height")[0].as_py() == 20


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


def test_the_rows_are_the_same_whatever_memory_and_workers_there_are(tmp_path, pictures):
    """A file that needs more than a worker's share waits, and is not refused."""
    expected = presize(pictures, tmp_path / "one", 16, workers=1)
    crowded = presize(pictures, tmp_path / "many", 16, workers=8, memory=1 << 16)
    assert (crowded.rows, crowded.rejected) == (expected.rows, [])
    one, many = ({path.name: path.read_bytes() for path in (tmp_path / c).iterdir()} for c in ("one", "many"))
    assert one == many
