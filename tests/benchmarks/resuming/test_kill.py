"""A rank that is killed: what the others say, and what the resumed run trains on."""

import json
from collections import Counter

import pytest

from onewarp.benchmarks.resuming import kill

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own


@pytest.mark.parametrize(
    ("loop", "launcher", "others"), [("onewarp's Learner", "by hand", (1, 3)), ("plain loop", "torchrun", (1,))]
)
def test_a_rank_is_killed_the_others_say_why_and_what_is_resumed_trains_on_each_sample_once(
    tmp_path, loop, launcher, others
):
    found = kill.study(loop, launcher, 2, tmp_path, others)
    assert found["resumed"] == {str(ranks): True for ranks in others}


def test_samples_that_were_trained_on_twice_or_never_are_found_out(tmp_path):
    whole = kill.all_samples()
    assert len(whole) == whole.total() == kill.ROWS * kill.EPOCHS
    lines = [json.dumps(sample) + "\n" for sample in whole]
    (tmp_path / "cut-0.log").write_text("".join(lines[:30]))
    (tmp_path / "cut-1.log").write_text("".join(lines[30:]))
    assert Counter(kill.read_samples(tmp_path, "cut")) == whole
    (tmp_path / "cut-1.log").write_text("".join(lines[29:]))
    assert Counter(kill.read_samples(tmp_path, "cut")) != whole


def test_a_rank_has_logged_a_sample_once_its_line_is_whole(tmp_path):
    (tmp_path / "cut-0.log").write_text("one\ntwo\nthr")
    assert kill.have_logged(tmp_path, "cut", range(1), 2)
    assert not kill.have_logged(tmp_path, "cut", range(1), 3)
    assert not kill.have_logged(tmp_path, "cut", range(2), 1)  # of the second one there is no log
    assert kill.have_logged(tmp_path, "cut", range(0), 9)
