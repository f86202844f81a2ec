"""What a trainer needs of its data: batches, and what else the data may say of itself, each asked for in one place.

`DataLoaders` says all of it, `ServingData` what predictions need, and any object with two iterables of batches trains.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from typing_extensions import TypeVar

from ..errors import UsageError

Batches = Iterable[Sequence[Any]]
"""Batches `(x, y)`, or `(x,)` without targets: tuples or lists, of which `x` is a tensor with a row for each sample."""


class PredictionData(Protocol):
    """What a `Predictor` needs: batches to measure by, or None where there are none."""

    @property
    def valid(self) -> Batches | None:
        """The batches of the validation set."""


class TrainingData(PredictionData, Protocol):
    """What a `Learner` needs: batches to train on, as many in every epoch, and batches to measure by.

    Where it has them, a Learner uses more: `loss`, the kind of the targets ("category" without); `c` and `vocab`, their
    classes; `normalize(mean, std)` and `denormalize(x)`; `test_dl(items)`, batches of new items; `fingerprint` and
    `to_json`, which tell its pipeline from others.
    """

    @property
    def train(self) -> Batches:
        """The batches of an epoch of training, in another order each time."""


@runtime_checkable
class ExportableData(Protocol):
    """Data that `learn.export` can write, as `DataLoaders`."""

    @property
    def blocks(self) -> Sequence[Any]:
        """What a sample is made of, with the vocabularies."""

    @property
    def transforms(self) -> Any:
        """The transforms of batches, fused."""

    @property
    def sizing(self) -> Any:
        """What size a photo gets before them."""


@runtime_checkable
class SerializableData(Protocol):
    """Data that tells its pipeline as JSON."""

    def to_json(self) -> str:
        """The pipeline; raises `SpecError` where it cannot be written."""


@runtime_checkable
class FingerprintData(Protocol):
    """Data that has a name for its pipeline, or a function that gives one."""

    @property
    def fingerprint(self) -> Any:
        """Another one for every other pipeline."""


@runtime_checkable
class StatefulBatches(Protocol):
    """Batches that know where they stand, as a `Loader`."""

    def state_dict(self) -> dict[str, Any]:
        """Where the next batch stands."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a position."""


Data = TypeVar("Data", bound=TrainingData)
Predicted_co = TypeVar("Predicted_co", bound=PredictionData, default=PredictionData, covariant=True)
Trained_co = TypeVar("Trained_co", bound=TrainingData, default=TrainingData, covariant=True)


def kind_of(data: PredictionData) -> str:
    """What the targets are: the kind of their block, "category" where the data does not say."""
    return str(getattr(data, "loss", "category"))


def classes_of(data: PredictionData) -> int | None:
    """How many classes there are, or None where the data does not say."""
    classes: int | None = getattr(data, "c", None)
    return classes


def vocab_of(data: PredictionData) -> Sequence[Any] | None:
    """The names of the classes, or None where the data does not say."""
    vocab: Sequence[Any] | None = getattr(data, "vocab", None)
    return vocab


def append_normalize(data: Data, mean: Sequence[float], std: Sequence[float]) -> Data:
    """The data with `Normalize(mean, std)` at the end of its transforms; as it is where it has no `normalize`."""
    normalize = getattr(data, "normalize", None)
    result: Data = data if normalize is None else normalize(mean, std)
    return result


def denormalize(data: PredictionData, images: Tensor) -> Tensor:
    """A batch of images as it looks: the data's normalisation, where it has one, is taken back."""
    take_back = getattr(data, "denormalize", None)
    result: Tensor = images if take_back is None else take_back(images)
    return result


def batches_of(data: PredictionData, items: Sequence[Any]) -> Batches:
    """Batches of new items, the way of the validation set. Raises `UsageError` where the data has no `test_dl`."""
    loader = getattr(data, "test_dl", None)
    if loader is None:
        raise UsageError(
            f"predictions of new items must have data with test_dl(items), as DataLoaders, but got "
            f"{type(data).__name__}: give get_preds(batches) instead"
        )
    batches: Batches = loader(items)
    return batches
