"""`onewarp serve --writable`: what is refused before the server listens. Servers that run are in test_upload.py."""

import pytest

from onewarp.cli import main
from onewarp.pipeline.presizing.growth import GrowingCache
from onewarp.pipeline.presizing.growth_settings import GrowthSettings


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """refused(*words): what `onewarp serve` says when it refuses to start."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(["serve", *words])
        assert end.value.code == 2
        return capsys.readouterr().err

    return run


def test_settings_that_cannot_be_used_are_refused(refused, tmp_path):
    assert "--writable must be the name of a cache (pets), but got 'cats'" in refused("pets", "--writable", "cats")
    assert "--size needs a cache that grows: give --writable NAME" in refused("pets", "--size", "64")
    assert "--label must be column:label" in refused("pets", "--writable", "pets", "--label", "column:breed")
    assert not (tmp_path / "pets").exists()


def test_settings_that_are_not_those_of_the_first_time_are_refused(refused, tmp_path):
    GrowingCache("pets", tmp_path / "pets", GrowthSettings(64, "parent"))
    assert "(size was 64, now 32)" in refused("pets", "--writable", "pets", "--size", "32", "--label", "parent")


def test_only_the_settings_that_are_given_are_compared(tmp_path):
    GrowingCache("pets", tmp_path / "pets", GrowthSettings(64, "parent"))
    assert GrowingCache("pets", tmp_path / "pets", {"label": "parent"}).settings == GrowthSettings(64, "parent")
    assert GrowingCache("cats", tmp_path / "cats", {"size": 32}).settings == GrowthSettings(32)


def test_a_folder_of_other_things_is_refused(refused, tmp_path):
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "mine.txt").write_text("")
    assert "holds mine.txt" in refused("pets", "--writable", "pets")
