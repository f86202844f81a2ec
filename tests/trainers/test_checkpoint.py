import copy
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from onewarp.errors import OnewarpError, TrainingError, UsageError
from onewarp.pipeline import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.trainers import Callback, Checkpoint, Learner, SaveBest, accuracy, load_learner
from onewarp.trainers.saving import read, write

SCRIPT = """
import os, signal, sys
import numpy as np, torch
from torch import nn
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.trainers import Callback, Checkpoint, Learner

torch.set_num_threads(1)
out, die_at = sys.argv[1], int(sys.argv[2])
numbers = np.random.default_rng(0)
labels = np.arange(60) % 3
images = [(numbers.random((8, 8, 3)) * 255).astype(np.uint8) for _ in labels]
rows = MemoryRows(images, labels=labels)

class Data:
    c, train, valid = 3, Loader(rows, batch_size=8), Loader(rows, batch_size=32, shuffle=False)

class Permuted(nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2).float() / 255

class Die(Callback):
    order, seen = 99, 0
    def after_batch(self, learn):
        self.seen += 1
        if self.seen == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

torch.manual_seed(0)
body = Permuted(), nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
model = nn.Sequential(*body, nn.Dropout(0.5), nn.Flatten(), nn.Linear(288, 3))
torch.manual_seed(int(os.environ.get("RANK", 0)))  # each process drops other features
learn = Learner(Data, model, cbs=[Checkpoint(out + ".ckpt", every=3), Die()], table=False)
if os.path.exists(out + ".ckpt"):
    learn.resume(out + ".ckpt")
learn.fine_tune(2, freeze_epochs=1)
learn.save(out)
"""


def run(out: Path, die_at: int = 0) -> int:
    return subprocess.run([sys.executable, "-c", SCRIPT, str(out), str(die_at)], check=False, timeout=300).returncode


def test_a_run_killed_in_an_epoch_ends_with_the_weights_of_one_never_killed(tmp_path):
    """8 steps an epoch, 1 + 2 epochs; killed in the second epoch of the second call."""
    assert run(tmp_path / "whole") == 0
    assert run(tmp_path / "killed", die_at=21) == -signal.SIGKILL
    assert run(tmp_path / "killed") == 0
    assert steps_of_equal_ends(tmp_path) == 24


def test_so_does_a_run_of_two_processes_each_with_its_own_generators(two_processes, tmp_path):
    """4 steps an epoch; killed at the end of the second call's first epoch, one step after a checkpoint."""
    assert two_processes(SCRIPT, str(tmp_path / "whole"), "0") == [(0, ""), (0, "")]
    assert [status for status, _ in two_processes(SCRIPT, str(tmp_path / "killed"), "8")] == [-signal.SIGKILL] * 2
    assert two_processes(SCRIPT, str(tmp_path / "killed"), "0") == [(0, ""), (0, "")]
    assert steps_of_equal_ends(tmp_path) == 12


def steps_of_equal_ends(folder: Path) -> int:
    """How long both runs were, whose checkpoints must be equal, their generators and losses too."""
    (whole, facts), (killed, others) = read(folder / "whole"), read(folder / "killed")
    assert whole.keys() == killed.keys()
    for name, value in whole.items():
        assert torch.equal(value, killed[name]), name
    assert facts["recorder"]["losses"] == others["recorder"]["losses"]
    return len(facts["recorder"]["losses"])


class Flat(nn.Module):
    def forward(self, x):
        return x.flatten(1).float() / 255


class Interrupt(Callback):
    order = 99

    def __init__(self, step: int, epoch: int = 1, fit: int = 0) -> None:
        self.place = fit, epoch, step

    def after_batch(self, learn):
        if (learn.run.fit_index, learn.run.epoch, learn.run.step) == self.place:
            raise KeyboardInterrupt


def test_batches_of_a_loader_without_a_position_are_skipped(data, model, tmp_path):
    start = {k: v.clone() for k, v in model.state_dict().items()}
    whole = Learner(data, model, table=False)
    whole.fit_one_cycle(2, 1e-2)
    expected, weights = whole.recorder.losses, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(start)
    cut = Learner(data, model, table=False, cbs=[Checkpoint(tmp_path / "c", every=2), Interrupt(3)])
    with pytest.raises(KeyboardInterrupt):
        cut.fit_one_cycle(2, 1e-2)
    model.load_state_dict(start)
    again = Learner(data, model, table=False).resume(tmp_path / "c")
    again.fit_one_cycle(2, 1e-2)
    assert again.recorder.losses == expected
    assert [r["valid_loss"] for r in again.recorder.rows] == [r["valid_loss"] for r in whole.recorder.rows]
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("place", [(1, 0, 1), (4, 0, 1), (5, 1, 1)], ids=["between the phases", "first", "last"])
def test_fine_tune_goes_on_in_the_phase_in_which_it_stood(data, model, tmp_path, place):
    """The optimiser forgets between the phases, and nowhere else."""
    start = {k: v.clone() for k, v in model.state_dict().items()}
    whole = Learner(data, model, table=False)
    whole.fine_tune(2, 1e-2)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(start)
    with pytest.raises(KeyboardInterrupt):
        Learner(data, model, table=False, cbs=[Checkpoint(tmp_path / "c", every=2), Interrupt(*place)]).fine_tune(
            2, 1e-2
        )
    model.load_state_dict(start)
    again = Learner(data, model, table=False).resume(tmp_path / "c")
    again.fine_tune(2, 1e-2)
    assert again.recorder.losses == whole.recorder.losses
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())


