"""The history of a training, its table and its pictures."""

import re

import pytest

from onewarp.errors import TrainingError
from onewarp.trainers import Learner, error_rate


def test_it_learns_and_prints_the_table(data, model, capsys):
    learn = Learner(data, model, metrics=error_rate)
    learn.fit_one_cycle(4, 2e-2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "train_loss", "valid_loss", "error_rate", "time"]
    assert len(lines) == 5
    assert re.fullmatch(r"3\s+\d\.\d{6}\s+\d\.\d{6}\s+0\.\d{6}\s+00:0\d", lines[4])
    rates = [row["error_rate"] for row in learn.recorder.rows]
    assert rates[-1] < 0.1
    assert all(rate * 30 == pytest.approx(round(rate * 30)) for rate in rates)


def test_a_loss_that_is_not_finite_stops_with_a_reason(data, model):
    for x, _ in [data.train.dataset.tensors]:
        x[20] = float("nan")
    with pytest.raises(
        TrainingError, match=r"the loss became nan at step 3 with learning rate 0\.01, but must be finite"
    ):
        Learner(data, model, table=False).fit(1, 1e-2)


def test_recorder_draws(data, model):
    learn = Learner(data, model, table=False)
    learn.fit(1, 1e-3)
    assert len(learn.recorder.plot_loss().axes[0].lines) == 3
    assert len(learn.recorder.plot_lr().axes) == 2
