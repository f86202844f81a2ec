import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from onewarp.benchmarks.resuming import data, kill, plain, shares, traces
from onewarp.benchmarks.resuming.__main__ import main, together

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own


def test_every_trainer_goes_on_from_its_checkpoints_as_if_it_had_not_been_stopped():
    """The short form: alone, four resumptions of each run, three runs of each trainer."""
    for library in ("lightning", "transformers", "fastai"):
        pytest.importorskip(library, reason=f"{library} comes with the group adapters")
    done = CliRunner().invoke(main, ["--processes", "1", "--most", "4", "--idioms", "3", "--no-ranks"])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if line.endswith(", alone | 4 | 4 | 4 | 4 | 4 |")]
    assert len(lines) == 18, done.stdout


def test_a_run_that_goes_on_elsewhere_or_otherwise_is_found_out(tmp_path):
    def skipping(idiom: str, folder: Path, start: Path | None) -> traces.Trace:
        found = plain.run(idiom, folder, start)
        if start is not None and len(found.batches) == 9:
            found.batches.pop()
            found.weights = "others"
        return found

    row = traces.row("a loop", "plain", skipping, "OneCycleLR", tmp_path, None)
    assert row["status"] == "wrong"
    assert row["reason"] == "equal in batches 13, steps 14, rates 14, weights 13 of 14"
    idle = traces.row("a loop", "idle", lambda *_: traces.Trace(), "", tmp_path, None)
    assert idle["status"] == "failed"
    assert "must write more checkpoints than 0" in idle["reason"]


def test_samples_come_once_an_epoch_over_two_ranks_of_a_loop_with_ddp():
    found = shares.trained("plain", 2)
    for case, samples in zip(shares.CASES, found, strict=True):
        assert shares.repeats(samples, *case, 2) == 2 * (-case[0] % (2 * case[1]))


def test_samples_that_are_lost_or_come_again_or_are_of_no_epoch_are_found_out():
    loader = data.loaders(97, 16, rank=0, world_size=1).train
    whole = [traces.digest([image]) for _ in range(traces.EPOCHS) for x, _ in loader for image in x]
    assert shares.repeats(whole, 97, 16, 1) == 0
    assert shares.repeats([*whole, *whole[:62]], 97, 16, 2) == 62
    for found in (whole[1:], [*whole, whole[0]], [*whole, "another"]):
        with pytest.raises(AssertionError, match="must come once"):
            shares.repeats(found, 97, 16, 1)


def test_what_is_wrong_in_one_process_is_wrong():
    right, wrong = {"name": "a", "status": "measured"}, {"name": "a", "status": "wrong", "reason": "weights"}
    assert together([[right, right], [right, wrong]]) == [right, wrong]
    dead = {"name": "a", "status": "failed", "reason": "it died"}
    assert together([[right, right], [dead]]) == [dead]


def test_a_digest_is_of_the_bytes():
    one = torch.arange(4.0)
    assert traces.digest([one]) == traces.digest([one.clone()]) != traces.digest([one + 1e-6])


@pytest.mark.parametrize(
    ("loop", "launcher", "others"), [("onewarp's Learner", "by hand", (1, 3)), ("plain loop", "torchrun", (1,))]
)
def test_a_rank_is_killed_the_others_say_why_and_what_is_resumed_trains_on_each_sample_once(
    tmp_path, loop, launcher, others
):
    found = kill.study(loop, launcher, 2, tmp_path, others)
    assert found["resumed"] == {str(ranks): True for ranks in others}


def test_samples_that_were_trained_on_twice_or_never_are_found_out(tmp_path):
    whole = kill.whole()
    assert len(whole) == whole.total() == kill.ROWS * kill.EPOCHS
    lines = [json.dumps(sample) + "\n" for sample in whole]
    (tmp_path / "cut-0.log").write_text("".join(lines[:30]))
    (tmp_path / "cut-1.log").write_text("".join(lines[30:]))
    assert Counter(kill.trained(tmp_path, "cut")) == whole
    (tmp_path / "cut-1.log").write_text("".join(lines[29:]))
    assert Counter(kill.trained(tmp_path, "cut")) != whole
