"""`vision_learner`: an architecture by its name, or any `nn.Module`, made ready to learn a set of images."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import MissingDependencyError, TrainingError, UsageError
from . import optimiser
from .learner import Learner
from .predictor import Architecture
from .saving import read_weights
from .small_network import small_resnet
from .training_data import Data, TrainingData, append_normalize, classes_of, kind_of
from .weights import plain_names


class ConcatPool(nn.Module):
    """The maximum and the mean over an image's area, one beside the other: `[N, c, h, w]` to `[N, 2c]`."""

    def forward(self, features: Tensor) -> Tensor:
        """Pool each map to its maximum and its mean."""
        return torch.cat([features.amax((2, 3)), features.mean((2, 3))], 1)


def chapter_head(features: int, outputs: int, hidden: int = 512, dropout: float = 0.5) -> nn.Sequential:
    """The chapter's head for `features` channels: pool, then two blocks of batch norm, dropout and a linear layer."""
    head = nn.Sequential(
        ConcatPool(),
        nn.BatchNorm1d(2 * features),
        nn.Dropout(dropout / 2),
        nn.Linear(2 * features, hidden, bias=False),
        nn.ReLU(inplace=True),
        nn.BatchNorm1d(hidden),
        nn.Dropout(dropout),
        nn.Linear(hidden, outputs, bias=False),
    )
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return head


class BodyAndHead(nn.Module):
    """A body that gives feature maps `[N, c, h, w]`, and a head that makes answers of them.

    The groups of layers are the body's first half, its second half, and the head.
    """

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Images `[N, 3, h, w]` to the head's outputs."""
        result: Tensor = self.head(self.body(images))
        return result

    def groups(self) -> list[list[nn.Parameter]]:
        """Parameters from the input to the head."""
        return [*split_halves(self.body), list(self.head.parameters())]


def split_halves(body: nn.Module) -> list[list[nn.Parameter]]:
    """A body's layers in two groups: by timm's matcher where the model has one, else by its children."""
    if not hasattr(body, "group_matcher"):
        groups = optimiser.default_groups(body)
        return [groups[0], [p for group in groups[1:] for p in group]] if len(groups) > 1 else groups
    from timm.models import group_parameters

    names = [n for _, n in sorted(group_parameters(body, body.group_matcher(coarse=True)).items())]  # type: ignore[operator]
    found = dict(body.named_parameters())
    layers = [[found[name] for name in group if name in found] for group in names]
    middle = (len(layers) + 1) // 2
    return [[p for layer in part for p in layer] for part in (layers[:middle], layers[middle:])]


def vision_learner(
    dls: Data,
    arch: str | nn.Module | Callable[[int], nn.Module],
    pretrained: bool = True,
    weights: str | Path | None = None,
    *,
    normalize: bool = True,
    n_out: int | None = None,
    **kwargs: Any,
) -> Learner[Data]:
    """A Learner for images.

    `arch` is the name of a timm model, which gets the chapter's head for `dls.c` classes (or `n_out` outputs), or an
    `nn.Module`, which is used as it is, or a function that makes one for a number of outputs. A named model brings
    its weights (`pretrained`) or reads them from a file (`weights`), its mean and deviation are appended to the
    batch transforms, and its body starts frozen. Other arguments are the Learner's.

    Raises `MissingDependencyError` where timm is not installed, `UsageError` for a name that it does not know, and
    `TrainingError` for weights that cannot be had.
    """
    outputs = n_out or outputs_for(dls)
    if isinstance(arch, str):
        model = named_model(arch, outputs, pretrained and weights is None)
        kwargs["arch"] = Architecture(arch, outputs)
    else:
        model = arch if isinstance(arch, nn.Module) else arch(outputs)
    if weights is not None:
        load_body(model, Path(weights))
    known = isinstance(arch, str) and (pretrained or weights is not None)
    if known and normalize:
        dls = append_normalize(dls, *statistics(model))
    learn = Learner(dls, model, **kwargs)
    if known:
        learn.freeze()
    return learn


def named_model(name: str, outputs: int, pretrained: bool) -> nn.Module:
    """A timm model with a head for `outputs`: the chapter's head where the body gives feature maps, else its own.

    `small_resnet` is ours: it needs no timm, and has no pretrained weights.
    """
    if name == "small_resnet":
        if pretrained:
            raise TrainingError("small_resnet has no pretrained weights: train it from nothing (pretrained=False)")
        return small_resnet(outputs)
    try:
        import timm
    except ImportError:
        raise MissingDependencyError(
            f"model {name!r} must have timm, which is not installed: pip install timm, or give an nn.Module"
        ) from None
    if not timm.is_model(name.split(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), 3)
        raise UsageError(
            f"model must be a name that timm knows, but got {name!r}; near it: {', '.join(near) or 'none'}"
        )
    try:
        body = timm.create_model(name, pretrained=pretrained, num_classes=0, global_pool="")
        channels = feature_channels(body)
        if channels is not None:
            return BodyAndHead(body, chapter_head(channels, outputs))
        return timm.create_model(name, pretrained=pretrained, num_classes=outputs)
    except Exception as error:
        if not pretrained:
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(
            f"weights of {name!r} cannot be had ({type(error).__name__}: {reason}): "
            "train from nothing (pretrained=False), or read them from a file (weights=PATH)"
        ) from error


def feature_channels(body: nn.Module) -> int | None:
    """The channels of the feature maps that a body gives, or None where it gives something else."""
    was = body.training
    body.eval()
    try:
        with torch.no_grad():
            out = body(torch.zeros(1, 3, 224, 224))
    finally:
        body.train(was)
    channels = int(getattr(body, "num_features", 0))
    return channels if isinstance(out, Tensor) and out.ndim == 4 and out.shape[1] == channels else None


def statistics(model: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation with which a named model was trained: three numbers each, of RGB in 0..1."""
    body = model.body if isinstance(model, BodyAndHead) else model
    settings: Any = getattr(body, "pretrained_cfg", None) or {}
    return tuple(settings.get("mean", (0.485, 0.456, 0.406))), tuple(settings.get("std", (0.229, 0.224, 0.225)))


def load_body(model: nn.Module, path: Path) -> None:
    """Read a file of weights into a model; a head of another shape, or none, is left as it is.

    Raises `TrainingError` where the file's weights do not fit the body.
    """
    found = plain_names(read_weights(path))
    target = model.body if isinstance(model, BodyAndHead) else model
    own = target.state_dict()
    if isinstance(model, BodyAndHead) and any(name.startswith("body.") for name in found):
        target, own = model, model.state_dict()
    fitting = {name: value for name, value in found.items() if name in own and own[name].shape == value.shape}
    head = {name for name in own if name not in fitting}
    groups = optimiser.complete(model, optimiser.default_groups(model))
    body_ids = {id(p) for group in groups[:-1] for p in group}
    lost = [name for name, p in target.named_parameters() if name in head and id(p) in body_ids]
    if lost or not fitting:
        raise TrainingError(
            f"weights in {path} must fit the model's body, but {len(lost) or 'all'} of its tensors are missing or of "
            f"another shape (such as {(lost or [*own])[0]!r}): is it the same architecture?"
        )
    target.load_state_dict(fitting, strict=False)


def outputs_for(dls: TrainingData) -> int:
    """How many numbers a model must give for these targets."""
    if kind_of(dls) == "points" and dls.valid is not None:
        return int(next(iter(dls.valid))[1][0].numel())
    classes = classes_of(dls)
    if classes is None:
        raise UsageError(f"{type(dls).__name__} does not say by .c how many classes it has: give n_out=")
    return classes
