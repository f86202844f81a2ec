import numpy as np
import pytest
from PIL import Image

from onewarp.errors import UsageError
from onewarp.pipeline.cache.export import export
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.presizing.presizer import presize


def test_files_lie_under_split_and_label_and_hold_the_rows(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16, label="parent", split="random:0.25:1")
    cache = Cache.open(tmp_path / "C")
    assert export(cache, tmp_path / "out") == 12
    for key in cache.index.column("key").to_pylist():
        row = cache[key]
        with Image.open(tmp_path / "out" / row.split / key) as image:  # whose own folder is the label
            assert np.array_equal(np.asarray(image), row.pixels)


def test_an_image_file_is_copied_or_encoded_anew(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16, encoding="jpeg")
    cache = Cache.open(tmp_path / "C")
    export(cache, tmp_path / "same")
    assert (tmp_path / "same" / "cat" / "0.png.jpg").read_bytes() == cache.bytes_of(0)
    export(cache, tmp_path / "other", "webp")
    with Image.open(tmp_path / "other" / "cat" / "0.png.webp") as image:
        assert np.array_equal(np.asarray(image), cache["cat/0.png"].pixels)


def test_a_folder_with_something_in_it_and_keys_that_lead_out_are_refused(pictures, tmp_path):
    presize(pictures, tmp_path / "C", 16)
    with pytest.raises(UsageError, match="must be an empty folder"):
        export(Cache.open(tmp_path / "C"), pictures)
    (tmp_path / "t.csv").write_text("path,key\npictures/cat/0.png,../../escape\n")
    presize(tmp_path / "t.csv", tmp_path / "D", 16, key="key")
    with pytest.raises(UsageError, match="leads out of the folder"):
        export(Cache.open(tmp_path / "D"), tmp_path / "out")
    assert not (tmp_path.parent / "escape.png").exists()
