import pytest

from onewarp.pipeline.dataset.sources import FolderSource
from onewarp.pipeline.presizing.encoding_choice import choose_encoding
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.decoding.decode import Decoding
from onewarp.transforms.decoding.resizing import Sizing


def test_auto_keeps_raw_within_the_budget_and_jpeg_beyond_it(pictures, tmp_path):
    assert presize(pictures, tmp_path / "raw", 16, budget=1 << 20).encoding == "raw"
    assert presize(pictures, tmp_path / "jpeg", 16, budget=1000).encoding == "jpeg"
    assert presize(pictures, tmp_path / "jpeg", 16).encoding == "jpeg"  # what is there goes on


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


def test_the_bytes_expected_are_those_of_the_sizes_that_rows_get(pictures):
    """Four pictures each of 16 x 21, 16 x 18 and 16 x 16 pixels; one more, that is none, counts as nothing."""
    source = FolderSource(str(pictures))
    expected = 3 * 4 * 16 * (21 + 18 + 16)
    for budget, encoding in ((expected, "raw"), (expected - 1, "jpeg")):
        choice, size = choose_encoding(source.items(), source, Sizing(16), Decoding(), budget)
        assert choice == encoding
        assert (size == expected) == (encoding == "raw")
    assert choose_encoding(source.items(), source, Sizing(16, "crop"), Decoding(), 1 << 20)[1] == 3 * 12 * 16 * 16
    (pictures / "bad.png").write_bytes(b"no picture")
    assert choose_encoding(source.items(), source, Sizing(16), Decoding(), 1 << 20) == ("raw", expected)


def test_of_many_files_a_few_are_looked_at_evenly_spaced(tmp_path, draw):
    """The first half is four times as large as the second: only a sample of both is right."""
    for i in range(300):
        draw(tmp_path / f"{i:03}.png", i, (16, 16) if i < 150 else (8, 8))
    source, read = FolderSource(str(tmp_path)), []

    class CountingSource(FolderSource):
        def read(self, place):
            read.append(place)
            return super().read(place)

    _, size = choose_encoding(source.items(), CountingSource(source.root), Sizing(16), Decoding(), 1 << 20)
    assert len(read) == len(set(read)) == 64
    assert size == pytest.approx(3 * 150 * (256 + 64), rel=0.1)
