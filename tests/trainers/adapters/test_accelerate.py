import torch
from accelerate import Accelerator

from onewarp.trainers.adapters import prepare

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
