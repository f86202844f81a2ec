"""Which files kill or hang the process that decodes them, and which are killed from outside."""

import hashlib

import pytest

from onewarp.errors import ResourceError
from onewarp.pipeline.cache.recipe import Recipe
from onewarp.pipeline.presizing import crash_search
from onewarp.transforms.decoding.decode import Decoding


def test_what_kills_and_what_hangs_is_told_apart(poisoned, draw, tmp_path):
    for name in ("0.png", "1-segfault.png", "2-hang.png", "3.png"):
        draw(tmp_path / "src" / name)
    source = poisoned(str(tmp_path / "src"))
    files = [(item.key, item.place) for item in source.items()]
    found = crash_search.find_crash_causes(source, Recipe(decoding=Decoding(max_seconds=1)), files)
    assert {key: killer.reason for key, killer in found.items()} == {
        "1-segfault.png": "kills the process that decodes it (signal 11)",
        "2-hang.png": "takes longer to decode than max_seconds allows",
    }


def test_a_file_that_breaks_the_process_for_a_later_one_is_the_one_that_is_found(poisoned, draw, tmp_path):
    for name in ("0.png", "1-scribble.png", "2.png", "3.png", "4.png", "5-segfault.png"):
        draw(tmp_path / "src" / name)
    source = poisoned(str(tmp_path / "src"))
    found = crash_search.find_crash_causes(source, Recipe(), [(item.key, item.place) for item in source.items()])
    expected = {
        name: hashlib.sha256((tmp_path / "src" / name).read_bytes()).hexdigest() for name in ("1-scribble.png",)
    }
    assert {key: killer.sha256 for key, killer in found.items()} == {**expected, "5-segfault.png": None}


def test_files_whose_processes_are_killed_from_outside_are_not_refused(poisoned, draw, tmp_path, monkeypatch):
    """A neighbour eats memory: the system kills the process that looks into a file, once, and then always."""
    for name in ("0.png", "1-once.png", "2.png"):
        draw(tmp_path / "src" / name)
    source = poisoned(str(tmp_path / "src"))
    files = [(item.key, item.place) for item in source.items()]
    monkeypatch.setattr(crash_search, "_PAUSE", 0.0)
    assert crash_search.find_crash_causes(source, Recipe(), files) == {}
    assert (tmp_path / "src" / "1-once.png.killed").exists()
    draw(tmp_path / "src" / "3-killed.png")
    files = [(item.key, item.place) for item in source.items()]
    with pytest.raises(ResourceError, match="no file was refused for it"):
        crash_search.find_crash_causes(source, Recipe(), files)
