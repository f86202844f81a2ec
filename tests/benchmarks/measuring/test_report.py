"""The JSON of a run on a GPU: what is kept, what is put aside, and the table that is made of it."""

import json

import pytest

from onewarp.benchmarks.measuring.report import Report

MACHINE = {"machine": "x86_64", "device": "A GPU", "torch": "2", "back ends": {}, "sources": "abc", "commit": "1"}


@pytest.fixture
def report(tmp_path):
    return Report.open(tmp_path / "out", MACHINE, dry=False)


def figure(name, median, beside=None):
    times = {"median": median, "lower": median - 1, "upper": median + 1, "images_per_second": 64 / median * 1e6}
    return {"name": name, "images": 64, "beside": beside, **times}


def test_a_report_goes_on_where_machine_and_sources_are_the_same(report):
    report.put("parts", "warp", "done")
    again = Report.open(report.path.parent, {**MACHINE, "commit": "2"}, dry=False)
    assert again.path == report.path
    assert again.state("warp") == "done"
    assert again.state("tests") == "not begun"
    assert again.read()["machine"]["commit"] == "2"
    assert report.path.name.endswith("--A-GPU.json")


def test_one_of_other_sources_is_put_aside(report, capsys):
    report.put("parts", "warp", "done")
    other = Report.open(report.path.parent, {**MACHINE, "sources": "def"}, dry=False)
    assert other.state("warp") == "not begun"
    aside = report.path.with_name(f"{report.path.stem}--abc.json")
    assert json.loads(aside.read_text())["parts"] == {"warp": "done"}
    assert f"it is put aside as {aside.name}" in capsys.readouterr().out


def test_a_dry_run_has_a_file_of_its_own_and_no_table(tmp_path):
    report = Report.open(tmp_path, MACHINE, dry=True)
    report.figures("warp, 2", [{"name": "ours", "images": 2}], "noise")
    report.end("warp", "done")
    assert [path.name for path in tmp_path.iterdir()] == ["dry.json"]


def test_the_table_says_how_many_times_ours_is_faster_and_what_was_not_measured(report):
    report.figures("kornia", [figure("ours", 500.0), figure("kornia", 4000.0, beside="ours")], "photos")
    report.put("skipped", "cv-cuda", "AttributeError: none")
    report.end("kornia", "done")
    report.end("dali", "not done: nvidia.dali is not installed")
    assert report.path.with_suffix(".md").read_text() == report.table()
    assert report.table().splitlines()[2:] == [
        "| ours | 64 | 500.0 (499.0 to 501.0) | 128,000 |  |",
        "| kornia | 64 | 4,000.0 (3,999.0 to 4,001.0) | 16,000 | 8.0 x |",
        "",
        "Not measured: dali (not done: nvidia.dali is not installed).",
        "Not measured: cv-cuda (AttributeError: none).",
    ]


def test_a_group_is_kept_with_its_time_and_what_was_augmented(report):
    report.figures("warp, 64", [figure("ours", 2.0)], "noise: no photos")
    report.figures("plain, 64", [figure("ours", 1.0)], "photos")
    assert list(report.groups()) == ["warp, 64", "plain, 64"]
    assert report.groups()["warp, 64"]["images"] == "noise: no photos"
    assert report.groups()["warp, 64"]["at"] < report.groups()["plain, 64"]["at"]
