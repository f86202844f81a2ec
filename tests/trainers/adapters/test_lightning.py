import pytest
import torch

lightning = pytest.importorskip("lightning.pytorch", reason="Lightning comes with the group adapters")

from lightning.pytorch.callbacks import ModelCheckpoint  # noqa: E402
from lightning.pytorch.tuner import Tuner  # noqa: E402

from onewarp.errors import UsageError  # noqa: E402
from onewarp.trainers.adapters import data_module  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # Lightning's own


class Model(lightning.LightningModule):
    def __init__(self, save_at=None, path=None, scheduled=False):
        super().__init__()
        self.scheduled = scheduled
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
        optimizer = torch.optim.SGD(self.parameters(), 1e-2)
        if not self.scheduled:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)  # asks for the loader before a checkpoint is read
        scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def trainer(folder, **settings):
    return lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=folder,
        **{"enable_checkpointing": False, **settings},
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


@pytest.mark.parametrize(
    ("scheduled", "settings"),
    [(False, {}), (True, {}), (True, {"accumulate_grad_batches": 3}), (False, {"limit_train_batches": 3})],
    ids=["plain", "scheduler that asks for the number of steps", "accumulating", "limited"],
)
def test_a_run_resumed_at_any_step_is_the_run_that_was_never_stopped(dls, tmp_path, scheduled, settings):
    every = ModelCheckpoint(tmp_path, "{step}-{epoch}", every_n_train_steps=1, save_top_k=-1)
    whole = Model(scheduled=scheduled)
    trainer(tmp_path, enable_checkpointing=True, callbacks=[every], **settings).fit(whole, datamodule=data_module(dls))
    checkpoints = sorted(tmp_path.glob("step=*.ckpt"))
    assert len(checkpoints) == whole.trainer.global_step > 3
    for path in checkpoints:
        again = Model(scheduled=scheduled)
        trainer(tmp_path, **settings).fit(again, datamodule=data_module(dls), ckpt_path=path)
        rest = whole.seen[len(whole.seen) - len(again.seen) :]
        done = torch.load(path, weights_only=False)["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"]
        assert len(again.seen) == len(whole.seen) - done, path.name
        assert all(torch.equal(a, b) for a, b in zip(again.seen, rest, strict=True)), path.name
        assert torch.equal(again.net[1].weight, whole.net[1].weight), path.name


def test_overfitted_batches_are_the_same_in_every_epoch(dls, tmp_path):
    model = Model()
    trainer(tmp_path, overfit_batches=2).fit(model, datamodule=data_module(dls))
    assert len(model.seen) == 4
    assert all(torch.equal(a, b) for a, b in zip(model.seen[:2], model.seen[2:], strict=True))


def test_a_rate_is_found_and_training_begins_at_epoch_0_all_the_same(dls, tmp_path):
    model = Model()
    model.lr = 1e-3
    fitting, data = trainer(tmp_path), data_module(dls)
    Tuner(fitting).lr_find(model, datamodule=data, num_training=6, min_lr=1e-5, max_lr=1e-2)
    model.seen.clear()
    fitting.fit(model, datamodule=data)
    assert all(torch.equal(a, b) for a, (b, _) in zip(model.seen[:4], dls.train, strict=True))


def test_without_a_trainer_it_says_what_to_do(dls):
    with pytest.raises(UsageError, match=r"trainer\.fit\(model, datamodule="):
        data_module(dls).setup("fit")


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
