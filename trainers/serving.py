"""`load_learner`: an exported learner, ready to predict."""

from pathlib import Path

from torch import nn

from ..errors import TrainingError
from . import exporting, saving
from .objective import Points
from .predictor import Architecture, Predictor
from .vision import named_model
from .weights import load_weights


def load_learner(path: str | Path, model: nn.Module | None = None) -> Predictor[exporting.ServingData]:
    """Read a file that `learn.export` wrote; nothing in it is unpickled or evaluated.

    A model that `vision_learner` made by name is made again; any other must be given, its weights are read.

    Raises `TrainingError` where a model must be given and is not, or is another one.
    """
    path = Path(path)
    dls, weights, facts = exporting.load(path)
    with saving.parsing(path):
        arch = Architecture(**facts["arch"]) if facts["arch"] else None
        points = Points((facts["points"][0], facts["points"][1])) if facts["points"] else None
    if model is None:
        if arch is None:
            raise TrainingError(
                f"the model of {path} has no name by which to make it: give load_learner(path, model=...)"
            )
        model = named_model(arch.name, arch.outputs, pretrained=False)
    load_weights(model, weights, path)
    return Predictor(dls, model, points, arch=arch)
