import copy
import json

import pytest

from onewarp.benchmarks import augment, load, readme
from onewarp.benchmarks.measuring import results
from onewarp.errors import UsageError


def row(name, threads, rate):
    rates = [0.9 * rate, rate, 1.1 * rate]
    return {"name": name, "threads": threads, "status": "measured", "images_per_second": {"clock": rates, "cpu": rates}}


@pytest.fixture
def speed():
    rows = [
        row("peer", 1, 10.0),
        row(augment.ALONE, 1, 50.0),
        row(augment.FUSED, 1, 1000.0),
        row(augment.FUSED, 2, 1900.0),
    ]
    rows += [{"name": "absent", "threads": n, "status": "not installed", "reason": "not installed"} for n in (1, 2)]
    return {**results.about("augment", "cpu", {"batch": 64}), "rows": rows, "asked": augment.asked(rows, 2)}


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


def test_a_result_is_written_and_read_again(tmp_path, speed):
    path = results.write(speed, tmp_path)
    assert path.name.startswith("augment--")
    assert path.name.endswith("--cpu.json")
    assert results.read("augment", folder=tmp_path) == [speed]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("commit",), None),
        (("machine",), "a fast one"),
        (("rows", 0, "status"), "fine"),
        (("rows", 0, "images_per_second"), None),
        (("rows", 0, "images_per_second", "cpu"), [3.0, 2.0, 4.0]),
        (("rows", 0, "images_per_second", "cpu"), [0.0, 2.0, 4.0]),
        (("rows", 4, "reason"), None),
        (("asked", 0, "holds"), "yes"),
    ],
)
def test_another_shape_is_refused(speed, place, value):
    results.check(speed)
    broken = copy.deepcopy(speed)
    *way, last = place
    there = broken
    for step in way:
        there = there[step]
    there[last] = value
    with pytest.raises(UsageError):
        results.check(broken)


def test_what_is_asked_is_a_ratio_of_medians(speed):
    found = {one["measure"]: one for one in speed["asked"]}
    assert found[f"{augment.FUSED}, times {augment.ALONE}"]["got"] == 20
    assert found[f"{augment.FUSED}, two threads over one"] == {
        "measure": f"{augment.FUSED}, two threads over one",
        "asked": 1.8,
        "got": 1.9,
        "holds": True,
    }


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


def test_the_results_that_are_kept_have_the_right_shape():
    for suite in results.ROWS:
        for found in results.read(suite):
            assert json.dumps(found)
            assert results.slug(found).startswith(suite)


def test_loading_is_told_beside_its_peers():
    def group(reader, rate, workers=1, state="sequential"):
        quartiles = {"rows_per_second_clock": [0, rate, 0], "over_copy_clock": [0, rate / 20, 0]}
        return {"reader": reader, "state": state, "workers": workers, **quartiles}

    groups = [
        group("onewarp", 16),
        group("onewarp", 24, workers=2),
        group("FFCV", 8),
        group("FFCV", 8, state="scattered"),
    ]
    found = {one["measure"]: (one["got"], one["holds"]) for one in load.asked(groups)}
    assert found == {
        "load: onewarp, times a copy within memory": (0.8, True),
        "load: onewarp, times FFCV": (2.0, True),
        "load: two threads times one, onewarp": (1.5, False),
    }
    lines = readme.load_table({"measured": groups}).splitlines()
    assert lines[2:] == [
        "| onewarp | sequential | 1 | 16 | 0.800 |",
        "| FFCV | sequential | 1 | 8 | 0.400 |",
        "| onewarp | sequential | 2 | 24 | 1.200 |",
        "| FFCV | scattered | 1 | 8 | 0.400 |",
    ]
