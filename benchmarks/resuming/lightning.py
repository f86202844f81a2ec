"""Lightning's Trainer, with its own checkpoints."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...trainers.adapters import data_module
from . import data
from .traces import EPOCHS, Trace, is_alone, world

SETTINGS: dict[str, dict[str, Any]] = {
    "estimated_stepping_batches": {},
    "accumulate_grad_batches": {"accumulate_grad_batches": 3},
    "limit_train_batches": {"limit_train_batches": 3},
    "overfit_batches": {"overfit_batches": 2},
    "Tuner.lr_find": {},
    "compiled": {},
}
IDIOMS = tuple(SETTINGS)


def run(idiom: str, folder: Path, start: Path | None, make: data.Make = data.loaders) -> Trace:
    """Train; `ModelCheckpoint` after each step."""
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.tuner import Tuner

    class Module(LightningModule):  # type: ignore[misc]
        """The model, and what it is given."""

        def __init__(self) -> None:
            super().__init__()
            self.net, self.trace, self.lr = data.model(compiled=idiom == "compiled"), Trace(), 0.1

        def training_step(self, batch: Any, _: int) -> Any:
            """Note the batch, and give its loss."""
            self.trace.train(batch[0])
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            """Note the rate of the step that follows."""
            self.trace.rates.append(optimizer.param_groups[0]["lr"])

        def configure_optimizers(self) -> Any:
            """A rate that falls over all steps, of which the trainer knows how many there are."""
            optimizer = torch.optim.SGD(self.parameters(), self.lr, momentum=0.9)
            steps = int(self.trainer.estimated_stepping_batches)
            scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, steps)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    every = ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1, save_on_train_epoch_end=False)
    trainer = Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        devices=world(),
        strategy="auto" if is_alone() else "ddp",
        use_distributed_sampler=False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        default_root_dir=folder,
        callbacks=[every] if start is None else [],
        enable_checkpointing=start is None,
        **SETTINGS[idiom],
    )
    module, batches = Module(), data_module(make(tail="ragged" if is_alone() else "pad"))
    if idiom == "Tuner.lr_find":
        Tuner(trainer).lr_find(module, datamodule=batches, num_training=4, update_attr=False)
        module.trace = Trace()
    trainer.fit(module, datamodule=batches, ckpt_path=start)
    if start is None:
        module.trace.marks = {path.name: behind(path) for path in sorted(folder.glob("*.ckpt"))}
    return module.trace.end(module)


def behind(checkpoint: Path) -> tuple[int, int]:
    """How many batches and steps lie behind a checkpoint."""
    state = torch.load(checkpoint, weights_only=False)
    return state["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"], state["global_step"]
