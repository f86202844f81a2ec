import copy
import re

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import nn
from torch._dynamo import OptimizedModule
from torch.utils.data import DataLoader, TensorDataset

from onewarp.errors import TrainingError, UsageError
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.trainers import Callback, Learner, StopTraining, accuracy, error_rate
from onewarp.trainers.events import EVENTS


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


def test_the_losses_are_those_of_the_same_loop_written_out(data, model):
    """Four steps of torch's AdamW by hand, with the cycle's rates put in by hand."""
    learn = Learner(data, model, table=False)
    twin = copy.deepcopy(model)
    learn.fit_one_cycle(1, 1e-2)
    spared = [p for n, p in twin.named_parameters() if n.endswith("bias") or p.ndim == 1]
    decay = [p for n, p in twin.named_parameters() if not (n.endswith("bias") or p.ndim == 1)]
    opt = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.01}, {"params": spared, "weight_decay": 0.0}], eps=1e-5
    )
    losses = []
    for (x, y), rates, momentum in zip(data.train, learn.recorder.rates, learn.recorder.momenta, strict=True):
        for group in opt.param_groups:
            group["lr"], group["betas"] = rates[0], (momentum, 0.99)
        loss = nn.functional.cross_entropy(twin(x), y)
        loss.backward()
        opt.step()
        opt.zero_grad()
        losses.append(loss.item())
    assert learn.recorder.losses == pytest.approx(losses, rel=1e-5)


def test_fine_tune_has_the_chapters_two_phases(data, model):
    learn = Learner(data, model, table=False)
    frozen = []

    class Watch(Callback):
        def before_fit(self, learn):
            frozen.append([all(p.requires_grad for p in group) for group in learn.layers])

    learn.fine_tune(2, base_lr=2e-3, cbs=[Watch()])
    rates = learn.recorder.rates
    assert len(rates) == 6 + 12
    assert frozen == [[False, False, True], [True, True, True]]
    assert rates[0] == pytest.approx((2e-4 / 25, 2e-4 / 25, 2e-3 / 25))
    assert max(r[2] for r in rates[:6]) < 2e-3  # pct_start .99: it is still rising at the last step
    assert [r[2] for r in rates[:6]] == sorted(r[2] for r in rates[:6])
    assert rates[6] == pytest.approx((1e-5 / 5, 1e-4 / 5, 1e-3 / 5))
    peak = rates[6 + round(0.3 * 12)]
    assert peak == pytest.approx((1e-5, 1e-4, 1e-3), rel=0.05)


def test_norms_of_a_frozen_body_stay_trainable(data, model):
    learn = Learner(data, model, table=False)
    learn.freeze()
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained == ["0.1.weight", "0.1.bias", "1.1.weight", "1.1.bias", "2.2.weight", "2.2.bias"]
    learn.freeze_to(1)
    assert model[1][0].weight.requires_grad
    assert not model[0][0].weight.requires_grad
    learn.unfreeze()
    assert all(p.requires_grad for p in model.parameters())


def test_without_train_bn_the_norms_of_a_frozen_body_stand_still(data, model):
    learn = Learner(data, model, table=False, train_bn=False)
    learn.freeze()
    assert not model[0][1].weight.requires_grad
    still = {name: value.clone() for name, value in model[:2].state_dict().items()}
    learn.fit(1, 1e-2)
    assert all(torch.equal(value, still[name]) for name, value in model[:2].state_dict().items())
    learn.unfreeze()
    learn.fit(1, 1e-2)
    assert not torch.equal(model[0][1].running_mean, still["0.1.running_mean"])


def test_norms_and_biases_do_not_decay(data, model):
    decays = {id(p): g["weight_decay"] for g in Learner(data, model).opt.param_groups for p in g["params"]}
    assert {name: decays[id(p)] for name, p in model.named_parameters()} == {
        name: 0.01 if name in ("0.0.weight", "1.0.weight", "2.2.weight") else 0.0
        for name, _ in model.named_parameters()
    }


def test_events_come_in_their_order(data, model):
    seen = []

    class Watch(Callback):
        pass

    for event in EVENTS:
        setattr(Watch, event, lambda self, learn, event=event: seen.append(event))
    Learner(data, model, table=False, cbs=[Watch()]).fit(1, 1e-3)
    batch = ["before_batch", "after_backward", "after_step", "after_batch"]
    assert seen == [
        "before_fit",
        "before_epoch",
        *batch * 6,
        "after_train",
        "after_validate",
        "after_epoch",
        "after_fit",
    ]


def test_a_callback_can_stop_the_run(data, model):
    class Stop(Callback):
        def after_batch(self, learn):
            if learn.run.step == 2:
                raise StopTraining

    learn = Learner(data, model, table=False, cbs=[Stop()])
    learn.fit(3, 1e-3)
    assert len(learn.recorder.losses) == 2


