import pytest
import torch
from accelerate import Accelerator

from onewarp.trainers.adapters import prepare
from onewarp.transforms import Resize

SCRIPT = """
import sys
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from conftest import content, loaders
from onewarp.transforms import Resize
from onewarp.trainers.adapters import prepare

accelerator = Accelerator()
dls = prepare(loaders([Resize(8)]), accelerator)
seen = gather_object([(epoch, key) for epoch in (0, 1) for batch in dls.train for key in batch.keys])
if accelerator.is_main_process:
    for epoch in (0, 1):
        keys = [key for e, key in seen if e == epoch]
        assert len(keys) == len(set(keys)) == 16, keys
dls.train.set_epoch(2)
whole = content(dls.train)
dls.train.set_epoch(2)
batches = iter(dls.train)
begun = content([next(batches)])
accelerator.save_state(sys.argv[1])
accelerator.wait_for_everyone()
batches.close()
dls.train.set_epoch(0)
accelerator.load_state(sys.argv[1])
assert begun + content(dls.train) == whole
print("each once")
"""


def test_with_two_processes_every_sample_comes_once_an_epoch_and_a_state_goes_on(two_processes, tmp_path):
    assert two_processes(SCRIPT, str(tmp_path / "state")) == [(0, "each once\n")] * 2


EVALUATION = """
import sys
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from conftest import counting
from onewarp.errors import UsageError
from onewarp.trainers.adapters import prepare

rows, bs = int(sys.argv[1]), int(sys.argv[2])
accelerator = Accelerator(gradient_accumulation_steps=3)
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), 1.0)
dls = prepare(counting(rows, bs, tail="pad"), accelerator)
steps = len(dls.train)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, 2 * -(-steps // 3))
model, optimizer, scheduler = accelerator.prepare(model, optimizer, scheduler)
for _ in range(2):
    taken = 0
    for x, _ in dls.train:
        with accelerator.accumulate(model):
            accelerator.backward(model(x.float().mean((1, 2, 3))[:, None]).mean())
            taken += accelerator.sync_gradients
            optimizer.step(), scheduler.step(), optimizer.zero_grad()
    assert taken == -(-steps // 3), (taken, steps)
assert scheduler.get_last_lr() == [0.0], scheduler.get_last_lr()
for _ in range(2):
    numbers, marked, batches = [], [], 0
    for batch in dls.valid:
        x = batch[0].float().mean((1, 2, 3))
        numbers += accelerator.gather_for_metrics(x).round().int().tolist()
        marked += gather_object(batch.valid.tolist())
        batches += 1
    assert numbers == list(range(rows)), numbers
    assert sum(marked) == rows
    assert len(set(gather_object([batches]))) == 1
late = torch.optim.lr_scheduler.ConstantLR(torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0))
accelerator.dataloader_config.split_batches = False
accelerator.prepare(late)
try:
    prepare(counting(rows, bs), accelerator)
except UsageError as error:
    assert "must come before accelerator.prepare(scheduler)" in str(error)
else:
    raise AssertionError("a scheduler that was prepared before is not refused")
print("gathered")
"""


@pytest.mark.parametrize(("rows", "bs"), [(97, 16), (5, 4)])
def test_the_usual_evaluation_of_two_processes_gathers_each_sample_once_and_steps_are_counted(two_processes, rows, bs):
    assert two_processes(EVALUATION, str(rows), str(bs)) == [(0, "gathered\n")] * 2


def test_accumulated_gradients_step_at_the_end_of_each_epoch_and_none_leak_into_the_next(make_loaders, linear):
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=3)
    model = accelerator.prepare(linear)
    mine, steps = prepare(make_loaders([Resize(8)]), accelerator), []
    for _ in range(2):
        for x, y in mine.train:
            with accelerator.accumulate(model):
                accelerator.backward(torch.nn.functional.cross_entropy(model(x), y))
                steps.append(accelerator.sync_gradients)
    assert steps == [False, False, True, True] * 2


def test_an_epoch_resumed_at_any_step_goes_on_behind_the_batch_that_the_loop_had(dls, linear, contents, tmp_path):
    accelerator = Accelerator(cpu=True)
    mine = prepare(dls, accelerator)
    whole = contents(mine.train)
    for stop in range(len(whole)):
        mine.train.set_epoch(0)
        batches = iter(mine.train)
        begun = contents(next(batches) for _ in range(stop + 1))
        state = mine.train.state_dict()
        batches.close()
        mine.train.load_state_dict(state)
        rest = contents(mine.train) if stop + 1 < len(whole) else []
        assert begun + rest == whole


def test_a_state_of_accelerate_holds_where_the_loader_stands(dls, linear, contents, tmp_path):
    whole = contents(dls.train)
    accelerator = Accelerator(cpu=True)
    model = accelerator.prepare(linear)
    mine = prepare(dls, accelerator)
    batches = iter(mine.train)
    begun = contents(next(batches) for _ in range(2))
    accelerator.save_state(tmp_path / "state")
    batches.close()
    again = prepare(dls, accelerator)  # as in a new process
    accelerator._custom_objects[:] = accelerator._custom_objects[-1:]
    accelerator.load_state(tmp_path / "state")
    assert begun + contents(again.train) == whole
    assert model is not None
    assert torch.equal(next(iter(mine.valid))[1], next(iter(dls.valid))[1])
