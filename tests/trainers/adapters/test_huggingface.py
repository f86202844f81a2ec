import subprocess
import sys

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="transformers is installed for its own test alone")

from onewarp.trainers.adapters import trainer_parts  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # transformers' own


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))
        self.seen = []

    def forward(self, pixel_values, labels=None):
        if self.training:
            self.seen.append(pixel_values.clone())
        logits = self.net(pixel_values)
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits}


def train(dls, out, resume=False, **settings):
    arguments = transformers.TrainingArguments(
        str(out),
        num_train_epochs=2,
        per_device_train_batch_size=4,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        **settings,
    )
    model = Model()
    trainer = transformers.Trainer(model, arguments, **trainer_parts(dls))
    trainer.train(resume_from_checkpoint=resume)
    return model, trainer


def test_the_same_batches_in_the_same_order_and_both_splits(dls, tmp_path):
    model, trainer = train(dls, tmp_path, save_strategy="no")
    expected = [x for _ in range(2) for x, _ in dls.train]
    assert all(torch.equal(a, b) for a, b in zip(model.seen, expected, strict=True))
    predictions = trainer.predict(trainer.eval_dataset)
    targets = torch.cat([y for _, y in dls.valid])
    assert torch.equal(torch.from_numpy(predictions.label_ids), targets)


def test_it_goes_on_from_a_checkpoint_in_the_middle_of_an_epoch(dls, tmp_path):
    whole, _ = train(dls, tmp_path / "whole", save_strategy="steps", save_steps=6)
    again, _ = train(dls, tmp_path / "whole", resume=str(tmp_path / "whole" / "checkpoint-6"), save_strategy="no")
    assert all(torch.equal(a, b) for a, b in zip(again.seen, whole.seen[6:], strict=True))
    torch.testing.assert_close(again.net[1].weight, whole.net[1].weight)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import transformers
from accelerate.utils import gather_object
from conftest import loaders
from onewarp.trainers.adapters import trainer_parts
from onewarp.transforms import Resize
from test_huggingface import Model

arguments = transformers.TrainingArguments(
    {out!r}, num_train_epochs=2, per_device_train_batch_size=4, train_sampling_strategy="sequential",
    remove_unused_columns=False, report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no",
)
model = Model()
transformers.Trainer(model, arguments, **trainer_parts(loaders([Resize(8)]))).train()
seen = gather_object([round(float(image.mean() * 255)) for batch in model.seen for image in batch])
assert sorted(seen) == sorted([*range(16)] * 2), seen
print("each once")
"""


def test_under_ddp_with_two_processes_every_sample_comes_once_an_epoch(tmp_path, request):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(request.path.parent), out=str(tmp_path)))
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*command, str(script)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "each once" in done.stdout
