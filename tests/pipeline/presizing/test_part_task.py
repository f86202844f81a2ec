"""The files of one part: made into rows, taken over, or set aside with the reason."""

import re

import pytest

from onewarp.errors import CacheError
from onewarp.pipeline.cache.inspection import describe
from onewarp.pipeline.cache.parts import Rejection
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.cache.validation import PART_NAME
from onewarp.pipeline.dataset.sources import FolderSource
from onewarp.pipeline.presizing.part_task import PriorResult, part_name
from onewarp.pipeline.presizing.presizer import presize
from onewarp.pipeline.presizing.target_values import RawTargets
from onewarp.transforms.decoding.decode import Decoding


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


def test_a_file_that_is_too_large_is_not_read(pictures, tmp_path):
    (pictures / "large.png").write_bytes(b"x" * 5000)
    done = presize(pictures, tmp_path / "C", 16, decoding=Decoding(max_bytes=4000))
    assert [(entry.key, entry.reason, entry.bytes, entry.sha256) for entry in done.rejected] == [
        ("large.png", "has 5,000 bytes, and max_bytes is 4,000", 5000, None)
    ]


def test_a_file_that_cannot_be_read_is_set_aside_and_tried_again(pictures, tmp_path):
    class Failing(FolderSource):
        def read(self, place):
            if place.endswith("dog/3.png"):
                raise OSError(5, "Input/output error")
            return super().read(place)

    done = presize(Failing(str(pictures)), tmp_path / "C", 16)
    assert [(entry.key, entry.reason) for entry in done.rejected] == [
        ("dog/3.png", "cannot be read: Input/output error")
    ]
    again = presize(pictures, tmp_path / "C", 16)
    assert (again.rejected, again.decoded, again.copied) == ([], 1, 11)


def test_a_result_fits_what_was_drawn_on_its_photo_alone():
    """A picture that was refused needs nothing drawn on it; what was refused for its mask needs another one."""
    old, new, none = RawTargets({}, "1"), RawTargets({}, "2"), RawTargets({}, None)
    row = PriorResult("ab", row={"targets_sha256": "1"})
    assert [row.fits(targets) for targets in (old, new, none)] == [True, False, False]
    plain = PriorResult("ab", row={})
    assert [plain.fits(targets) for targets in (old, none)] == [False, True]
    picture = PriorResult("ab", rejected=Rejection("a", "is empty"))
    mask = PriorResult("ab", rejected=Rejection("a", "mask: is empty", targets="1"))
    assert [picture.fits(targets) for targets in (old, new, none)] == [True, True, True]
    assert [mask.fits(targets) for targets in (old, new, none)] == [True, False, False]


def test_names_of_parts_sort_as_their_numbers_do():
    names = [part_name(number, "0123456789abcdef") for number in (0, 9, 10, 99_999)]
    assert names == sorted(names)
    assert all(PART_NAME.fullmatch(name) for name in (*names, part_name(123_456, "0123456789abcdef")))


def test_a_row_that_is_damaged_is_made_of_its_file_and_others_are_copied(pictures, tmp_path, files_in):
    presize(pictures, tmp_path / "C", 16)
    before, cache = files_in(tmp_path / "C"), Cache.open(tmp_path / "C")
    data = bytearray(before[cache.parts[0].name])
    for row in (2, 7):
        data[cache.columns(row)["offset"] + 3] ^= 16
    cache.parts[0].write_bytes(data)
    done = presize(pictures, tmp_path / "C", 16)
    assert (done.decoded, done.copied) == (2, 10)
    assert files_in(tmp_path / "C") == before
