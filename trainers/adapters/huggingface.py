"""For Hugging Face's `Trainer`: a dataset of positions, a collator that warps, and a callback that counts epochs.

```python
arguments = TrainingArguments("out", train_sampling_strategy="sequential",     # the order is the loader's
                              remove_unused_columns=False, per_device_train_batch_size=64)
Trainer(model, arguments, **trainer_parts(dls)).train()                        # resume_from_checkpoint=True goes on
```

Batches are `{"pixel_values": float[N, 3, h, w], "labels": int[N]}`.
"""

from typing import Any

from ...pipeline import DataLoaders
from .libraries import require
from .torch import Collate, Positions


def named(batch: Any) -> dict[str, Any]:
    """A batch by the names that vision models of transformers take."""
    return {"pixel_values": batch[0]} if batch[1] is None else {"pixel_values": batch[0], "labels": batch[1]}


class CollateEither:
    """One collator for both splits, as `Trainer` wants it: which split a position is of, its number says."""

    def __init__(self, dls: DataLoaders) -> None:
        self.train, self.valid = Collate(dls.train, named), Collate(dls.valid, named)

    def __call__(self, positions: list[Any]) -> dict[str, Any]:
        """The batch of these positions."""
        split = positions[0][2] if len(positions[0]) > 2 else "train"
        done: dict[str, Any] = (self.valid if split == "valid" else self.train)([p[:2] for p in positions])
        return done


class ValidPositions(Positions):
    """Positions that say that they are of the validation split."""

    def __getitem__(self, index: Any) -> Any:
        return 0, index, "valid"


def trainer_parts(dls: DataLoaders) -> dict[str, Any]:
    """The arguments for `Trainer`: `train_dataset`, `eval_dataset`, `data_collator`, `callbacks`.

    Raises `MissingDependencyError` where transformers is not installed or too old.
    """
    require("transformers", "trainer_parts")
    from transformers import TrainerCallback

    positions = Positions(dls.train)

    class CountEpochs(TrainerCallback):  # type: ignore[misc]
        """Tells the dataset which epoch it is: in memory that worker processes share, also those that live on."""

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            positions.set_epoch(int(state.epoch or 0))

    return {
        "train_dataset": positions,
        "eval_dataset": ValidPositions(dls.valid),
        "data_collator": CollateEither(dls),
        "callbacks": [CountEpochs()],
    }
