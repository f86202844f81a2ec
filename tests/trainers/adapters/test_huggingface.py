import pytest
import torch

transformers = pytest.importorskip("transformers", reason="transformers comes with the group adapters")

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


def test_workers_that_live_on_follow_the_epochs(dls, tmp_path):
    lasting = {"dataloader_num_workers": 1, "dataloader_persistent_workers": True}
    model, _ = train(dls, tmp_path, save_strategy="no", **lasting)
    expected = [x for _ in range(2) for x, _ in dls.train]
    assert all(torch.equal(a, b) for a, b in zip(model.seen, expected, strict=True))


def test_it_goes_on_from_a_checkpoint_in_the_middle_of_an_epoch(dls, tmp_path):
    whole, _ = train(dls, tmp_path / "whole", save_strategy="steps", save_steps=6)
    again, _ = train(dls, tmp_path / "whole", resume=str(tmp_path / "whole" / "checkpoint-6"), save_strategy="no")
    assert all(torch.equal(a, b) for a, b in zip(again.seen, whole.seen[6:], strict=True))
    torch.testing.assert_close(again.net[1].weight, whole.net[1].weight)


SCRIPT = """
import sys
import torch
from accelerate.utils import gather_object
from conftest import loaders
from onewarp.transforms import Resize
from test_huggingface import train

def run(resume=False):
    return train(loaders([Resize(8)]), sys.argv[1], resume, save_strategy="steps", save_steps=3)[0]

model = run()
seen = gather_object([round(float(image.mean() * 255)) for batch in model.seen for image in batch])
assert sorted(seen) == sorted([*range(16)] * 2), seen
again = run(sys.argv[1] + "/checkpoint-3")
assert all(torch.equal(a, b) for a, b in zip(again.seen, model.seen[3:], strict=True))
assert torch.equal(again.net[1].weight, model.net[1].weight)
print("each once")
"""


def test_with_two_processes_every_sample_comes_once_an_epoch_and_a_checkpoint_goes_on(two_processes, tmp_path):
    for status, output in two_processes(SCRIPT, str(tmp_path / "out")):
        assert status == 0, output
        assert "each once" in output
