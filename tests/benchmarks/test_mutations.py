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


@pytest.mark.parametrize(
    ("kind", "place", "other", "verdict"),
    [
        ("BMP palette", 10, b"\0", "refused"),  # rows that begin at byte 0
        ("BMP runs", 28, b"\4", "refused"),  # runs of 8 bits, which are said to be of 4
        ("BMP runs", -4, b"\0\2\1\0\0\1", "accepted"),  # a pixel is left out: it has the first colour
        ("PPM", 9, b"1", "refused"),  # the highest value is 155, and higher ones follow
        ("WebP alpha", 20, b"\0", "refused"),  # no opacity, and a chunk of it
        ("ICO", 14, b"\xfb", "refused"),  # a picture a byte longer than it is
        ("ICO bitmap", 12, b"\xff\xff", "accepted"),  # the list has no say in how deep the colours are
        ("AVIF", 203, b"\xc7", "accepted"),  # how many bits there are, the stream says too
    ],
)
def test_what_damage_of_one_place_does(kind, place, other, verdict):
    """Each was wrong once."""
    reader, data = originals()[kind]
    place %= len(data)
    assert judge(reader, data[:place] + other + data[place + len(other) :])[0] == verdict


def test_a_case_is_wrong_where_the_reader_refuses_it_or_finds_other_pixels(monkeypatch):
    """The study can fail."""
    reader, data = originals()["PNG"]
    monkeypatch.setitem(references.READERS, "PNG", lambda _: references.read_png(data)[::-1])
    assert judge(reader, data)[0] == "wrong"
    monkeypatch.setitem(references.READERS, "PNG", lambda _: references.read_png(data[:-20]))
    assert judge(reader, data)[0] == "wrong"