def test_accumulated_gradients_are_those_of_a_larger_batch(data, model):
    plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))  # no batch norm: batches may be split
    whole, parts = copy.deepcopy(plain), copy.deepcopy(plain)
    small = [(x[i : i + 4], y[i : i + 4]) for x, y in data.train for i in (0, 4)]
    data.train = list(data.train)
    Learner(data, whole, table=False).fit(1, 1e-3)
    data.train = small
    Learner(data, parts, table=False, accumulate=2).fit(1, 1e-3)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_get_preds(data, model):
    learn = Learner(data, model, table=False)
    inputs, probabilities, targets, decoded, losses = learn.get_preds(
        with_input=True, with_decoded=True, with_loss=True
    )
    assert inputs.shape == (30, 3, 8, 8)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(30))
    assert torch.equal(decoded, probabilities.argmax(1))
    torch.testing.assert_close(losses, -probabilities[torch.arange(30), targets].log())
    assert float(losses.mean()) == pytest.approx(learn.validate()["valid_loss"])
    assert len(learn.get_preds()) == 2


def test_mixed_precision_by_one_call(data, model):
    learn = Learner(data, model, metrics=accuracy, table=False).to_bf16()
    learn.fit(1, 1e-2)
    assert all(p.dtype is torch.float32 for p in learn.model.parameters())
    assert learn.accelerator.mixed_precision == "bf16"
    full = learn.to_fp32().get_preds()[0]
    half = learn.to_bf16().get_preds()[0]
    assert 0 < (full - half).abs().max() < 0.05
    learn.to_fp32()


@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 works where there is a GPU")
def test_fp16_asks_for_a_gpu(data, model):
    with pytest.raises(UsageError, match="to_bf16"):
        Learner(data, model).to_fp16()


def test_a_model_with_other_outputs_is_refused(data):
    from onewarp.trainers import vision_learner

    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    with pytest.raises(TrainingError, match=r"model's output must be \[8, 3\] \(samples, classes\), but got \[8, 10\]"):
        vision_learner(data, model, table=False).fit(1)


def test_a_loss_that_is_not_finite_stops_with_a_reason(data, model):
    for x, _ in [data.train.dataset.tensors]:
        x[20] = float("nan")
    with pytest.raises(
        TrainingError, match=r"the loss became nan at step 3 with learning rate 0\.01, but must be finite"
    ):
        Learner(data, model, table=False).fit(1, 1e-2)


def test_a_group_for_each_part_of_a_model(data, model):
    learn = Learner(data, model)
    assert [len(group) for group in learn.layers] == [3, 4, 2]
    assert len(Learner(data, nn.Sequential(nn.Flatten(), nn.Linear(192, 3))).layers) == 1


def test_recorder_draws(data, model):
    learn = Learner(data, model, table=False)
    learn.fit(1, 1e-3)
    assert len(learn.recorder.plot_loss().axes[0].lines) == 3
    assert len(learn.recorder.plot_lr().axes) == 2


def test_what_cannot_be_fitted_is_refused(data, model):
    with pytest.raises(UsageError, match="epochs must be at least 1"):
        Learner(data, model).fit(0)
    with pytest.raises(UsageError, match="accumulate must be at least 1"):
        Learner(data, model, accumulate=0)
    data.train = iter([])
    with pytest.raises(TrainingError, match="must have a length"):
        Learner(data, model).fit(1)


SCRIPT = """
import sys
import torch
from conftest import Data, small_model
from onewarp.errors import UsageError
from onewarp.pipeline import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.trainers import Learner, accuracy, valley

class Permuted(torch.nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2).float() / 255

numbers = torch.Generator().manual_seed(0)
images = [torch.randint(0, 255, (8, 8, 3), generator=numbers, dtype=torch.uint8).numpy() for _ in range(25)]
rows = MemoryRows(images, labels=[i % 3 for i in range(25)])
train, valid = Loader(rows, batch_size=4, tail="drop"), Loader(rows, batch_size=4, shuffle=False)
learn = Learner(Data(train, valid), torch.nn.Sequential(Permuted(), small_model()), metrics=accuracy)
print(float(learn.lr_find(suggest_funcs=(valley,)).valley))
learn.fit(1, 1e-2)
print(learn.recorder.rows[-1]["valid_loss"], learn.model[1][2][2].weight.sum().item(), len(learn.get_preds()[0]))
plain = torch.nn.Sequential(Permuted(), torch.nn.Flatten(), torch.nn.Linear(192, 3))  # takes a batch of one, too
try:
    Learner(Data(valid, valid), plain).fit(1)
except UsageError as error:
    print(error)
"""


def test_two_processes_find_one_rate_end_with_one_model_and_print_one_table(two_processes):
    """13 images to validate on for the first and 12 for the second: a batch more."""
    (first, printed), (second, silent) = two_processes(SCRIPT)
    assert first == second == 0, printed + silent
    assert next(line for line in printed.splitlines() if line not in silent.splitlines()).startswith("epoch")
    assert len(silent.splitlines()) == 3
    assert len(printed.splitlines()) == 5
    assert silent.splitlines()[1].endswith(" 25")
    assert "must have equally many batches in an epoch, but have [4, 3]" in silent
    assert set(silent.splitlines()) < set(printed.splitlines())


