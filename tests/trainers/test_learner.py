import copy

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
from onewarp.trainers import Callback, Learner, accuracy


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
