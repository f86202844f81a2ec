"""A fastai training that is killed goes on as if it had not been."""

import pytest
import torch

pytest.importorskip("fastai", reason="fastai comes with the group adapters")

from onewarp.errors import TrainingError
from onewarp.trainers.adapters import as_fastai, resumable
from onewarp.transforms import Resize

pytestmark = pytest.mark.filterwarnings("default")  # fastai's own

SCRIPT = """
import os, signal, sys
import torch
from conftest import loaders
from fastai.basics import Callback, Learner, accuracy
from fastai.callback.schedule import Learner as _
from fastai.distributed import Learner as _
from onewarp.trainers.adapters import as_fastai, resumable
from onewarp.transforms import Resize

out, die_at = sys.argv[1], int(sys.argv[2])

class Watch(Callback):
    order = 80
    def __init__(self):
        self.watched = []
    def after_batch(self):
        if self.training:
            self.watched += [round(float(image.mean() * 255)) for image in self.x]
            if len(self.watched) == die_at * len(self.x):
                os.kill(os.getpid(), signal.SIGKILL)

def half(model):
    return [list(model[0].parameters()), list(model[-1].parameters())]

torch.manual_seed(0)
body = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)
model = torch.nn.Sequential(*body, torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(144, 3))
torch.manual_seed(int(os.environ.get("RANK", 0)))  # each process drops other features
dls = loaders([Resize(8)])
watch = Watch()
learn = Learner(as_fastai(dls, "cpu"), model, splitter=half, metrics=accuracy, cbs=[watch])
with learn.no_bar(), learn.no_logging(), learn.distrib_ctx(sync_bn=False):
    learn.fine_tune(2, cbs=resumable(dls, out + ".ckpt", every=1))
torch.save({"model": model.state_dict(), "seen": watch.watched}, out + os.environ.get("RANK", "0"))
"""


def test_with_two_processes_killed_in_an_epoch_it_ends_with_the_weights_of_a_run_never_killed(two_processes, tmp_path):
    """2 steps an epoch, 1 + 2 epochs; killed after the third step, the first of the second call of fit."""
    for name, die_at, status in (("whole", 0, 0), ("killed", 3, -9), ("killed", 0, 0)):
        ends = two_processes(SCRIPT, str(tmp_path / name), str(die_at))
        assert [end for end, _ in ends] == [status] * 2, ends
    wholes, others = ([torch.load(tmp_path / f"{name}{rank}") for rank in (0, 1)] for name in ("whole", "killed"))
    for epoch in range(3):
        assert sorted(wholes[0]["seen"][8 * epoch :][:8] + wholes[1]["seen"][8 * epoch :][:8]) == [*range(16)]
    for whole, other in zip(wholes, others, strict=True):
        assert other["seen"] == whole["seen"][12:]
        assert all(torch.equal(value, whole["model"][name]) for name, value in other["model"].items())
    assert torch.equal(wholes[0]["model"]["4.weight"], wholes[1]["model"]["4.weight"])


def test_a_checkpoint_of_other_data_is_refused(dls, make_loaders, linear, tmp_path):
    import fastai.callback.progress  # noqa: F401 - it adds to the Learner
    from fastai.basics import Learner

    def fit(loaders):
        learn = Learner(as_fastai(loaders, "cpu"), linear)
        with learn.no_bar(), learn.no_logging():
            learn.fit(1, cbs=resumable(loaders, tmp_path / "run"))

    fit(dls)
    with pytest.raises(TrainingError, match="must come from the same data pipeline"):
        fit(make_loaders([Resize(6)]))
