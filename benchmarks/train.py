"""The Learner beside fastai's: the same model, data and schedule, step by step.

Needs fastai (the `bench` extra). `python -m onewarp.benchmarks.train` prints the largest differences as JSON, exit 1
where one is over its bound.
"""

import copy
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ..errors import MissingDependencyError
from ..trainers.events import Callback, Training
from ..trainers.find import Grid, slide, steep, valley
from ..trainers.learner import Learner

RATE_BOUND, LOSS_BOUND = 1e-6, 1e-5


@dataclass(frozen=True)
class Parity:
    """Largest differences over all steps of `fine_tune`: rates and momenta relative to their peak, losses absolute.

    fastai keeps positions in single precision, which is what is left between the curves.
    """

    steps: int
    rate: float
    momentum: float
    loss: float
    fixed_batch_loss: float
    valley: float
    steep: float
    slide: float
    torch: str
    fastai: str

    @property
    def holds(self) -> bool:
        """Whether all are within their bounds."""
        curves = max(self.rate, self.momentum, self.valley, self.steep, self.slide)
        return curves < RATE_BOUND and max(self.loss, self.fixed_batch_loss) < LOSS_BOUND


class Watch(Callback):
    """Keeps the losses and settings as they are, not smoothed, and the loss on one fixed batch."""

    def __init__(self, batch: tuple[Tensor, Tensor]) -> None:
        self.batch = batch
        self.seen: list[tuple[tuple[float, ...], float, float, float]] = []

    def after_batch(self, learn: Training) -> None:
        """Keep what this step was done with, and its losses."""
        assert learn.run.setting is not None
        assert learn.run.loss is not None
        rates, momentum = learn.run.setting
        self.seen.append((rates, momentum, float(learn.run.loss.detach()), batch_loss(learn.model, self.batch)))


def batch_loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> float:
    """The loss on one batch, in evaluation mode; the model's mode is put back."""
    was = model.training
    model.eval()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
    model.train(was)
    return float(loss)


def task(seed: int = 0) -> tuple[TensorDataset, TensorDataset, nn.Module]:
    """Noise with a class-dependent mean, and a convolutional network of three parts."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(256) % 4
    x = torch.randn(256, 3, 16, 16, generator=generator) + torch.randn(4, 3, 1, 1, generator=generator)[y] * 0.3
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
            nn.Sequential(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 4)),
        )
    return TensorDataset(x[:192], y[:192]), TensorDataset(x[192:], y[192:]), model


def parity(epochs: int = 3, base_lr: float = 5e-3) -> Parity:
    """Run `fine_tune` in both and compare.

    Raises `MissingDependencyError` where fastai is not installed.
    """
    try:
        import fastai
    except ImportError:
        raise MissingDependencyError("parity must have fastai, which is not installed: pip install fastai") from None
    train, valid, model = task()
    fixed = valid[:32]
    twin = copy.deepcopy(model)
    theirs, curve = _fastai(train, valid, twin, fixed, epochs, base_lr)
    watch = Watch(fixed)
    learn = Learner(_Data(_batches(train), _batches(valid)), model, table=False, cbs=[watch])
    learn.fine_tune(epochs, base_lr)
    ours = watch.seen
    if len(ours) != len(theirs):
        raise AssertionError(f"{len(ours)} steps in ours, {len(theirs)} in fastai's")
    pairs = list(zip(ours, theirs, strict=True))
    return Parity(
        steps=len(ours),
        rate=max(_over_peak([o[0][g] for o in ours], [t[0][g] for t in theirs]) for g in range(3)),
        momentum=_over_peak([o[1] for o in ours], [t[1] for t in theirs]),
        loss=max(abs(o[2] - t[2]) for o, t in pairs),
        fixed_batch_loss=max(abs(o[3] - t[3]) for o, t in pairs),
        **_suggestions(curve),
        torch=torch.__version__,
        fastai=fastai.__version__,
    )


def _over_peak(ours: list[float], theirs: list[float]) -> float:
    return max(abs(float(o) - float(t)) for o, t in zip(ours, theirs, strict=True)) / max(ours)


@dataclass(frozen=True)
class _Data:
    train: list[tuple[Tensor, Tensor]]
    valid: list[tuple[Tensor, Tensor]]
    c: int = 4


def _batches(data: TensorDataset, size: int = 16) -> list[tuple[Tensor, Tensor]]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _fastai(
    train: TensorDataset,
    valid: TensorDataset,
    model: nn.Module,
    fixed: tuple[Tensor, Tensor],
    epochs: int,
    base_lr: float,
) -> tuple[list[Any], tuple[Tensor, Tensor]]:
    """What fastai does at each step, and a curve of losses over rates as its finder records it."""
    from fastai.basics import Callback as TheirCallback
    from fastai.basics import DataLoader, DataLoaders, params
    from fastai.basics import Learner as TheirLearner
    from fastai.callback.schedule import Learner as _Scheduled  # noqa: F401 - it adds fine_tune to their Learner

    seen: list[Any] = []

    class Keep(TheirCallback):  # type: ignore[misc]
        def after_batch(self) -> None:
            if self.training:
                rates = tuple(h["lr"] for h in self.opt.hypers)
                seen.append((rates, self.opt.hypers[-1]["mom"], self.loss.item(), batch_loss(self.model, fixed)))

    loaders = DataLoaders(DataLoader(train, bs=16, shuffle=False), DataLoader(valid, bs=16), device="cpu")
    learn = TheirLearner(
        loaders, model, loss_func=nn.CrossEntropyLoss(), splitter=lambda m: [params(part) for part in m], cbs=[Keep()]
    )
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(epochs, base_lr)
    rates = torch.tensor([Grid().rate(k) for k in range(10, 95)])
    generator = torch.Generator().manual_seed(1)
    losses = 2 - torch.linspace(0, 1.5, 85) + 0.05 * torch.randn(85, generator=generator)
    losses[70:] += torch.linspace(0, 4, 15)
    return seen, (rates, losses)


def _suggestions(curve: tuple[Tensor, Tensor]) -> dict[str, float]:
    """The relative differences of the suggestions on one curve."""
    from fastai.callback import schedule as theirs

    rates, losses = curve
    differences = {}
    for ours in (valley, steep, slide):
        expected = float(getattr(theirs, ours.__name__)(rates, losses, 100)[0])
        differences[ours.__name__] = abs(ours(rates.double().numpy(), losses.double().numpy()) / expected - 1)
    return differences


def main() -> int:
    """Print the comparison; 0 if it holds."""
    result = parity()
    print(json.dumps(asdict(result) | {"holds": result.holds}, indent=1))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