def test_a_checkpoint_of_another_model_is_refused(data, model, tmp_path):
    path = Learner(data, model, table=False).save(tmp_path / "c")
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with pytest.raises(TrainingError, match=r"is of another model: 1\d tensors differ, such as '0.0.weight'"):
        Learner(data, other).resume(path)


def test_a_checkpoint_of_another_pipeline_is_refused(data, model, tmp_path):
    data.fingerprint = "aaa"
    path = Learner(data, model, table=False).save(tmp_path / "c")
    data.fingerprint = "bbb"
    with pytest.raises(
        TrainingError, match="must come from the same data pipeline, but it has aaa and this learner bbb"
    ):
        Learner(data, model).resume(path)


def test_a_run_of_another_length_is_refused(data, model, tmp_path):
    learn = Learner(data, model, table=False, cbs=[Checkpoint(tmp_path / "c", every=2), Interrupt(3)])
    with pytest.raises(KeyboardInterrupt):
        learn.fit(2, 1e-2)
    with pytest.raises(TrainingError, match="stands in a run of 2 epochs of 6 steps, but this one has 3 of 6"):
        Learner(data, model, table=False).resume(tmp_path / "c").fit(3, 1e-2)


def test_what_is_not_a_checkpoint_is_refused(data, model, tmp_path):
    (tmp_path / "noise").write_bytes(os.urandom(100))
    with pytest.raises(TrainingError, match="must be safetensors"):
        Learner(data, model).resume(tmp_path / "noise")
    with pytest.raises(TrainingError, match="must exist"):
        Learner(data, model).resume(tmp_path / "missing")


def test_the_best_weights_are_kept_and_put_back(data, model, tmp_path):
    learn = Learner(data, model, metrics=accuracy, table=False, cbs=[SaveBest(tmp_path / "best", "accuracy")])
    learn.fit(3, [1e-2, 1e-2, 3.0])  # far too much for the head: it jumps about
    column = [row["accuracy"] for row in learn.recorder.rows]
    assert learn.validate()["accuracy"] == max(column)
    with pytest.raises(UsageError, match="monitor must be one of train_loss, valid_loss, but got 'f1'"):
        Learner(data, model, table=False, cbs=[SaveBest(tmp_path / "best", "f1")]).fit(1)


def test_the_best_epoch_may_be_one_before_a_resumption(data, model, tmp_path):
    """The largest loss is called the best here, so that it is the first epoch's."""
    start = {k: v.clone() for k, v in model.state_dict().items()}

    def learner(*cbs):
        return Learner(
            data, model, metrics=accuracy, table=False, cbs=[SaveBest(tmp_path / "best", largest=True), *cbs]
        )

    with pytest.raises(KeyboardInterrupt):
        learner(Checkpoint(tmp_path / "c", every=2), Interrupt(3)).fit(2, 1e-2)
    first = {k: v.clone() for k, v in read(tmp_path / "best")[0].items()}
    model.load_state_dict(start)
    again = learner().resume(tmp_path / "c")
    again.fit(2, 1e-2)
    losses = [row["valid_loss"] for row in again.recorder.rows]
    assert losses[0] > losses[1]
    assert all(torch.equal(v, first[k]) for k, v in model.state_dict().items())


busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
plain = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(), st.text("a1", max_size=2))
anything = st.one_of(plain, st.lists(plain, max_size=2), st.dictionaries(st.text("a1", max_size=2), plain, max_size=2))


