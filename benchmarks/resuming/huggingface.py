"""Hugging Face's Trainer."""

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from ...trainers.adapters import trainer_parts
from . import data
from .traces import EPOCHS, Trace, digest

SETTINGS: dict[str, dict[str, Any]] = {
    "a linear schedule": {},
    "gradient_accumulation_steps": {"gradient_accumulation_steps": 3},
    "workers that live on": {"dataloader_num_workers": 1, "dataloader_persistent_workers": True},
    "evaluation and predict": {"eval_strategy": "epoch"},
    "torch_compile": {"torch_compile": True, "torch_compile_backend": "aot_eager"},
}
IDIOMS = tuple(SETTINGS)


class Model(nn.Module):
    """The model, and what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.trace = data.model(), Trace()
        self.register_forward_pre_hook(self._note, with_kwargs=True)

    def _note(self, _: nn.Module, arguments: Any, named: dict[str, Any]) -> None:
        if self.training:
            self.trace.train(named["pixel_values"])

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> dict[str, Any]:
        """Loss and logits, by the names of transformers."""
        logits = self.net(pixel_values)
        return {"loss": None if labels is None else nn.functional.cross_entropy(logits, labels), "logits": logits}


@patch.dict(os.environ)  # in which transformers leaves its settings for accelerate
def run(idiom: str, folder: Path, start: Path | None, make: data.Make = data.loaders) -> Trace:
    """Train; the trainer's checkpoint after each step."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    model = Model()

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Notes rates and checkpoints."""

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
            """Note the rate of the step that follows."""
            model.trace.rates.append(parts["optimizer"].param_groups[0]["lr"])

        def on_save(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
            """Note the checkpoint that was written."""
            model.trace.mark(f"checkpoint-{state.global_step}")

    dls = make()
    arguments = TrainingArguments(
        str(folder),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=dls.train.batch_size,
        per_device_eval_batch_size=dls.train.batch_size,
        learning_rate=0.1,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        save_strategy="steps" if start is None else "no",
        save_steps=1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
        **SETTINGS[idiom],
    )
    parts = trainer_parts(dls)
    trainer = Trainer(model, arguments, **{**parts, "callbacks": [*parts["callbacks"], Watch()]})
    trainer.train(resume_from_checkpoint=None if start is None else str(start))
    if "predict" in idiom:
        found = trainer.predict(trainer.eval_dataset)
        expected = torch.cat([y for _, y in make(rank=0, world_size=1).valid])
        if not torch.equal(torch.from_numpy(found.label_ids), expected):
            raise AssertionError("predict must give each sample once, in order, but does not")
        model.trace.batches.append(digest([torch.from_numpy(found.predictions)]))
    return model.trace.end(model)
