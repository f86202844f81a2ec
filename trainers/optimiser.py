"""The optimiser: Adam with decoupled weight decay, over groups of layers that may be frozen."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer

from .schedule import StepSettings

Groups = Sequence[Sequence[nn.Parameter]]
NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
    nn.RMSNorm,
)


def has_batch_norm(model: nn.Module) -> bool:
    """Whether a layer of the model normalises by the variance of its batch."""
    return any(
        isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm) for m in model.modules()
    )


def norm_parameters(model: nn.Module) -> set[int]:
    """The ids of the parameters that belong to normalising layers."""
    return {id(p) for m in model.modules() if isinstance(m, NORMS) for p in m.parameters(recurse=False)}


def bias_parameters(model: nn.Module) -> set[int]:
    """The ids of the parameters that are biases."""
    return {id(p) for name, p in model.named_parameters() if name.rsplit(".", 1)[-1] == "bias"}


def adam(model: nn.Module, groups: Groups, wd: float = 0.01, wd_bn_bias: bool = False) -> AdamW:
    """Adam over `groups`, first to last; biases and normalising layers do not decay unless `wd_bn_bias`.

    Each group of layers becomes one or two of the optimiser's, marked with its number under `"layers"`.
    """
    spared = set() if wd_bn_bias else norm_parameters(model) | bias_parameters(model)
    parts: list[dict[str, Any]] = []
    for number, group in enumerate(groups):
        for decays in (True, False):
            chosen = [p for p in group if (id(p) not in spared) is decays]
            if chosen:
                parts.append({"params": chosen, "layers": number, "weight_decay": wd if decays else 0.0})
    return AdamW(parts, lr=1e-3, betas=(0.9, 0.99), eps=1e-5)


def apply(setting: StepSettings, optimiser: Optimizer) -> None:
    """Set the learning rates of the groups, and the momentum of all."""
    for part in optimiser.param_groups:
        part["lr"] = setting.rates[part["layers"]]
        part["betas"] = (setting.momentum, part["betas"][1])


def freeze_to(model: nn.Module, groups: Groups, number: int, train_bn: bool = True) -> None:
    """Train the groups from `number` on (negative: from the end) and freeze those before.

    With `train_bn` normalising layers stay trainable everywhere: their statistics move with the new data anyway.
    """
    first = number if number >= 0 else max(len(groups) + number, 0)
    norms = norm_parameters(model) if train_bn else set()
    for index, group in enumerate(groups):
        for parameter in group:
            parameter.requires_grad_(index >= first or id(parameter) in norms)


def freeze_norm_statistics(network: nn.Module) -> None:
    """Let the frozen normalising layers use the statistics that they have, and not move them."""
    for module in network.modules():
        if isinstance(module, NORMS) and not any(p.requires_grad for p in module.parameters(recurse=False)):
            module.eval()


def default_groups(model: nn.Module) -> list[list[nn.Parameter]]:
    """The head (the last child that has parameters) apart, and the body before it in two halves.

    A model may say better: by a method `groups()` that gives lists of parameters, first to last.
    """
    if callable(own := getattr(model, "groups", None)):
        return [list(group) for group in own()]
    blocks = list(_blocks(model))
    body, head = blocks[:-1], blocks[-1:]
    middle = (len(body) + 1) // 2
    parts = [[p for block in part for p in block] for part in (body[:middle], body[middle:], head)]
    return complete(model, [part for part in parts if part])


def complete(model: nn.Module, groups: Groups) -> list[list[nn.Parameter]]:
    """`groups` with each parameter once, and those that are in none put first."""
    owner = {id(p): number for number, group in reversed([*enumerate(groups)]) for p in group}
    result = [[p for p in {id(p): p for p in group}.values() if owner[id(p)] == n] for n, group in enumerate(groups)]
    left = [p for p in model.parameters() if id(p) not in owner]
    if left and result:
        result[0] = left + result[0]
    return [group for group in result if group] or [left]


def _blocks(model: nn.Module) -> Iterator[list[nn.Parameter]]:
    """The parameters of each child, opening a model that is only a wrapper around one child."""
    children = [list(child.parameters()) for child in model.children() if any(True for _ in child.parameters())]
    if len(children) == 1 and not any(True for _ in model.parameters(recurse=False)):
        yield from _blocks(next(c for c in model.children() if any(True for _ in c.parameters())))
    elif children:
        yield from children
    elif own := list(model.parameters()):
        yield own
