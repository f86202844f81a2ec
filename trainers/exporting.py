"""A learner in one file, for serving: weights as safetensors; vocabulary, pipeline and architecture as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import SpecError, TrainingError
from ..pipeline.composition.spec import from_json, to_json
from ..pipeline.datablock.sample_rows import sample_rows
from ..pipeline.dataset.blocks import Block
from ..pipeline.dataset.keys import keys_of
from ..pipeline.dataset.samples import Samples
from ..pipeline.loading.loader import Loader
from ..transforms import Fused, TensorImage
from ..transforms.decoding.resizing import Sizing
from . import saving
from .objective import Points
from .training_data import ExportableData
from .weights import weights_of

KIND, FORMAT = "learner", 2
FORMATS = (1, FORMAT)  # 1 is without a digest


@dataclass(frozen=True)
class ServingData:
    """What a model needs of its data once it is trained: blocks with their vocabulary, and transforms."""

    blocks: tuple[Block, ...]
    transforms: Fused
    sizing: Sizing | None
    bs: int = 64
    valid: None = None

    @property
    def loss(self) -> str:
        """What the first target is: the kind of its block."""
        return self.blocks[1].kind if len(self.blocks) > 1 else "image"

    @property
    def vocab(self) -> Sequence[Any] | None:
        """The names of the classes."""
        return next((b.vocab for b in self.blocks if b.vocab is not None), None)

    @property
    def c(self) -> int | None:
        """How many classes there are, where they have names."""
        return None if self.vocab is None else len(self.vocab)

    def test_dl(self, items: Sequence[Any]) -> Loader:
        """A loader over new items, the way of the validation split."""
        samples = Samples(items, self.blocks[:1], (None,))
        rows = sample_rows(samples, keys_of(items), ["valid"] * len(items), self.sizing)
        return Loader(rows, "valid", self.bs, self.transforms, shuffle=False)

    def denormalize(self, x: Tensor) -> Tensor:
        """A batch of images as it looks."""
        image: TensorImage = self.transforms.decode(TensorImage(x.detach().cpu().float()))
        return image.plain().clamp(0, 1)


def save(learn: Any, path: Path) -> Path:
    """Write a learner's model and data pipeline.

    Raises `TrainingError` where the data has no pipeline to write, and `SpecError` where it holds a lambda.
    """
    dls = learn.dls
    if not isinstance(dls, ExportableData):
        raise TrainingError(f"export must have DataLoaders with a pipeline, but got {type(dls).__name__}")
    objective = learn.objective
    facts = {
        "kind": KIND,
        "format": FORMAT,
        "arch": learn.arch and learn.arch._asdict(),
        "data": to_json({"blocks": tuple(dls.blocks), "transforms": dls.transforms, "sizing": dls.sizing}),
        "points": list(objective.size) if isinstance(objective, Points) else None,
    }
    saving.write(path, weights_of(learn.model), facts)
    return path


def load(path: Path) -> tuple[ServingData, dict[str, Tensor], dict[str, Any]]:
    """Data, weights and facts of an exported learner.

    Raises `TrainingError` for a file of another kind or version.
    """
    weights, facts = saving.read(path)
    if facts.get("kind") != KIND or facts.get("format") not in FORMATS:
        raise TrainingError(
            f"{path} must be an exported learner of format {FORMAT}, but is {facts.get('kind')} {facts.get('format')}: "
            "write it with learn.export"
        )
    with saving.parsing(path):
        try:
            data = from_json(facts["data"])
        except SpecError as error:
            raise TrainingError(f"{path} cannot be used here: {error}") from error
        return ServingData(tuple(data["blocks"]), data["transforms"], data["sizing"]), weights, facts
