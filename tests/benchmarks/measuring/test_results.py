import copy
import json

import pytest

from onewarp.benchmarks.measuring import results
from onewarp.errors import UsageError


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


def test_the_results_that_are_kept_have_the_right_shape():
    for suite in results.ROWS:
        for found in results.read(suite):
            assert json.dumps(found)
            assert results.slug(found).startswith(suite)
