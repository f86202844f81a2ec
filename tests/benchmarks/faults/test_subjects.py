"""What is read is told by a digest, and what fails by one line."""

import json

import numpy as np
import pytest
import torch

from onewarp.benchmarks.faults import subjects
from onewarp.benchmarks.faults.children import End
from onewarp.errors import CacheError, OnewarpError


def test_a_digest_is_of_values_and_not_of_their_order_in_a_mapping():
    assert subjects.digest({"a": 1, "b": [2]}) == subjects.digest({"b": [2], "a": 1})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 2}),
        ([[1], [2]], [[1, 2], []]),
        ([1, 2], [2, 1]),
        (np.arange(4), np.arange(4).reshape(2, 2)),
        (np.zeros(2, np.float32), np.zeros(2, np.int32)),
        (torch.tensor([1.0]), torch.tensor([1.5])),
        ("1", 1),
    ],
)
def test_values_that_differ_have_other_digests(one, other):
    assert subjects.digest(one) != subjects.digest(other)


def test_a_tensor_counts_as_its_numbers():
    assert subjects.digest(torch.arange(3)) == subjects.digest(np.arange(3))


def test_a_refusal_is_the_last_line_and_the_only_one():
    assert subjects.refusal("a warning\nonewarp: no such cache\n") == "onewarp: no such cache"


@pytest.mark.parametrize(
    "err",
    [
        "",
        "something else\n",
        "onewarp: one\nonewarp: two\n",
        "onewarp: one\nand more\n",
        "Traceback (most recent call last)\nonewarp: one\n",
    ],
)
def test_another_end_of_a_command_is_an_error(err):
    with pytest.raises(RuntimeError, match="must say so in one line"):
        subjects.refusal(err)


def test_a_command_gives_what_it_prints_or_raises_its_line(tmp_path):
    assert "presize" in subjects.command("--help")
    with pytest.raises(OnewarpError, match=f"^onewarp: .*{tmp_path}"):
        subjects.command("inspect", str(tmp_path))


def test_python_ends_as_a_command_does(capsys):
    with pytest.raises(SystemExit) as end, subjects.as_command():
        raise CacheError("part 3 is damaged")
    assert end.value.code == 1
    assert capsys.readouterr().err == "onewarp: part 3 is damaged\n"


def test_files_of_a_folder_with_their_bytes_and_folders_without(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"text")
    assert subjects.files(tmp_path) == {"a": b"", "a/b": b"", "a/b/file": b"text"}
    assert subjects.files(tmp_path / "missing") == {}
    subjects.clear(tmp_path / "a")
    assert subjects.files(tmp_path) == {"a": b""}


@pytest.mark.parametrize(("status", "state"), [(None, "hang"), (-11, "signal"), (70, "traceback")])
def test_a_child_that_says_nothing_of_its_reading_is_diagnosed_by_its_end(status, state):
    assert subjects.diagnose(End(status, "", "words")).state == state


class Notes:
    """A subject with a reading of each kind."""

    def readings(self):
        def refuse():
            raise CacheError("it is damaged")

        return {"one": lambda: "digest", "two": refuse, "three": lambda: str(1 / 0)}


def test_each_reading_is_a_line(capfd):
    subjects.read_here(Notes(), ["one", "two", "three"])
    one, two, three = (json.loads(line) for line in capfd.readouterr().out.splitlines())
    assert one == ["one", "whole", "digest"]
    assert two == ["two", "refused", "it is damaged"]
    assert three[:2] == ["three", "traceback"]
    assert "ZeroDivisionError" in three[2]


@pytest.mark.usefixtures("linux")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_readings_go_on_in_another_child_where_one_has_ended(tmp_path):
    class Dying(Notes):
        def readings(self):
            return {"one": lambda: "digest", "two": lambda: exit(0), "three": lambda: "another"}

    found = subjects.read(Dying(), limit=60)
    assert {name: reading.state for name, reading in found.items()} == {
        "one": "whole",
        "two": "traceback",
        "three": "whole",
    }
    assert list(subjects.read(Dying(), limit=60, only="three")) == ["three"]
