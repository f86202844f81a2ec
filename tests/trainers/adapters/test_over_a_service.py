"""Every trainer gets from a cache behind an address the batches of the cache itself, to the bit."""

import pytest
import torch
from accelerate import Accelerator

from onewarp.errors import ServiceError
from onewarp.pipeline import DataLoaders, connect
from onewarp.trainers.adapters import as_dataloader, as_fastai, data_module, prepare, trainer_parts
from onewarp.transforms import Flip, Resize, Rotate

pytestmark = pytest.mark.filterwarnings("default")  # the trainers' own

RECIPE = [Resize(8), Flip(), Rotate(p=1.0)]


@pytest.fixture(params=["client", "server"])
def both(cache, address, request):
    """The loaders of the folder, and those of the address, which is asked to warp or not."""
    remote = connect(address, augment=request.param)
    yield [DataLoaders.of_cache(source, RECIPE, bs=4, threads=2) for source in (cache, remote)]
    remote.close()


def two_epochs(batches):
    """The images and targets of two epochs."""
    return [(torch.as_tensor(x).clone(), torch.as_tensor(y).clone()) for _ in range(2) for x, y in batches]


def assert_same(first, second):
    assert len(first) == len(second) > 2
    for (x, y), (u, v) in zip(first, second, strict=True):
        assert torch.equal(x, u)
        assert torch.equal(y, v)


def test_of_torch(both):
    local, remote = (two_epochs(as_dataloader(dls.train)) for dls in both)
    assert_same(local, remote)


def test_of_torch_with_a_process_that_is_spawned(cache, address):
    local, remote = (DataLoaders.of_cache(source, RECIPE, bs=4, threads=1) for source in (cache, connect(address)))
    theirs = as_dataloader(remote.train, num_workers=1, multiprocessing_context="spawn", persistent_workers=True)
    assert_same(two_epochs(local.train), two_epochs(theirs))


def test_of_torch_with_a_process_that_is_forked_says_what_to_do(address):
    remote = DataLoaders.of_cache(connect(address), RECIPE, bs=4, threads=1)
    next(iter(remote.train))
    with pytest.raises(ServiceError, match="start processes by 'spawn'"):
        next(iter(as_dataloader(remote.train, num_workers=1, multiprocessing_context="fork")))


def test_of_accelerate(both):
    local, remote = (two_epochs(prepare(dls, Accelerator(cpu=True)).train) for dls in both)
    assert_same(local, remote)


def test_of_lightning(both):
    lightning = pytest.importorskip("lightning.pytorch", reason="Lightning comes with the group adapters")

    class Keep(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.kept = torch.nn.Linear(1, 1), []

        def training_step(self, batch, _):
            self.kept.append((batch[0].clone(), batch[1].clone()))
            return self.net(torch.ones(1, 1)).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.0)

    def train(dls):
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = lightning.Trainer(max_epochs=2, accelerator="cpu", enable_checkpointing=False, **quiet)
        model = Keep()
        trainer.fit(model, datamodule=data_module(dls))
        return model.kept

    local, remote = map(train, both)
    assert_same(local, remote)


def test_of_transformers(both, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers comes with the group adapters")

    class Keep(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.kept = torch.nn.Linear(1, 1), []

        def forward(self, pixel_values, labels=None):
            self.kept.append((pixel_values.clone(), labels.clone()))
            return {"loss": self.net(torch.ones(1, 1)).sum()}

    def train(dls):
        settings = {"per_device_train_batch_size": 4, "train_sampling_strategy": "sequential", "report_to": []}
        quiet = {"remove_unused_columns": False, "use_cpu": True, "disable_tqdm": True, "save_strategy": "no"}
        arguments = transformers.TrainingArguments(str(tmp_path), num_train_epochs=2, **settings, **quiet)
        parts, model = trainer_parts(dls), Keep()
        parts.pop("eval_dataset", None)
        transformers.Trainer(model, arguments, **parts).train()
        return model.kept

    local, remote = map(train, both)
    assert_same(local, remote)


def test_of_fastai(both):
    pytest.importorskip("fastai", reason="fastai comes with the group adapters")
    local, remote = (two_epochs(as_fastai(dls, "cpu").train) for dls in both)
    assert_same(local, remote)
