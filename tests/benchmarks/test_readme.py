"""The tables of the pages, from results."""

import re
from pathlib import Path

import pytest

from onewarp.benchmarks import augment, readme
from onewarp.benchmarks.bench_commands import bench
from onewarp.benchmarks.measuring import results
from onewarp.errors import UsageError


@pytest.fixture
def quality():
    rows = [
        {
            "name": name,
            "setting": "460 -> 224",
            "status": "measured",
            "psnr": {"mean": db, "least": db - 1, "photos": 2},
        }
        for name, db in ((augment.FUSED, 55.25), ("peer", 40.0))
    ]
    return {**results.about("quality", "cpu", {"photos": 2}), "rows": rows, "asked": []}


def test_the_headline_is_fused_beside_one_at_a_time(speed, quality):
    lines = readme.speed_table(speed, quality["rows"]).splitlines()
    assert lines[2] == f"| **{augment.FUSED}** | 1,000 |  | 1,900 | 55.2 dB |  |"
    assert lines[3].startswith(f"| **{augment.ALONE}** | 50 | 20.0 x |")
    assert lines[4] == "| peer | 10 | 100.0 x |  | 40.0 dB |  |"
    assert lines[5].startswith("| absent | not installed |")


def test_tables_stand_between_their_marks():
    page = "a\n<!-- table: begin -->\nold\n<!-- table: end -->\nb"
    made = readme.between(page, "table", "new\n")
    assert made == "a\n<!-- table: begin -->\nnew\n<!-- table: end -->\nb"
    assert readme.between(made, "table", "new\n") == made
    with pytest.raises(UsageError, match="marks"):
        readme.between("nothing", "table", "new\n")


def test_the_pages_are_what_the_results_give():
    for path, text in readme.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run python -m onewarp.benchmarks.readme"


def test_loading_is_told_beside_its_peers(loading):
    lines = readme.load_table({"measured": loading}).splitlines()
    assert lines[2:] == [
        "| onewarp | sequential | 1 | 16 | 0.800 |",
        "| FFCV | sequential | 1 | 8 | 0.400 |",
        "| onewarp | sequential | 2 | 24 | 1.200 |",
        "| FFCV | scattered | 1 | 8 | 0.400 |",
    ]


def test_what_was_asked_stands_beside_what_was_measured_and_losses_too(speed):
    lines = readme.goals_table([speed, {"asked": [results.goal("kills", 50, 49)]}]).splitlines()
    assert f"| {augment.FUSED}, times {augment.ALONE} | 2.5 | 20.0 |  |" in lines
    assert lines[-1] == "| kills | 50 | 49 | **missed** |"


def test_a_caption_says_on_what_and_of_what_a_table_was_measured(speed):
    found = {**speed, "commit": "abc", "versions": {"python": "3.11", "torch": "2.15"}}
    found["machine"] = {"processor": "A processor", "cores": 2, "load_average": 1.5}
    words = "A processor, 2 cores, load average 1.5; commit abc; batch 64; python 3.11, torch 2.15."
    assert readme.caption(found) == f"\n{words}\n"


def test_who_was_never_measured_is_in_the_table_of_quality_with_the_reason(quality):
    rows = [*quality["rows"], {"name": "absent", "setting": "460 -> 224", "status": "not installed", "reason": "no"}]
    lines = readme.quality_table({"rows": rows}).splitlines()
    assert lines[2:] == [
        f"| {augment.FUSED} | 55.2 (54.2) |",
        "| peer | 40.0 (39.0) |",
        "| absent, not installed |  |",
    ]


def test_every_program_of_the_folder_has_a_row_with_its_command():
    folder = Path(readme.__file__).parent
    programs = {path.stem for path in folder.glob("*.py") if 'if __name__ == "__main__"' in path.read_text()}
    programs |= {path.parent.name for path in folder.glob("*/__main__.py")} | {*bench.commands}
    page = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(?:python -m onewarp\.benchmarks\.|onewarp bench |benchmarks/)(\w+)", page, re.MULTILINE)
    assert programs == set(rows)
