"""A tiny task that a tiny model learns in a second: which colour a noisy picture has."""

from dataclasses import dataclass, field

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Data:
    """What a Learner asks of DataLoaders."""

    train: object
    valid: object
    vocab: list[str] = field(default_factory=lambda: ["blue", "green", "red"])
    loss: str = "category"

    @property
    def c(self) -> int:
        return len(self.vocab)


def pictures(n: int, seed: int, size: int = 8) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    x = torch.randn(n, 3, size, size, generator=generator) * 0.5
    x[torch.arange(n), 2 - y] += 0.5
    return TensorDataset(x, y)


def small_model(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)),
    )


@pytest.fixture
def data() -> Data:
    return Data(DataLoader(pictures(48, 1), batch_size=8), DataLoader(pictures(30, 2), batch_size=8))


@pytest.fixture
def model() -> nn.Module:
    return small_model()
