"""A model's weights under the model's own names, whether it is compiled or not."""

from pathlib import Path

from torch import Tensor, nn

from ..errors import TrainingError

_COMPILED = "_orig_mod."  # what torch.compile puts before the names of the module that it wraps


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The weights by name, as the model has them that is not compiled."""
    return plain_names(model.state_dict())


def plain_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under the names of a model that is not compiled."""
    return {name.replace(_COMPILED, ""): value for name, value in weights.items()}


def load_weights(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load weights that must fit one by one; raises `TrainingError` naming what does not. `path` is where they lay."""
    refuse_other_model(model, weights, path)
    plain = plain_names(weights)
    model.load_state_dict({name: plain[name.replace(_COMPILED, "")] for name in model.state_dict()})


def refuse_other_model(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Raise `TrainingError` where the weights of a file do not fit a model one by one."""
    own, found = weights_of(model), plain_names(weights)
    wrong = [name for name in own.keys() | found.keys() if _shape(own, name) != _shape(found, name)]
    if wrong:
        name = min(wrong)
        raise TrainingError(
            f"{path} is of another model: {len(wrong)} tensors differ, such as {name!r}, which must be "
            f"{_shape(own, name)}, but is {_shape(found, name)} there"
        )


def _shape(tensors: dict[str, Tensor], name: str) -> list[int] | str:
    return list(tensors[name].shape) if name in tensors else "missing"