PLAIN_TORCHRUN = """
import os
del os.environ["ACCELERATE_USE_CPU"]
import torch
from conftest import Data, small_model
from onewarp.errors import UsageError
from onewarp.pipeline import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.trainers import Learner

class Permuted(torch.nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2).float() / 255

numbers = torch.Generator().manual_seed(0)
images = [torch.randint(0, 255, (8, 8, 3), generator=numbers, dtype=torch.uint8).numpy() for _ in range(16)]
rows = MemoryRows(images, labels=[i % 3 for i in range(16)])
learn = Learner(Data(Loader(rows, batch_size=4), None), torch.nn.Sequential(Permuted(), small_model()), table=False)
learn.fit(1, 1e-2)
print(learn.accelerator.num_processes, len(learn.recorder.losses), learn.model[1][2][2].weight.sum().item())
try:
    Learner(Data(Loader(rows, batch_size=4, rank=0, world_size=1), None), learn.model)
except UsageError as error:
    print("refused", "leave rank and world_size to them" in str(error))
"""


def test_plain_torchrun_on_cpus_trains_one_model_and_other_numbers_of_processes_are_refused(two_processes):
    (first, one), (second, other) = two_processes(PLAIN_TORCHRUN)
    assert first == second == 0, one + other
    assert one == other
    assert one.startswith("2 2 ")
    assert one.endswith("refused True\n")


@pytest.mark.parametrize(("bs", "accumulate"), [(8, 6), (8, 4), (16, 5), (16, 2), (12, 3)])
def test_the_last_step_of_an_epoch_weighs_its_batches_as_the_others_do(data, bs, accumulate):
    samples = [(x[None], y[None]) for batch in data.train for x, y in zip(*batch, strict=True)]
    batches = [tuple(map(torch.cat, zip(*samples[i : i + bs], strict=True))) for i in range(0, 48, bs)]
    left = len(batches) % accumulate or accumulate  # batches of the last step

    def last_gradient(batches, accumulate):
        plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
        nn.init.zeros_(plain[1].weight)
        nn.init.zeros_(plain[1].bias)
        found = []

        class Last(Callback):
            def after_backward(self, learn):
                if learn.run.step + 1 == learn.run.steps:
                    found.append(plain[1].weight.grad.clone())

        data.train = batches
        Learner(data, plain, table=False, accumulate=accumulate, cbs=[Last()], wd=0.0).fit(1, 1e-12)
        return found[0]

    together = [tuple(map(torch.cat, zip(*batches[-left:], strict=True)))]
    torch.testing.assert_close(last_gradient(batches, accumulate), last_gradient(together, 1))


def of_torch(n, bs):
    return DataLoader(TensorDataset(torch.rand(n, 3, 2, 2), torch.arange(n) % 3), batch_size=bs)


def of_ours(n, bs):
    return Loader(MemoryRows([np.full((2, 2, 3), i, np.uint8) for i in range(n)], labels=np.arange(n) % 3), None, bs)


class Flat(nn.Module):
    def forward(self, x):
        return x.flatten(1).float()


@pytest.mark.parametrize("loader", [of_torch, of_ours])
@pytest.mark.parametrize(("n", "steps"), [(9, 2), (8, 2), (10, 3), (1, 1)])
def test_a_last_batch_of_one_is_left_out_of_training_where_a_batch_norm_could_not_take_it(data, loader, n, steps):
    data.train = loader(n, 4)
    model = nn.Sequential(Flat(), nn.BatchNorm1d(12), nn.Linear(12, 3))
    learn = Learner(data, model, table=False, loss_func=nn.CrossEntropyLoss())
    data.valid = of_torch(9, 4)
    if n == 1:
        with pytest.raises(TrainingError, match="a batch of 1 is too small to train a batch norm on"):
            learn.fit(1)
        return
    learn.fit(2)
    assert len(learn.recorder.losses) == 2 * steps
    plain = Learner(data, nn.Sequential(Flat(), nn.Linear(12, 3)), table=False, loss_func=nn.CrossEntropyLoss())
    plain.fit(1)
    assert len(plain.recorder.losses) == len(data.train)


def test_a_model_that_accelerate_compiles_by_its_settings_stays_the_learners_own(data, model, monkeypatch):
    """As `accelerate launch --dynamo_backend` sets it: finding a rate ended, since the model had other names then."""
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "AOT_EAGER")
    AcceleratorState._reset_state()
    try:
        learn = Learner(data, model, table=False)
        prepared = learn._prepare()
        assert isinstance(prepared, OptimizedModule)
        learn._release(prepared)
        learn.lr_find(num_it=20)
        learn.fit(1)
        assert learn.model is model
        assert len(learn.recorder.losses) == 6
    finally:
        AcceleratorState._reset_state()
