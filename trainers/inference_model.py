"""An exported learner as a server predicts with it: kept ready on the device that is there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..transforms import Fused
from ..transforms.decoding.resizing import Sizing
from .exporting import ServingData
from .predictor import Predictor
from .serving import load_learner


class InferenceModel:
    """What `pipeline.service.inference` needs of a learner; its answers are those of `learn.predict`."""

    def __init__(self, learn: Predictor[ServingData]) -> None:
        data = learn.dls
        self.recipe: Fused = data.transforms
        self.sizing: Sizing | None = data.sizing
        self.kind, self.batch_size = data.loss, data.bs
        self.vocab: Sequence[str] | None = None if data.vocab is None else [str(name) for name in data.vocab]
        self._objective, self._device = learn.objective, learn.accelerator.device
        self._network: Any = learn.accelerator.prepare_model(learn.model, evaluation_mode=True)
        self._network.eval()

    @torch.no_grad()
    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions `float32[N, ...]` and decoded ones for a batch `[N, 3, h, w]`, on the CPU."""
        outputs = self._network(x.to(self._device, self.recipe.dtype)).cpu().float()
        predictions = self._objective.activation(outputs)
        return predictions, self._objective.decode(predictions)


def load_model(path: str | Path) -> InferenceModel:
    """The model of a file that `learn.export` wrote. Raises as `load_learner`."""
    return InferenceModel(load_learner(path))
