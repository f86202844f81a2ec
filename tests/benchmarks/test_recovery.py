"""The figures of kills; `tests/pipeline/presizing/test_recovery.py` runs the study."""

from onewarp.benchmarks import recovery
from onewarp.benchmarks.measuring import results

KILLS = [
    recovery.Kill(parts=0, finished=False, same=True),
    recovery.Kill(parts=2, finished=False, same=True),
    recovery.Kill(parts=3, finished=False, same=False),
    recovery.Kill(parts=4, finished=False, same=True),  # all parts are there, but no footer
    recovery.Kill(parts=2, finished=True, same=True),
]


def test_kills_count_between_the_first_part_and_the_last_and_are_told_of_50(tmp_path):
    found = recovery.result(4, KILLS, {"size": 8})
    assert (found["parts"], found["kills"], found["between"], found["same"]) == (4, 5, 2, 4)
    assert [(one["asked"], one["got"], one["holds"]) for one in found["asked"]] == [(40, 20, False), (50, 40, False)]
    assert found["each"][1] == {"parts": 2, "finished": False, "same": True}
    results.write(found, tmp_path)
    assert results.read("recovery", folder=tmp_path) == [found]


def test_where_all_are_between_and_the_same_what_was_asked_holds():
    found = recovery.result(4, [KILLS[1]] * 3, {})
    assert [(one["got"], one["holds"]) for one in found["asked"]] == [(50, True), (50, True)]
