import pytest
import torch

lightning = pytest.importorskip("lightning.pytorch", reason="Lightning comes with the group adapters")

from onewarp.trainers.adapters import data_module  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # Lightning's own


class Model(lightning.LightningModule):
    def __init__(self, save_at=None, path=None):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))
        self.seen, self.save_at, self.path = [], save_at, path

    def training_step(self, batch, _):
        x, y = batch
        self.seen.append(x.clone())
        return torch.nn.functional.cross_entropy(self.net(x), y)

    def validation_step(self, batch, _):
        assert len(batch[0]) <= 4

    def on_train_batch_end(self, *_):
        if len(self.seen) == self.save_at:
            self.trainer.save_checkpoint(self.path)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-2)


def trainer(folder, **settings):
    return lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=folder,
        **settings,
    )


def test_the_same_batches_in_the_same_order(dls, tmp_path):
    model = Model()
    trainer(tmp_path).fit(model, datamodule=data_module(dls))
    expected = [x for _ in range(2) for x, _ in dls.train]
    assert len(model.seen) == 8
    assert all(torch.equal(a, b) for a, b in zip(model.seen, expected, strict=True))


def test_a_checkpoint_in_the_middle_of_an_epoch_goes_on_with_the_next_batch(dls, tmp_path):
    whole = Model(save_at=6, path=tmp_path / "6.ckpt")
    trainer(tmp_path).fit(whole, datamodule=data_module(dls))
    again = Model()
    trainer(tmp_path).fit(again, datamodule=data_module(dls), ckpt_path=whole.path)
    assert all(torch.equal(a, b) for a, b in zip(again.seen, whole.seen[6:], strict=True))
    assert torch.equal(again.net[1].weight, whole.net[1].weight)


SCRIPT = """
import sys
import torch
from conftest import loaders
from onewarp.trainers.adapters import data_module
from onewarp.transforms import Resize
from test_lightning import Model, trainer

def fit(model, **settings):
    trainer(sys.argv[1], devices=2, strategy="ddp").fit(model, datamodule=data_module(loaders([Resize(8)])), **settings)
    return model

model = fit(Model(save_at=3, path=sys.argv[1] + "/3.ckpt"))
mine = torch.tensor([round(float(image.mean() * 255)) for batch in model.seen for image in batch])
seen = [torch.empty_like(mine) for _ in range(2)]
torch.distributed.all_gather(seen, mine)
assert sorted(torch.cat(seen).tolist()) == sorted([*range(16)] * 2), seen
again = fit(Model(), ckpt_path=model.path)
assert all(torch.equal(a, b) for a, b in zip(again.seen, model.seen[3:], strict=True))
assert torch.equal(again.net[1].weight, model.net[1].weight)
print("each once")
"""


def test_with_two_processes_every_sample_comes_once_an_epoch_and_a_checkpoint_goes_on(two_processes, tmp_path):
    for status, output in two_processes(SCRIPT, str(tmp_path)):
        assert status == 0, output
        assert "each once" in output
