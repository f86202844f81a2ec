import subprocess
import sys

import pytest
import torch

lightning = pytest.importorskip("lightning.pytorch", reason="Lightning is installed for its own test alone")

from onewarp.trainers.adapters import data_module  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # Lightning's own


class Model(lightning.LightningModule):
    def __init__(self, stop_at=None):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))
        self.seen, self.stop_at = [], stop_at

    def training_step(self, batch, _):
        x, y = batch
        self.seen.append(x.clone())
        return torch.nn.functional.cross_entropy(self.net(x), y)

    def validation_step(self, batch, _):
        assert len(batch[0]) <= 4

    def on_train_batch_end(self, *_):
        if len(self.seen) == self.stop_at:
            self.trainer.save_checkpoint(self.path)
            raise KeyboardInterrupt

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-2)


def trainer(tmp_path):
    return lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
    )


def test_the_same_batches_in_the_same_order(dls, tmp_path):
    model = Model()
    trainer(tmp_path).fit(model, datamodule=data_module(dls))
    expected = [x for _ in range(2) for x, _ in dls.train]
    assert len(model.seen) == 8
    assert all(torch.equal(a, b) for a, b in zip(model.seen, expected, strict=True))


def test_a_checkpoint_in_the_middle_of_an_epoch_goes_on_with_the_next_batch(dls, tmp_path):
    whole = Model()
    trainer(tmp_path).fit(whole, datamodule=data_module(dls))
    cut = Model(stop_at=6)
    cut.path = tmp_path / "cut.ckpt"
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer(tmp_path).fit(cut, datamodule=data_module(dls))
    again = Model()
    trainer(tmp_path).fit(again, datamodule=data_module(dls), ckpt_path=cut.path)
    assert all(torch.equal(a, b) for a, b in zip(cut.seen + again.seen, whole.seen, strict=True))
    assert torch.equal(again.net[1].weight, whole.net[1].weight)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import lightning.pytorch as lightning
import torch
from conftest import loaders
from onewarp.trainers.adapters import data_module
from onewarp.transforms import Resize
from test_lightning import Model

trainer = lightning.Trainer(
    max_epochs=2, accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
)
model = Model()
trainer.fit(model, datamodule=data_module(loaders([Resize(8)])))
mine = torch.tensor([round(float(image.mean() * 255)) for batch in model.seen for image in batch])
seen = [torch.empty_like(mine) for _ in range(2)]
torch.distributed.all_gather(seen, mine)
assert sorted(torch.cat(seen).tolist()) == sorted([*range(16)] * 2), seen
if trainer.global_rank == 0:
    print("each once")
"""


def test_under_ddp_with_two_processes_every_sample_comes_once_an_epoch(tmp_path, request):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(request.path.parent)))
    command = [sys.executable, "-W", "ignore", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "each once" in done.stdout
