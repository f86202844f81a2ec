import subprocess
import sys

import torch
from accelerate import Accelerator

from onewarp.trainers.adapters import prepare

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from conftest import loaders
from onewarp.transforms import Resize
from onewarp.trainers.adapters import prepare
from onewarp.trainers import Learner

accelerator = Accelerator(cpu=True)
dls = prepare(loaders([Resize(8)]), accelerator)
seen = gather_object([(epoch, key) for epoch in (0, 1) for batch in dls.train for key in batch.keys])
if accelerator.is_main_process:
    for epoch in (0, 1):
        keys = [key for e, key in seen if e == epoch]
        assert len(keys) == len(set(keys)) == 16, keys
torch.manual_seed(0)
learn = Learner(dls, torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3)), table=False)
learn.fit(1, 1e-2)
weights = gather_object([learn.model[1].weight.detach().sum().item()])
assert len(weights) == 2 and weights[0] == weights[1], weights
assert len(learn.get_preds()[0]) == 6
print("each once")
"""


def test_under_ddp_with_two_processes_every_sample_comes_once_an_epoch(tmp_path, request):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(request.path.parent)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "each once" in done.stdout


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
