import os

import pytest

from onewarp.benchmarks import references
from onewarp.benchmarks.mutations import judge, study
from onewarp.benchmarks.originals import originals

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.fixture(autouse=True, scope="module")
def _tools():
    if missing := references.missing_tools():
        assert "CI" not in os.environ, f"these commands must be installed: {missing}"
        pytest.skip(f"these commands are not installed: {', '.join(missing)}")


@pytest.mark.parametrize("kind", originals())
def test_a_whole_file_is_accepted_with_the_pixels_of_its_reference_reader(kind):
    assert judge(*originals()[kind]) == ("accepted", "")


def test_whatever_is_accepted_is_what_the_reference_reader_reads_without_a_warning():
    rows = study(2000, seed=14)
    assert {row.kind: row.wrong for row in rows if row.wrong} == {}
    assert sum(row.cases for row in rows) >= 2000
    assert all(row.accepted and row.refused for row in rows)


def test_a_case_is_wrong_where_the_reader_refuses_it_or_finds_other_pixels(monkeypatch):
    """The study can fail."""
    reader, data = originals()["PNG"]
    monkeypatch.setitem(references.READERS, "PNG", lambda _: references.read_png(data)[::-1])
    assert judge(reader, data)[0] == "wrong"
    monkeypatch.setitem(references.READERS, "PNG", lambda _: references.read_png(data[:-20]))
    assert judge(reader, data)[0] == "wrong"