def places(value, place=()):
    """Every place in a value of JSON."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield (*place, name)
        yield from places(child, (*place, name))


@busy
@given(draws=st.data())
def test_whatever_stands_in_the_place_of_a_fact_is_refused_whole_or_can_be_gone_on_from(saved, draws):
    learn, path = saved
    tensors, facts = read(path)
    facts, *within, last = copy.deepcopy(facts), *draws.draw(st.sampled_from([*places(facts)]))
    inner = facts
    for name in within:
        inner = inner[name]
    if draws.draw(st.booleans()):
        inner[last] = draws.draw(anything)
    else:
        del inner[last]
    other = path.with_name("other")
    write(other, tensors, facts)
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    for value in learn.model.state_dict().values():
        value.zero_()
    history = learn.recorder.state()
    refused = False
    try:
        learn.resume(other)
    except OnewarpError:
        refused = True
    if refused:
        assert not any(value.any() for value in learn.model.state_dict().values())  # nothing of it was taken
        assert learn.recorder.state() == history
        learn.resume(path)
    place = learn._resume
    assert 0 <= place.epoch <= place.epochs
    assert 0 <= place.step <= place.steps
    assert all(torch.equal(value, before[name]) for name, value in learn.model.state_dict().items())


def test_numbers_that_no_run_has_are_refused_by_name(saved):
    learn, path = saved
    tensors, facts = read(path)
    facts["place"]["epoch"] = -5
    write(path, tensors, facts)
    with pytest.raises(UsageError, match=r"epoch must be an integer in 0\.\.1, but got -5"):
        learn.resume(path)


@pytest.mark.parametrize(("name", "shape"), [("opt.0.exp_avg", [1]), ("opt.0.exp_avg_sq", []), ("opt.0.step", [2])])
def test_a_running_mean_of_another_shape_is_refused(saved, name, shape):
    learn, path = saved
    tensors, facts = read(path)
    write(path, {**tensors, name: torch.zeros(shape)}, facts)
    with pytest.raises(TrainingError, match=f"must have '{name}' of shape .*, but has"):
        learn.resume(path)
    del tensors[name]
    write(path, tensors, facts)
    with pytest.raises(TrainingError, match="the same means for every parameter"):
        learn.resume(path)


def test_the_scale_of_half_precision_goes_on(saved):
    learn, path = saved
    learn.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    learn.save(path)
    learn.accelerator.scaler = torch.amp.GradScaler("cpu")
    learn.resume(path)
    assert learn.accelerator.scaler.get_scale() == 1024.0


def test_what_differs_in_the_data_is_named(data, model, tmp_path):
    data.to_json = lambda: json.dumps({"transforms": [{"Rotate": {"max_deg": 10, "p": 1}}]})
    path = Learner(data, model, table=False).save(tmp_path / "c")
    data.to_json = lambda: json.dumps({"transforms": [{"Rotate": {"max_deg": 20, "p": 1}}]})
    with pytest.raises(TrainingError, match=r"transforms\.0\.Rotate\.max_deg was 10 there, and is 20 here"):
        Learner(data, model).resume(path)


def test_an_exported_learner_whose_facts_are_others_is_refused(saved):
    _, path = saved
    tensors, _ = read(path)
    for facts in ({}, {"data": 3}, {"data": "{}"}, {"data": "[" * 100_000}, {"data": '{"blocks": 1}', "arch": 3}):
        write(path, tensors, {"kind": "learner", "format": 2, **facts})
        with pytest.raises(OnewarpError):
            load_learner(path)


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize(("rows", "tail"), [(24, "ragged"), (25, "pad"), (27, "drop")])
def test_with_another_batch_size_the_rest_of_the_epoch_comes_once_and_the_run_goes_on(tmp_path, rows, tail, accumulate):
    """As among other processes, which change how many samples a step takes."""
    images = [np.full((1, 1, 3), i, np.uint8) for i in range(rows)]

    class Log(Callback):
        def __init__(self):
            self.trained, self.positions, self.counts = [], [], []

        def after_batch(self, learn):
            self.trained += [(learn.epochs, int(x[0, 0, 0])) for x in learn.run.batch[0]]
            self.positions.append(learn.run.position)

        def after_step(self, learn):
            self.counts.append(len(self.positions) + 1)

    def learner(bs, *cbs):
        loader = Loader(MemoryRows(images, labels=[0] * rows), batch_size=bs, tail=tail)
        model = nn.Sequential(Flat(), nn.Linear(3, 2))
        return Learner(
            SimpleNamespace(c=2, train=loader, valid=None),
            model,
            nn.CrossEntropyLoss(),
            table=False,
            accumulate=accumulate,
            cbs=cbs,
        )

    for before, after in [(4, 3), (3, 8), (2, 5)]:
        cut, rest = Log(), Log()
        with pytest.raises(KeyboardInterrupt):
            learner(before, cut, Checkpoint(tmp_path / "c", every=1), Interrupt(3, epoch=1)).fit(3)
        learner(after, rest).resume(tmp_path / "c").fit(3)
        assert rest.positions[-1] == 1.0
        assert sorted(rest.positions) == rest.positions
        assert rest.positions[0] > cut.positions[-1] - 1 / 3 / (rows // before)
        left = -(-(rows - 3 * before) // after) if tail != "drop" else (rows - 3 * before) // after
        ends = [min(n, left) for n in range(accumulate, left + accumulate, accumulate)]
        assert [n for n in rest.counts if n <= left] == ends
        second = [number for epoch, number in cut.trained + rest.trained if epoch == 1]
        once = len(second) - (-(rows - 3 * before) % after if tail == "pad" else 0)
        assert len(set(second[:once])) == once
        assert once == rows if tail != "drop" else once == 3 * before + left * after
