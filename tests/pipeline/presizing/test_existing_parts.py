"""What earlier runs have left, and what of it a new run takes over."""

import pytest

from onewarp.pipeline.cache.parts import row_bytes
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.cache.recipe import Recipe
from onewarp.pipeline.presizing.existing_parts import ExistingParts, find_parts
from onewarp.pipeline.presizing.presizer import presize
from onewarp.transforms.decoding.decode import Decoding


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


LIMITS = Recipe().limits()


@pytest.fixture
def folder(pictures, tmp_path):
    """A cache of twelve rows and a file that was rejected."""
    (pictures / "bad.png").write_bytes(b"no picture")
    presize(pictures, tmp_path / "C", 16)
    return tmp_path / "C"


def test_a_prior_result_is_a_row_and_where_it_lies_or_a_rejection(folder):
    existing, cache = find_parts(folder, verify=False), Cache.open(folder)
    for number, key in enumerate(cache.index.column("key").to_pylist()):
        prior, columns = existing.find(key, LIMITS), cache.columns(number)
        assert (prior.sha256, prior.row["key"], prior.rejected) == (columns["sha256"], key, None)
        assert row_bytes(*prior.location, prior.row["length"]) == cache.bytes_of(number)
    bad = existing.find("bad.png", LIMITS)
    assert (bad.row, bad.rejected.key, len(bad.sha256)) == (None, "bad.png", 64)
    assert existing.find("new.png", LIMITS) is None
    assert existing.rejections() == {"bad.png"}


def test_under_other_limits_a_rejection_is_none_and_a_row_only_where_it_is_too_large(folder):
    existing = find_parts(folder, verify=False)
    fewer = {**LIMITS, "max_pixels": 28 * 32}
    assert existing.find("bad.png", fewer) is None
    assert existing.find("cat/0.png", fewer) is not None  # of 24 x 32 pixels
    assert existing.find("cat/2.png", fewer) is None  # of 32 x 32


def test_a_part_is_found_for_exactly_its_files_under_its_limits(folder):
    existing = find_parts(folder, verify=False)
    (part,) = existing.parts
    keys = [*part.rows.column("key").to_pylist(), "bad.png"]
    assert existing.find_part(keys, LIMITS) is part
    assert existing.find_part(keys[::-1], LIMITS) is part
    for others in (keys[1:], keys[:-1], [*keys, "new.png"], ["new.png", *keys]):
        assert existing.find_part(others, LIMITS) is None
    assert existing.find_part(keys, {**LIMITS, "max_bytes": 5}) is None


def test_rows_of_a_later_part_win(folder, pictures, tmp_path, draw):
    draw(pictures / "cat" / "0.png", 99)
    presize(pictures, tmp_path / "D", 16)
    existing = find_parts(folder, verify=False)
    later = find_parts(tmp_path / "D", verify=False).parts[0]
    before = existing.find("cat/0.png", LIMITS)
    existing.add(later)
    after = existing.find("cat/0.png", LIMITS)
    assert before.sha256 != after.sha256
    assert after.location[0] == str(later.path)


def test_damaged_parts_are_none_and_damaged_rows_are_found_where_they_are_looked_for(folder):
    part = next(folder.glob("part-*"))
    data = bytearray(part.read_bytes())
    keys = find_parts(folder, verify=False).parts[0].rows.column("key").to_pylist()
    place = find_parts(folder, verify=False).parts[0].rows.column("offset")[3].as_py()
    data[place] ^= 1
    part.write_bytes(data)
    assert find_parts(folder, verify=False).find_part([*keys, "bad.png"], LIMITS) is not None
    assert find_parts(folder, verify=True).find_part([*keys, "bad.png"], LIMITS) is None
    part.write_bytes(data[:-5])
    assert find_parts(folder, verify=False).parts == []


def test_parts_are_outdated_when_a_file_of_the_cache_comes_goes_or_changes(folder):
    existing = find_parts(folder, verify=False)
    assert not existing.is_outdated()
    (folder / ".lock").touch()
    assert not existing.is_outdated()
    part = next(folder.glob("part-*"))
    part.write_bytes(part.read_bytes())
    assert existing.is_outdated()
    for change in (lambda: (folder / "part-1").touch(), (folder / "_cache.json").unlink):
        existing = find_parts(folder, verify=False)
        change()
        assert existing.is_outdated()
    assert not ExistingParts().is_outdated()
